"""P1, P1c and P2: from the submit of a cell to its first line."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.box import serving
from benchmarks.figures import Figure
from benchmarks.runs import IMPORTS, TRIVIAL, bare, first_line_ms, pairs


def trivial(rounds: int) -> Iterator[Figure]:
    """P1: a cell that prints, into an interpreter that waits."""
    for tls in (False, True):
        yield _first_line("P1", TRIVIAL, rounds, tls=tls)


def cold(rounds: int) -> Iterator[Figure]:
    """P1c: the same where no interpreter waits."""
    for tls in (False, True):
        yield _first_line("P1c", TRIVIAL, rounds, tls=tls, warm=0)


def imports(rounds: int) -> Iterator[Figure]:
    """P2: a cell that imports pandas and xgboost first, into an interpreter that waits with these."""
    for tls in (False, True):
        yield _first_line("P2", IMPORTS, rounds, tls=tls)


def _first_line(row: str, source: str, rounds: int, *, tls: bool, warm: int = 2) -> Figure:
    has_imports = source == IMPORTS
    with serving(tls=tls, warm=warm) as box:
        box.settle(source, imports=has_imports)
        values, bases = pairs(
            rounds,
            lambda: first_line_ms(box.run, source),
            lambda: first_line_ms(bare, source),
            lambda: box.rest(imports=has_imports),
        )
    name = "cell that imports pandas and xgboost" if has_imports else "trivial cell"
    start = "warm" if warm else "cold"
    return Figure(
        row=row,
        name=f"{name} to its first line, {start}, {'TLS' if tls else 'plain HTTP'}",
        unit="ms",
        values=values,
        bases=bases,
        base="python -c of it",
    )
