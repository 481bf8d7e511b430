"""``mlmagics.log`` from threads, forked children and in floods."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from kit_harness import Record

Cell = Callable[..., Record]


def steps_by_source(record: Record) -> dict[float, list[float]]:
    found: dict[float, list[float]] = defaultdict(list)
    for frame in record.frames("metric"):
        found[frame["values"]["source"]].append(frame["step"])
    return found


def test_children_log_in_their_own_order(cell: Cell) -> None:
    record = cell(
        """
import multiprocessing, warnings
import mlmagics
warnings.simplefilter("ignore")
context = multiprocessing.get_context("fork")
def work(source):
    for step in range(300):
        mlmagics.log(step=step, source=source)
children = [context.Process(target=work, args=(number,)) for number in range(1, 4)]
for child in children:
    child.start()
work(0)
for child in children:
    child.join()
print([child.exitcode for child in children])
"""
    )
    assert record.stdout == "[0, 0, 0]\n"
    assert steps_by_source(record) == {source: list(range(300)) for source in range(4)}


def test_threads_log_beside_displays(cell: Cell) -> None:
    record = cell(
        """
import threading
import mlmagics
def work(source):
    for step in range(300):
        mlmagics.log(step=step, source=source)
        if step % 50 == 0:
            display(step)
threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
    )
    assert record.exit_code == 0
    assert steps_by_source(record) == {source: list(range(300)) for source in range(4)}
    assert len(record.data) == 4 * 6


def test_a_flood_arrives_whole_and_in_order(cell: Cell) -> None:
    record = cell(
        "import mlmagics\nfor step in range(30_000):\n    mlmagics.log(step=step, loss=step / 3)\nprint('done')"
    )
    assert [frame["step"] for frame in record.frames("metric")] == list(range(30_000))
    assert record.frames("metric")[-1]["values"] == {"loss": 29_999 / 3}
    assert record.stdout == "done\n"


def test_a_job_whose_supervisor_is_gone_is_not_held_up(cell: Cell) -> None:
    record = cell(
        """
import mlmagics
from mlmagics_job import state
state.current.channel._socket.shutdown(2)
for step in range(1000):
    mlmagics.log(step=step, loss=1)
display("lost")
print("on")
"""
    )
    assert record.stdout == "on\n"
    assert record.frames("metric") == []
