"""Exceptions of a cell: what the frame says, and what it leaves out."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from kit_harness import Record

Cell = Callable[..., Record]


def plain(record: Record) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", record.traceback)


def test_an_exception_has_the_lines_of_the_cell_and_no_frame_of_the_kit(cell: Cell) -> None:
    record = cell("def divide(x):\n    return 1 / x\n\nprint('go')\ndivide(0)")
    assert record.exit_code == 1
    assert (record.error["ename"], record.error["evalue"]) == ("ZeroDivisionError", "division by zero")
    text = plain(record)
    assert "Cell gpu-box/42, line 5" in text
    assert "----> 2     return 1 / x" in text
    assert "mlmagics_job" not in text
    assert "\x1b[" in record.traceback
    assert record.merged()[-1][0] == "error"


def test_chained_exceptions_are_kept(cell: Cell) -> None:
    record = cell("try:\n    {}['a']\nexcept KeyError as e:\n    raise ValueError('no a') from e")
    text = plain(record)
    assert text.index("KeyError: 'a'") < text.index("direct cause") < text.index("ValueError: no a")
    assert "mlmagics_job" not in text


def test_an_exception_behind_an_await_shows_no_event_loop(cell: Cell) -> None:
    record = cell("import asyncio\nasync def f():\n    raise ValueError('x')\nawait f()")
    assert "line 4" in plain(record)
    assert "asyncio/" not in plain(record)


@pytest.mark.parametrize("source", ["print('a'", "x = ", "def f(:\n  pass\n1", "return 5\n"])
def test_a_syntax_error_names_the_cell_and_the_line(cell: Cell, source: str) -> None:
    record = cell(source)
    assert record.exit_code == 1
    assert record.error["ename"] == "SyntaxError"
    assert record.error["evalue"].endswith("(gpu-box/42, line 1)")
    assert source.splitlines()[0].strip() in plain(record)
    assert "interactiveshell" not in plain(record)


def test_an_exception_group_shows_its_members(cell: Cell) -> None:
    record = cell("raise ExceptionGroup('several', [ValueError(1), KeyError('k')])")
    if record.error["ename"] == "NameError":
        pytest.skip("no exception groups in this Python")
    assert "ValueError: 1" in record.traceback
    assert "KeyError: 'k'" in record.traceback
    assert "mlmagics_job" not in record.traceback


def test_a_huge_message_is_cut_and_says_so(cell: Cell) -> None:
    record = cell("raise ValueError('\\x1b' * 5_000_000 + 'tail')")
    assert record.exit_code == 1
    assert len(str(record.error)) < 1_000_000
    assert "more characters, cut here" in record.error["evalue"]
    assert record.error["evalue"].endswith("tail")


def test_an_exception_without_a_text_is_reported_all_the_same(cell: Cell) -> None:
    record = cell(
        "class Bad(Exception):\n    def __str__(self):\n        raise KeyError('no text')\nraise Bad"
    )
    assert record.error["ename"] == "Bad"
    assert "could not be had" in record.error["evalue"]
    assert record.exit_code == 1


def test_an_interrupt_is_reported_with_code_130(cell: Cell) -> None:
    record = cell("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nwhile True: pass")
    assert record.error["ename"] == "KeyboardInterrupt"
    assert record.exit_code == 130


def test_an_error_in_a_thread_is_on_stderr_and_no_end(cell: Cell) -> None:
    record = cell(
        "import threading\ndef f():\n    raise ValueError('inside')\n"
        "t = threading.Thread(target=f)\nt.start()\nt.join()\nprint('on')"
    )
    assert "ValueError: inside" in record.stderr
    assert "    raise ValueError('inside')" in record.stderr
    assert record.stdout == "on\n"
    assert record.exit_code == 0


def test_an_error_is_reported_though_the_streams_were_replaced_or_closed(cell: Cell) -> None:
    record = cell("import io, sys\nsys.stdout.close()\nsys.stderr = io.StringIO()\nraise ValueError('x')")
    assert record.error["ename"] == "ValueError"
    assert record.exit_code == 1
