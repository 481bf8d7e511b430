"""Exceptions of a cell: what the frame says, and what it leaves out."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kit_harness import Record, run_cell

Cell = Callable[..., Record]


def told(record: Record) -> str:
    return record.stderr + "".join("\n".join(frame["traceback"]) for frame in record.frames("error"))


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


@pytest.mark.parametrize("instead", ["raise KeyError('no text')", "raise SystemExit(0)"])
def test_an_exception_without_a_text_is_reported_all_the_same(cell: Cell, instead: str) -> None:
    record = cell(f"class Bad(Exception):\n    def __str__(self):\n        {instead}\nraise Bad")
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


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("print(x_train)", {"name": "x_train"}),
        ("def f():\n    return scaler\nf()", {"name": "scaler"}),
        ("def f():\n    x += 1\nf()", {"name": "x"}),
        ("!true\nmodel", {"name": "model"}),
        ("raise NameError", {}),
        ("raise NameError('name x is not good')", {}),
        ("import math\nmath.pie", {}),
        ("open('data/trips.csv')", {"path": "data/trips.csv"}),
        ("open(b'data/trips.csv')", {"path": "data/trips.csv"}),
        ("import pathlib\npathlib.Path('no') .read_text()", {"path": "no"}),
        ("import os\nos.listdir('no/folder')", {"path": "no/folder"}),
        ("raise FileNotFoundError(2, 'gone', __import__('pathlib').Path('a'))", {"path": "a"}),
        ("raise OSError(5, 'broken', 3)", {}),
        ("raise OSError('no file')", {}),
        ("open('x' * 5000)", {}),
        ("class Odd(OSError):\n    filename = property(lambda self: 1 / 0)\nraise Odd('odd')", {}),
    ],
)
def test_an_error_tells_which_name_or_file_is_missing(cell: Cell, source: str, found: dict[str, str]) -> None:
    record = cell(source)
    assert {key: record.error[key] for key in ("name", "path") if key in record.error} == found
    assert record.exit_code == 1


def test_a_missing_project_is_told_in_the_authors_own_lines(cell: Cell) -> None:
    pytest.importorskip("pandas")
    record = cell(
        "import pandas as pd\n\ndef load(name):\n    return pd.read_csv('project://' + name)\n\nload('a.csv')"
    )
    assert record.error["ename"] == "NoProjectError"
    text = plain(record)
    assert "line 6" in text
    assert "----> 4     return pd.read_csv" in text
    assert "site-packages" not in text
    assert len(text.splitlines()) < 20


@pytest.mark.parametrize("library", ["pandas", "nothing"])
def test_a_file_that_the_project_lacks_is_told_so_too(cell: Cell, tmp_path: Path, library: str) -> None:
    pytest.importorskip("fsspec")
    source = {
        "pandas": "import pandas as pd\npd.read_csv('project://a.csv')",
        "nothing": "import mlmagics\nmlmagics.project.open('a/../../b')",
    }[library]
    if library == "pandas":
        pytest.importorskip("pandas")
    record = cell(source, env={"PROJECT_URL": tmp_path.as_uri()})
    text = plain(record)
    assert "site-packages" not in text
    assert "----> 2" in text
    assert len(text.splitlines()) < 12


def test_without_ipython_too(kit: Path, tmp_path: Path, cell: Cell) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    source = "import mlmagics\ndef f():\n    return open(mlmagics.project.path('a'))\nf()"
    record = run_cell(kit, tmp_path, source, python=str(bare / "bin" / "python"))
    assert [line.strip() for line in record.traceback.splitlines() if "File" in line] == [
        'File "<cell gpu-box/42>", line 4, in <module>',
        'File "<cell gpu-box/42>", line 3, in f',
    ]
    assert "NoProjectError: no project is known here: set PROJECT_URL" in record.traceback


@pytest.mark.parametrize(
    "source", ["1 / 0", "!true\n1 / 0", "def f(:", "class A:\n    def _repr_html_(self): 1 / 0\nA()"]
)
def test_no_color_makes_all_of_it_plain(cell: Cell, source: str) -> None:
    record = cell(source, env={"NO_COLOR": "1"})
    assert told(record)
    assert "\x1b" not in told(record)
    assert "\x1b" in told(cell(source, env={"NO_COLOR": ""}))


def test_memory_that_runs_out_is_an_error_like_others(cell: Cell) -> None:
    record = cell(
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (600_000_000,) * 2)\n"
        "kept = []\nwhile True:\n    kept.append(bytearray(1_000_000))"
    )
    assert record.error["ename"] == "MemoryError"
    assert "kept.append" in plain(record)
    assert record.stderr == ""
    assert record.exit_code == 1
