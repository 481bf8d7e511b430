"""P5: many trivial jobs, submitted at once, until all are done."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.box import serving, width_of
from benchmarks.figures import Figure
from benchmarks.runs import TRIVIAL, WIDTH, bare_many, pairs, seconds

JOBS = 200


def batches(rounds: int, count: int = JOBS) -> Iterator[Figure]:
    """As many jobs as bare processes, the same number of them at a time."""
    with serving() as box:
        assert width_of(box) == WIDTH, "the agent runs fewer jobs at a time than there are bare processes"
        box.settle(TRIVIAL)
        values, bases = pairs(
            rounds,
            lambda: seconds(lambda: box.run_many(TRIVIAL, count)),
            lambda: seconds(lambda: bare_many(TRIVIAL, count)),
            box.rest,
        )
    yield Figure(
        row="P5",
        name=f"{count} trivial jobs until all are done",
        unit="s",
        values=values,
        bases=bases,
        base=f"{count} of python -c, {WIDTH} at a time",
    )
