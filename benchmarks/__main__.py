"""Measure, print a table and write it to docs/benchmarks.md."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import tempfile
from pathlib import Path

import tornado

from benchmarks import environments, followers, history, preflight, scheduling, values
from benchmarks.measure import AgentProcess, figures
from cluster_agent import __version__

_HEAD = """\
# Benchmarks

Written by `make bench`; run it to get the figures of your machine. Each figure goes through the real product
(agent, token, durable store, HTTP, client) and is alternated, round by round, with the bare thing that it is
compared with. Trust the ratios: on a shared machine milliseconds wander. Median (least to most).

{facts}

| what | measured | ratio | goal |
|---|---|---|---|
"""


_HISTORY = """
## A long history

The same agent with {count:,} jobs of history, each with a folder and a log; times as a client sees them
(`python -m benchmarks.history`).

"""

_VALUES = """
## A value there and back

An array of 512 MiB, pickled, hashed and sent, and fetched again, each beside a plain copy of a file of the same size
(`python -m benchmarks.values`).

"""

_PREFLIGHT = """
## What is said about a cell before it is sent

Scripts and notebooks that stand alone, so that whatever refuses one is wrong or a fault of its own; and names taken away from
them, which must be missed (`python -m benchmarks.preflight [FOLDER ...]` lists both).

"""

_QUEUE = """
## Whose turn it is

A simulation of a box of 8 GPUs (`python -m benchmarks.scheduling`): one person floods it with jobs of one GPU, 200 at once and
then as many as it can take, for ten days; another submits a job of all 8 every 12 hours. How long they wait under three
ways to choose who starts.

"""

_ENVIRONMENTS = """
## Packages that jobs bring

Twelve packages with 3,000 files, from a folder (`python -m benchmarks.environments`): how long a job waits until it starts.

"""


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=100_000, help="of the long history")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks.md"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        agent = AgentProcess(Path(folder) / "home")

        def start() -> AgentProcess:
            agent.start()
            return agent

        try:
            rows = []
            for figure in figures(start, args.rounds):
                rows.append(figure.row())
                print(figure.row(), flush=True)
        finally:
            agent.destroy()
    facts = (
        f"mlmagics {__version__}, Python {platform.python_version()}, tornado {tornado.version},"
        f" {platform.system()} {platform.release()}, {os.cpu_count()} cores, {datetime.date.today().isoformat()}."
    )
    with tempfile.TemporaryDirectory() as folder:
        crowd = followers.figure(Path(folder))
    rows.append(crowd.row())
    parts = [
        _HEAD.format(facts=facts) + "\n".join(rows),
        _HISTORY.format(count=args.jobs) + "\n".join(history.table(args.jobs)),
        _VALUES + "\n".join(values.table()),
        _PREFLIGHT + "\n".join(preflight.table()),
        _QUEUE + "\n".join(scheduling.table()),
        _ENVIRONMENTS + "\n".join(environments.table()),
    ]
    args.out.write_text("\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
