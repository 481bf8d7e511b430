"""P7: twenty seconds of xgboost on data that is made, one thread: what a job adds to its own work."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.boosting import SECONDS, boosts_for, compared, training
from benchmarks.box import serving
from benchmarks.figures import Figure


def trainings(rounds: int, whole_s: float = SECONDS) -> Iterator[Figure]:
    """The whole time of the job over that of a plain process."""
    source = training(boosts_for(whole_s))
    with serving() as box:
        box.settle("import numpy, xgboost", imports=True)
        values, bases = compared(box.run, source, rounds, lambda: box.rest(imports=True))
    yield Figure(
        row="P7",
        name=f"xgboost training, about {whole_s:.0f} s, one thread",
        unit="s",
        values=values,
        bases=bases,
        base="python -c of it",
    )
