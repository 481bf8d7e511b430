"""``%jobs``: the jobs of all clusters in one table."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from cluster_agent.protocol import parse_states
from mlmagics.cluster.names import LOCAL
from mlmagics.cluster.overview import JobTable, jobs
from mlmagics.cluster.session import current
from mlmagics.display.tables import jobs_table
from mlmagics.display.writing import say, show_table
from mlmagics.magics.options import duration
from mlmagics.magics.words import LineParser, WrongUse

#: What an agent lists at once at most.
_MOST = 1000


@lru_cache
def jobs_parser(magic: str = "%jobs") -> LineParser:
    """The options of ``%jobs``, and of ``mlmagics jobs``."""
    parser = LineParser(
        magic,
        "List your jobs on all clusters: the active ones and the last 20.",
        examples=(
            f"{magic} --state failed --since 2d",
            f"{magic} --on gpu-box --all --state active",
        ),
    )
    add = parser.add_argument
    add("--on", metavar="NAME", help="only of this cluster")
    add("--all", action="store_true", help="everybody's, as far as your token may see them")
    add("--state", type=_states, metavar="S", help="only these: running, failed, active, done, ... (commas)")
    add("--since", type=duration, metavar="D", help="submitted at most so long ago: 2h, 7d")
    add("--name", metavar="TEXT", help="only jobs of this name")
    add("-n", "--last", type=_count, default=20, metavar="N", help="the last N instead of 20")
    if magic.startswith("%"):
        add("--notebook", action="store_true", help="only what was submitted from this notebook")
    else:
        add("--json", action="store_true", help="for programs")
    return parser


def list_jobs(shell: Any, line: str) -> None:
    """What the magic ``%jobs`` does."""
    options = jobs_parser().read(line)
    if options.notebook and not current().notebook:
        raise WrongUse("%jobs --notebook: this kernel does not know its notebook; %jobs lists all of yours")
    found = asked_for(options)
    if found.jobs:
        show_table(shell, jobs_table(found.jobs, users=options.all, now=time.time()))
    else:
        say(nothing(options, found, "%jobs", [*current().store.all()]))
    for cluster, reason in found.troubles:
        say(f"{cluster} is missing here: {reason}")


def asked_for(options: argparse.Namespace) -> JobTable:
    """The jobs that the ``options`` of :func:`jobs_parser` choose."""
    return jobs(
        on=options.on,
        all_users=options.all,
        state=options.state,
        since=options.since,
        name=options.name,
        this_notebook=getattr(options, "notebook", False),
        limit=options.last,
    )


def nothing(options: argparse.Namespace, found: JobTable, command: str, clusters: Sequence[str]) -> str:
    """What to say when there is no job to list, and what to do next."""
    if found.troubles:
        return "No jobs on the clusters that answered."
    if any((options.state, options.since, options.name, options.on, getattr(options, "notebook", False))):
        return f"No such jobs. {command} lists your last ones, {command} --all everybody's."
    if options.all:
        return f"No jobs. A cell that begins with %%{next(iter(clusters), LOCAL)} becomes one."
    return f"No jobs of yours. A cell that begins with %%{next(iter(clusters), LOCAL)} becomes one."


def _states(text: str) -> str:
    try:
        parse_states(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of jobs from 1 to {_MOST}")
    return int(text)
