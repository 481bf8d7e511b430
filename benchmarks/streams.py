"""P3 and P4: how fast, and how soon, what a job prints is seen by who follows it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.box import Box, serving
from benchmarks.figures import Figure
from benchmarks.runs import LINE_BYTES, Run, Sink, bare, flood_speed, line_latencies_ms, p99, pairs

LINES = 1_000_000
#: Python's own way to print into a pipe: text comes out when 8 KiB are full
_UNTOUCHED = "import sys\nsys.stdout = open(1, 'w', closefd=False)\n"


def floods(rounds: int, lines: int = LINES) -> Iterator[Figure]:
    """P3: a job that prints 100 MB."""
    for tls in (False, True):
        with serving(tls=tls) as box:
            box.settle("print(1)")
            name = f"{_megabytes(lines)} MB of lines, {'TLS' if tls else 'plain HTTP'}"
            yield _flood("P3", name, box, rounds, lines, bare)


def flush_cost(rounds: int, lines: int = LINES) -> Iterator[Figure]:
    """P4: a flood beside one without our way to bring out what a job prints."""
    with serving() as box:
        box.settle("print(1)")
        name = f"{_megabytes(lines)} MB of lines, over the same without our adaptive flush"
        yield _flood("P4", name, box, rounds, lines, _untouched(box))


def latencies(rounds: int) -> Iterator[Figure]:
    """P4: lines printed every 10 ms, with and without a flush."""
    with serving() as box:
        box.settle("print(1)")
        for flush in (True, False):
            found, local = [], []
            for _ in range(rounds):
                # without a flush a pipe shows nothing before 8 KiB are full: there is nothing to compare with
                if flush:
                    local.append(line_latencies_ms(bare, flush=True))
                box.rest()
                found.append(line_latencies_ms(box.run, flush=flush))
            for name, part in (("p50", statistics.median), ("p99", p99)):
                yield Figure(
                    row="P4",
                    name=f"line to the follower, {'flushed' if flush else 'not flushed'}, {name}",
                    unit="ms",
                    values=[part(one) for one in found],
                    bases=[part(one) for one in local],
                    base="a local pipe",
                )


def _flood(row: str, name: str, box: Box, rounds: int, lines: int, base: Run) -> Figure:
    values, bases = pairs(
        rounds, lambda: flood_speed(box.run, lines), lambda: flood_speed(base, lines), box.rest
    )
    what = "a local pipe" if base is bare else "a job with Python's own stdout"
    return Figure(row=row, name=name, unit="MB/s", values=values, bases=bases, base=what)


def _megabytes(lines: int) -> int:
    return lines * LINE_BYTES // 10**6


def _untouched(box: Box) -> Run:
    def run(source: str, sink: Sink) -> None:
        box.rest()
        box.run(f"{_UNTOUCHED}{source}\nsys.stdout.flush()", sink)

    return run
