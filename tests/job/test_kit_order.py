"""Prints and displays arrive in the order in which the cell made them."""

from __future__ import annotations

import base64
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit_harness import Record, Runner

Cell = Callable[..., Record]


def numbers(record: Record) -> list[int]:
    """Every number that was printed or displayed, in the order of the record."""
    found: list[int] = []
    for kind, value in record.merged():
        text = value["data"]["text/plain"] if kind == "display" else value
        found += map(int, re.findall(r"\d+", text))
    return found


def test_displays_stay_in_order_with_prints_on_both_streams(cell: Cell) -> None:
    record = cell(
        """
import sys
for i in range(0, 12000, 4):
    print(i)
    print(i + 1, file=sys.stderr)
    display(i + 2)
    print(i + 3)
"""
    )
    assert numbers(record) == list(range(12000))
    assert len(record.frames("display")) == 3000


def test_a_flood_on_one_stream_ends_before_a_line_on_the_other(cell: Cell) -> None:
    record = cell(
        """
import sys
for i in range(20):
    for j in range(5000):
        print(i)
    print(i, file=sys.stderr)
"""
    )
    assert [kind for kind, _ in record.merged()] == ["stdout", "stderr"] * 20
    assert record.stderr.split() == [str(i) for i in range(20)]


def test_bytes_written_below_the_text_stay_in_order_with_it(cell: Cell) -> None:
    record = cell(
        """
import sys
for i in range(500):
    print("text", i)
    sys.stdout.buffer.write(b"bytes %d \\xff\\n" % i)
    sys.stderr.buffer.write(b"other\\n") if i % 100 == 0 else None
sys.stdout.buffer.write(memoryview(b"end"))
"""
    )
    expected = b"".join(b"text %d\nbytes %d \xff\n" % (i, i) for i in range(500)) + b"end"
    assert b"".join(value for kind, value in record.items if kind == "stdout") == expected


def test_output_of_started_programs_follows_what_was_printed_before(cell: Cell) -> None:
    record = cell(
        """
import os, subprocess
for i in range(20):
    print(i, end=" ")
    subprocess.run(["echo", "run"])
    print(i, end=" ")
    os.system("echo system")
"""
    )
    assert record.stdout == "".join(f"{i} run\n{i} system\n" for i in range(20))


def test_a_large_display_arrives_whole_and_in_place(cell: Cell) -> None:
    record = cell(
        """
print("before")
display({"image/png": bytes(range(256)) * 40960, "text/plain": "picture"}, raw=True)
print("after")
"""
    )
    assert [kind for kind, _ in record.merged()] == ["stdout", "display", "stdout"]
    (data,) = record.data
    assert base64.b64decode(data["image/png"]) == bytes(range(256)) * 40960


def test_text_becomes_visible_without_newline_flush_or_end(kit: Path, tmp_path: Path) -> None:
    runner = Runner(kit, "print('a')\nprint('b', end='')\n" + WAIT, tmp_path)
    seen = b""

    def stop_when_seen(runner: Runner, kind: str, value: Any) -> None:
        nonlocal seen
        if kind == "stdout":
            seen += value
        if kind == "stdout" and seen == b"a\nb":
            runner.process.send_signal(signal.SIGINT)

    record = runner.run(stop_when_seen)
    assert record.error["ename"] == "KeyboardInterrupt"
    assert record.exit_code == 130


def test_an_interrupted_flood_neither_loses_nor_repeats_a_line(kit: Path, tmp_path: Path) -> None:
    runner = Runner(kit, "import itertools\nfor i in itertools.count():\n    print(i)\n", tmp_path)
    size = 0

    def interrupt_late(runner: Runner, kind: str, value: Any) -> None:
        nonlocal size
        before, size = size, size + (len(value) if kind == "stdout" else 0)
        if before < 1_000_000 <= size:
            runner.process.send_signal(signal.SIGINT)

    record = runner.run(interrupt_late)
    assert record.error["ename"] == "KeyboardInterrupt"
    lines = record.stdout.split("\n")
    assert lines[:-1] == [str(i) for i in range(len(lines) - 1)]
    assert str(len(lines) - 1).startswith(lines[-1])


