"""Cells that fork: nothing twice, nothing lost, nothing that hangs."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from kit_harness import Record

Cell = Callable[..., Record]


def test_a_child_that_runs_to_the_end_speaks_for_itself_only(cell: Cell) -> None:
    record = cell(
        """
import os
print("before", end=" ")
pid = os.fork()
if pid == 0:
    print("child")
    display("of the child")
else:
    os.waitpid(pid, 0)
    print("parent")
"result"
"""
    )
    assert record.stdout == "before child\nparent\n"
    assert [data["text/plain"] for data in record.data] == ["'of the child'", "'result'"]
    assert [frame["result"] for frame in record.frames("display")] == [False, True]
    assert record.exit_code == 0


def test_a_child_that_fails_says_so_on_stderr(cell: Cell) -> None:
    record = cell(
        "import os\npid = os.fork()\nif pid == 0:\n    raise ValueError('child')\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    assert record.frames("error") == []
    assert "ValueError: child" in record.stderr
    assert "mlmagics_job" not in record.stderr
    assert record.stdout == "1\n"
    assert record.exit_code == 0


def test_text_that_waits_is_not_printed_by_both(cell: Cell) -> None:
    record = cell(
        """
import os
for i in range(50):
    for j in range(200):
        print(f"<{i}.{j}>")
    print(f"<end {i}>", end="")
    pid = os.fork()
    if pid == 0:
        print(f"<child {i}>")
        raise SystemExit
    os.waitpid(pid, 0)
"""
    )
    words = re.findall(r"<([^>]+)>", record.stdout)
    expected = []
    for i in range(50):
        expected += [f"{i}.{j}" for j in range(200)] + [f"end {i}", f"child {i}"]
    assert words == expected


@pytest.mark.filterwarnings("ignore")
def test_hundreds_of_forks_beside_flooding_threads_do_not_hang(cell: Cell) -> None:
    record = cell(
        """
import os, sys, threading, warnings
warnings.simplefilter("ignore")
done = threading.Event()
def flood(name):
    i = 0
    while not done.is_set():
        print(f"<{name} {i}>")
        i += 1
threads = [threading.Thread(target=flood, args=(name,)) for name in "ab"]
[thread.start() for thread in threads]
for i in range(200):
    pid = os.fork()
    if pid == 0:
        sys.stdout.write(f"<child {i}>")
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(pid, 0)
done.set()
"""
    )
    assert record.exit_code == 0
    children = re.compile(r"<child (\d+)>")
    assert children.findall(record.stdout) == [str(i) for i in range(200)]
    flood = children.sub("", record.stdout)
    for name in "ab":
        numbers = re.findall(rf"<{name} (\d+)>", flood)
        assert numbers == [str(i) for i in range(len(numbers))]


def test_a_fork_in_a_flood_of_the_main_thread_gives_no_warning(cell: Cell) -> None:
    record = cell(
        """
import os
for i in range(200):
    for j in range(300):
        print(j)
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
"""
    )
    assert record.stderr == ""
    assert record.stdout == "".join(f"{j}\n" for j in range(300)) * 200


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works(cell: Cell, method: str) -> None:
    record = cell(
        f"""
import multiprocessing, operator
context = multiprocessing.get_context({method!r})
process = context.Process(target=print, args=("from a process",))
process.start()
process.join()
with context.Pool(2) as pool:
    print(pool.map(operator.neg, range(5)), process.exitcode)
"""
    )
    assert record.exit_code == 0
    assert record.stdout == "from a process\n[0, -1, -2, -3, -4] 0\n"


def test_functions_of_the_cell_can_be_forked_workers(cell: Cell) -> None:
    record = cell(
        """
from concurrent.futures import ProcessPoolExecutor
import multiprocessing
def double(x):
    return 2 * x
with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
    print(list(pool.map(double, range(5))))
"""
    )
    assert record.stdout == "[0, 2, 4, 6, 8]\n"
