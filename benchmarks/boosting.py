"""The training of P7, the same for all systems; the standard library only, as in :mod:`benchmarks.runs`."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.runs import Run, bare, pairs, seconds

ROWS, COLUMNS = 500_000, 20
SECONDS = 20.0
_FEW = 5


def training(boosts: int) -> str:
    """A source that makes the data and trains."""
    return f"""
import numpy, xgboost
rng = numpy.random.default_rng(0)
x = rng.standard_normal(({ROWS}, {COLUMNS}), dtype="float32")
y = (x[:, 0] * x[:, 1] + x[:, 2] + rng.standard_normal({ROWS}) > 0).astype("float32")
settings = dict(tree_method="hist", max_depth=6, objective="binary:logistic", nthread=1)
xgboost.train(settings, xgboost.QuantileDMatrix(x, y, nthread=1), {boosts})
"""


def boosts_for(whole_s: float) -> int:
    """How many rounds take that long on this machine, with the imports and the data."""
    few = more = _trained_s(_FEW)
    boosts = _FEW
    # from a run that is half as long: in short ones the difference is lost in the noise
    while more < whole_s / 2:
        boosts *= 2
        more = _trained_s(boosts)
    if boosts == _FEW:
        return _FEW
    each = (more - few) / (boosts - _FEW)
    return max(_FEW, round((whole_s - few) / each) + _FEW)


def _trained_s(boosts: int) -> float:
    return seconds(lambda: bare(training(boosts), _ignored))


def compared(
    run: Run, source: str, rounds: int, rest: Callable[[], object] = lambda: None
) -> tuple[list[float], list[float]]:
    """Seconds of ``run`` and of a plain process, in turn."""
    return pairs(
        rounds,
        lambda: seconds(lambda: run(source, _ignored)),
        lambda: seconds(lambda: bare(source, _ignored)),
        rest,
    )


def _ignored(_: str) -> None:
    """Nothing: only the end matters."""
