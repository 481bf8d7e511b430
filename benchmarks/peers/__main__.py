"""Measures one other system: a line of JSON for each figure. Run in the environment of the other systems.

``.venvs/peers/bin/python -m benchmarks.peers NAME [--only P1,P2] [--rounds N]``
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks import runs
from benchmarks.boosting import boosts_for, compared, training
from benchmarks.figures import spread
from benchmarks.peers.base import Missing, Peer

#: by the name on the command line; those that are close to how we do it come first
PEERS = {
    "submitit": ("submitit", "Submitit"),
    "rq": ("rq", "Rq"),
    "ipykernel": ("kernels", "Ipykernel"),
    "papermill": ("kernels", "Papermill"),
    "metaflow": ("commands", "Metaflow"),
    "mlflow": ("commands", "Mlflow"),
    "ray": ("ray", "RayJobs"),
    "dask": ("dask", "Dask"),
}
_ARRAY_BYTES = 512 * 2**20
_TRAINING_S = 20.0
#: what may be said of a system, as numbers and as text
Row = dict[str, Any]


def measured(peer: Peer, only: Sequence[str], rounds: int, ready_s: float) -> Iterator[Row]:
    """Rows of what is asked for and can be measured."""
    few = min(rounds, peer.most_rounds)
    acts: dict[str, Callable[[], Iterator[Row]]] = {
        "P8": lambda: _idle(peer, ready_s),  # before it has done anything
        "P1": lambda: _first_line(peer, runs.TRIVIAL, few),
        "P2": lambda: _first_line(peer, runs.IMPORTS, min(few, 5)),
        "P3": lambda: _flood(peer, min(few, 3)),
        "P4": lambda: _latencies(peer, min(few, 2)),
        "P5": lambda: _batch(peer, min(few, 3)),
        "P6": lambda: _array(peer, min(few, 3)),
        "P7": lambda: _training(peer, min(few, 2)),
    }
    for row in (row for row in acts if row in peer.rows and row in only):
        try:
            for one in acts[row]():
                yield {"row": row, **one}
        except (RuntimeError, OSError, TimeoutError) as error:
            yield {"row": row, "what": "", "measured": f"failed: {error}"[:200], "ratio": ""}


def _first_line(peer: Peer, source: str, rounds: int) -> Iterator[Row]:
    runs.first_line_ms(peer.run, source)
    pair = runs.pairs(
        rounds, lambda: runs.first_line_ms(peer.run, source), lambda: runs.first_line_ms(runs.bare, source)
    )
    yield _row("first line seen" if "P3" in peer.rows or "P4" in peer.rows else "end seen", "ms", *pair)


def _flood(peer: Peer, rounds: int) -> Iterator[Row]:
    pair = runs.pairs(
        rounds,
        lambda: runs.flood_speed(peer.run, peer.lines),
        lambda: runs.flood_speed(runs.bare, peer.lines),
    )
    yield _row(f"{peer.lines * runs.LINE_BYTES // 10**6} MB of lines", "MB/s", *pair)


def _latencies(peer: Peer, rounds: int) -> Iterator[Row]:
    found = [runs.line_latencies_ms(peer.run, flush=True) for _ in range(rounds)]
    yield _row("flushed, p50", "ms", [statistics.median(one) for one in found])
    yield _row("flushed, p99", "ms", [runs.p99(one) for one in found])


def _batch(peer: Peer, rounds: int) -> Iterator[Row]:
    pair = runs.pairs(
        rounds,
        lambda: runs.seconds(lambda: peer.run_many(runs.TRIVIAL, peer.batch)),
        lambda: runs.seconds(lambda: runs.bare_many(runs.TRIVIAL, peer.batch)),
    )
    yield _row(f"{peer.batch} trivial jobs", "s", *pair)


def _array(peer: Peer, rounds: int) -> Iterator[Row]:
    peer.array(2**20)  # so that whoever takes it in has started
    ways = [peer.array(_ARRAY_BYTES) for _ in range(rounds)]
    for way, took in zip(("there", "back"), zip(*ways, strict=True), strict=True):
        yield _row(f"512 MiB array {way}", "GB/s", [_ARRAY_BYTES / 1e9 / one for one in took])


def _training(peer: Peer, rounds: int) -> Iterator[Row]:
    source = training(boosts_for(_TRAINING_S))
    yield _row(f"training, about {_TRAINING_S:.0f} s", "s", *compared(peer.run, source, rounds))


def _idle(peer: Peer, ready_s: float) -> Iterator[Row]:
    yield _row("ready after", "s", [ready_s])
    memory = sum(psutil.Process(pid).memory_full_info().pss for pid in peer.processes()) / 1e6
    yield _row(f"memory (PSS) of {len(peer.processes())} processes", "MB", [memory])


def _row(what: str, unit: str, values: Sequence[float], bases: Sequence[float] = ()) -> Row:
    ratios = [value / base for value, base in zip(values, bases, strict=True)] if bases else []
    return {
        "what": what,
        "measured": f"{spread(values)} {unit}",
        "ratio": spread(ratios) if ratios else "",
        "value": statistics.median(values),
        "median": statistics.median(ratios) if ratios else None,
    }


def main() -> None:
    """Open the system, measure it, close it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("--only", default="P1,P2,P3,P4,P5,P6,P7,P8")
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    runs.forget_settings()
    runs.end_cleanly()
    module, kind = PEERS[args.name]
    try:
        peer: Peer = getattr(importlib.import_module(f"benchmarks.peers.{module}"), kind)()
    except ModuleNotFoundError as error:
        sys.exit(f"{error.name} is not installed")
    if not set(peer.rows) & set(args.only.split(",")):
        return
    # short: sockets lie in it
    with tempfile.TemporaryDirectory(prefix="p", dir="/tmp") as folder:
        began = time.perf_counter()
        _open(peer, Path(folder))
        ready_s = time.perf_counter() - began
        try:
            for row in measured(peer, args.only.split(","), args.rounds, ready_s):
                print(json.dumps({"system": peer.name, "isolated": peer.isolated, **row}), flush=True)
        finally:
            peer.close()


def _open(peer: Peer, folder: Path) -> None:
    try:
        peer.open(folder)
    except Missing as error:
        sys.exit(str(error))
    except BaseException:
        # some of it may have started
        peer.close()
        raise


if __name__ == "__main__":
    main()