#: In short steps: a signal that comes just before a sleep is noticed at its end only.
WAIT = "import time\nwhile True:\n    time.sleep(0.02)"
FLOOD = """
import sys, time
def flood(start):
    # until write() is the C method itself
    while type(sys.stdout.write).__name__ == "function":
        print(start)
        start += 1
    for start in range(start, start + 50000):
        print(start)
    return start + 1
"""


def test_a_long_flood_keeps_its_place_among_errors_displays_and_forks(cell: Cell) -> None:
    record = cell(
        FLOOD
        + """
import os
n = 0
for i in range(3):
    n = flood(n)
    print("-", file=sys.stderr)
    n = flood(n)
    display(i)
    n = flood(n)
    pid = os.fork()
    if pid == 0:
        print("child")
        os._exit(0)
    os.waitpid(pid, 0)
print("end", n)
"""
    )
    assert record.exit_code == 0
    assert [kind for kind, _ in record.merged()] == ["stdout", "stderr", "stdout", "display"] * 3 + ["stdout"]
    assert record.stdout.count("child\n") == 3
    lines = record.stdout.replace("child\n", "").splitlines()
    assert lines[:-1] == [str(i) for i in range(len(lines) - 1)]
    assert lines[-1] == f"end {len(lines) - 1}"


def test_a_method_that_was_captured_in_a_flood_stays_visible(kit: Path, tmp_path: Path) -> None:
    source = FLOOD + "flood(0)\nwrite = sys.stdout.write\ndisplay(1)\nwrite('captured')\n" + WAIT
    runner = Runner(kit, source, tmp_path)

    def stop_when_seen(runner: Runner, kind: str, value: Any) -> None:
        if kind == "stdout" and b"captured" in value:
            runner.process.send_signal(signal.SIGINT)

    assert runner.run(stop_when_seen).exit_code == 130


def test_threads_print_whole_lines_without_loss(cell: Cell) -> None:
    record = cell(
        """
import threading
def work(name):
    for i in range(3000):
        print(f"<{name} {i}>")
threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
[thread.start() for thread in threads]
[thread.join() for thread in threads];
"""
    )
    assert record.exit_code == 0
    for name in "abcd":
        assert re.findall(rf"<{name} (\d+)>", record.stdout) == [str(i) for i in range(3000)]


def test_displays_of_threads_all_arrive(cell: Cell) -> None:
    record = cell(
        """
import threading
threads = [threading.Thread(target=lambda: [display(i) for i in range(100)]) for _ in range(5)]
[thread.start() for thread in threads]
[thread.join() for thread in threads];
"""
    )
    shown = [int(data["text/plain"]) for data in record.data]
    assert sorted(shown) == sorted(list(range(100)) * 5)


@pytest.mark.parametrize("text", ["\\ud800", "\\udcff", "\\U0001f600", "é" * 9000])
def test_any_text_can_be_printed(cell: Cell, text: str) -> None:
    record = cell(f"print('{text}')\nimport sys\nprint('{text}', file=sys.stderr)")
    expected = text if "ud" in text else text.encode().decode("unicode_escape") if "U" in text else text
    assert record.stdout == record.stderr == expected + "\n"
    assert record.exit_code == 0


def test_an_interrupted_wait_for_an_answer_keeps_later_displays_in_order(cell: Cell) -> None:
    record = cell(
        """
import signal
def interrupt(*_):
    raise TimeoutError
signal.signal(signal.SIGALRM, interrupt)
for i in range(2000):
    try:
        if i % 20 == 10:
            signal.setitimer(signal.ITIMER_REAL, 0.0001 + i * 1e-7)
        print(f"<{i}>")
        display(i)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except TimeoutError:
        pass
print("end")
"""
    )
    assert record.exit_code == 0
    found = numbers(record)
    assert found == sorted(found)
    assert record.stdout.endswith("end\n")
