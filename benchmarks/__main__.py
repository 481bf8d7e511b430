"""Measure ourselves and other systems, print a table of ratios and write it to docs/benchmarks.md."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path

import httpx

from benchmarks import (
    batches,
    beside,
    environments,
    followers,
    history,
    idle,
    notebook,
    preflight,
    runs,
    scheduling,
    starts,
    steps,
    streams,
    training,
    values,
)
from benchmarks.figures import Detail, Figure, LeftOut, Told
from benchmarks.goals import goal_of
from benchmarks.page import page
from cluster_agent import __version__
from cluster_agent.errors import AgentError

PAGE = Path("docs/benchmarks.md")
_STEPS = """\
Where the time of P1, P1c and P5 goes: when each step of a start is done, and who works how much where many jobs are submitted
at once."""
_PREFLIGHT = """\
Scripts and notebooks that stand alone, so that whatever refuses one is wrong or a fault of its own; and names taken away from
them, which must be missed (`python -m benchmarks.preflight [FOLDER ...]` lists both)."""
_QUEUE = """\
A simulation of a box of 8 GPUs (`python -m benchmarks.scheduling`): one person floods it with jobs of one GPU, 200 at once and
then as many as it can take, for ten days; another submits a job of all 8 every 12 hours. How long they wait under three
ways to choose who starts."""
_PACKAGES = """\
Twelve packages with 3,000 files, from a folder (`python -m benchmarks.environments`): how long a job waits until it starts."""


#: what one measurement may run into, while others go on
_TROUBLE = (
    AgentError,
    AssertionError,
    ImportError,
    OSError,
    RuntimeError,
    httpx.HTTPError,
    subprocess.SubprocessError,
)


def _at_most(most: int, rounds: int) -> int:
    return max(1, min(most, rounds))


def _detail(title: str, text: str, lines: Callable[[], list[str]]) -> Iterator[Detail]:
    yield Detail(title=title, text=text, lines=lines())


#: what can be measured, by its name for ``--only``; given how many rounds
ITEMS: dict[str, Callable[[int], Iterator[Told]]] = {
    "P1": starts.trivial,
    "P1c": starts.cold,
    "P2": lambda rounds: starts.imports(_at_most(10, rounds)),
    "P3": lambda rounds: streams.floods(_at_most(5, rounds)),
    "P4": lambda rounds: chain(
        streams.latencies(_at_most(5, rounds)), streams.flush_cost(_at_most(5, rounds))
    ),
    "P5": lambda rounds: batches.batches(_at_most(5, rounds)),
    "P6": lambda rounds: values.arrays(_at_most(5, rounds)),
    "P7": lambda rounds: training.trainings(_at_most(3, rounds)),
    "P8": lambda rounds: chain(idle.idle(_at_most(3, rounds)), idle.waiting(_at_most(3, rounds))),
    "P9": lambda rounds: followers.crowds(_at_most(3, rounds)),
    "P10": lambda rounds: history.histories(_at_most(10, rounds)),
    "load": lambda rounds: notebook.loading(_at_most(5, rounds)),
    "notebook": notebook.notebooks,
    "steps": lambda rounds: _detail("Where the time goes", _STEPS, lambda: steps.table(_at_most(20, rounds))),
    "cells": lambda _: _detail("What is said about a cell before it is sent", _PREFLIGHT, preflight.table),
    "queue": lambda _: _detail("Whose turn it is", _QUEUE, scheduling.table),
    "packages": lambda _: _detail("Packages that jobs bring", _PACKAGES, environments.table),
}


def main() -> None:
    """Run what is asked for; without being asked all, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default="", help=f"some of {','.join(ITEMS)}; printed, and not written")
    parser.add_argument("--rounds", type=int, default=20, help="at most; slow ones take fewer")
    parser.add_argument("--no-peers", action="store_true", help="leave other systems out")
    parser.add_argument("--out", type=Path, help=f"page to write; {PAGE} where all is measured")
    args = parser.parse_args()
    chosen = args.only.split(",") if args.only else list(ITEMS)
    if unknown := set(chosen) - set(ITEMS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(ITEMS)}")
    runs.forget_settings()
    runs.end_cleanly()
    load = os.getloadavg()[0]
    told = [one for name in chosen for one in _measured(name, args.rounds)]
    peers = [] if args.no_peers else list(_others(chosen, args.rounds))
    told = [beside.beside(one, peers) if isinstance(one, Figure) else one for one in told]
    text = page(told, peers, _facts(args.rounds, load, beside_others=bool(peers)))
    out = args.out or (PAGE if not args.only and not args.no_peers else None)
    if out is None:
        print(f"\n{text}")
    else:
        out.write_text(text, encoding="utf-8")


def _measured(name: str, rounds: int) -> Iterator[Told]:
    """What an item tells; one that cannot be measured here says why and does not end the others."""
    try:
        for one in ITEMS[name](rounds):
            if isinstance(one, Figure):
                one = replace(one, goal=goal_of(one))
                print(one.line(), flush=True)
            yield one
    except _TROUBLE as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        left_out = LeftOut(row=name, name="", reason=reason[-1])
        print(left_out.line(), flush=True)
        yield left_out


def _others(chosen: list[str], rounds: int) -> Iterator[beside.Row]:
    rows = sorted({name.rstrip("c") for name in chosen if name.startswith("P")})
    for one in beside.measured(rows, rounds):
        print(
            f"| {one['row']} | {one['system']} | {one['what']} | {one['measured']} | {one['ratio']} |",
            flush=True,
        )
        yield one


def _facts(rounds: int, load: float, *, beside_others: bool) -> str:
    ours = {name: _version(name) for name in ("tornado", "ipykernel", "numpy", "pandas", "xgboost-cpu")}
    packages = ", ".join(f"{name} {found}" for name, found in ours.items() if found)
    system = f"{platform.system()} {platform.release()}, {os.cpu_count()} cores"
    now = os.getloadavg()[0]
    lines = [
        f"mlmagics {__version__}, Python {platform.python_version()}, {packages}",
        f"{system}; load {load:.1f} at the start, {now:.1f} at the end; {rounds} rounds at most",
        f"{datetime.date.today().isoformat()}",
    ]
    if beside_others and beside.PYTHON.exists():
        lines.append(f"other systems: {_versions_beside()}")
    return "\n".join(f"- {line}" for line in lines)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _versions_beside() -> str:
    """Versions of the other systems, as their environment tells them."""
    names = (
        "submitit",
        "rq",
        "redis",
        "ipykernel",
        "papermill",
        "metaflow",
        "mlflow-skinny",
        "ray",
        "distributed",
    )
    source = (
        "import sys\nfrom importlib.metadata import PackageNotFoundError, version\nfound = []\n"
        "for name in sys.argv[1:]:\n    try:\n        found.append(f'{name} {version(name)}')\n"
        "    except PackageNotFoundError:\n        pass\nprint(', '.join(found))"
    )
    done = subprocess.run([beside.PYTHON, "-c", source, *names], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "not to be had"


if __name__ == "__main__":
    main()
