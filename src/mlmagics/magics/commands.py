"""``%wait``, ``%jobs``, ``%cancel``, ``%extend`` and ``%fetch``."""

from __future__ import annotations

import argparse
import time
from functools import lru_cache
from typing import Any

from cluster_agent.protocol import ACTIVE, DONE, State, parse_states
from cluster_agent.units import format_duration, format_size
from mlmagics.api import joint_failure
from mlmagics.cluster.overview import jobs
from mlmagics.display.live import ended_line
from mlmagics.display.tables import files_table, jobs_table
from mlmagics.display.watch import stoppable
from mlmagics.display.writing import say, show_table
from mlmagics.job.handle import Job
from mlmagics.job.references import find
from mlmagics.magics.options import duration
from mlmagics.magics.words import LineParser


@lru_cache
def wait_parser() -> LineParser:
    """The options of ``%wait``."""
    parser = LineParser("%wait", "Wait for jobs to end; stops the cell unless all of them succeed.")
    parser.add_argument("jobs", nargs="*", metavar="JOB", help="gpu-box/42; without any the last one")
    parser.add_argument("--timeout", type=duration, metavar="D", help="wait at most so long: 30m, 2h")
    return parser


def wait_for(line: str) -> None:
    """What the magic ``%wait`` does.

    Raises
    ------
    JobFailed
        When not all of them succeeded; once all have ended.
    WaitTimeout
        When the time was up.
    StoppedWatching
        When interrupted.
    """
    options = wait_parser().read(line)
    found = [find(ref) for ref in options.jobs] or [find()]
    deadline = None if options.timeout is None else time.monotonic() + options.timeout
    for job in found:
        if job.info.state in ACTIVE:
            say(f"Waiting for {job.ref} ({job.word}); an interrupt stops the waiting only")
        with stoppable(job.ref):
            job.wait_for_end(None if deadline is None else max(0.0, deadline - time.monotonic()))
        say(ended_line(job))
    failed = [job for job in found if job.info.state is not State.SUCCEEDED]
    if failed:
        raise joint_failure(failed)


@lru_cache
def jobs_parser() -> LineParser:
    """The options of ``%jobs``."""
    parser = LineParser("%jobs", "List your jobs on all clusters: the active ones and the last 20.")
    add = parser.add_argument
    add("--all", action="store_true", help="everybody's")
    add("--state", type=_states, metavar="S", help="only these: running, failed, active, done, ... (commas)")
    add("--since", type=duration, metavar="D", help="submitted at most so long ago: 2h, 7d")
    add("--name", metavar="TEXT", help="only jobs of this name")
    return parser


def list_jobs(shell: Any, line: str) -> None:
    """What the magic ``%jobs`` does."""
    options = jobs_parser().read(line)
    found = jobs(all_users=options.all, state=options.state, since=options.since, name=options.name)
    if found.jobs:
        show_table(shell, jobs_table(found.jobs, users=options.all, now=time.time()))
    else:
        say("No jobs." if not found.troubles else "No jobs on the clusters that answered.")
    for cluster, reason in found.troubles:
        say(f"{cluster} is missing here: {reason}")


def _states(text: str) -> str:
    try:
        parse_states(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


@lru_cache
def cancel_parser() -> LineParser:
    """The options of ``%cancel``."""
    parser = LineParser("%cancel", "Stop jobs: interrupt, grace time, then the end of all their processes.")
    parser.add_argument("jobs", nargs="+", metavar="JOB", help="gpu-box/42")
    return parser


def cancel_jobs(line: str) -> None:
    """What the magic ``%cancel`` does. All jobs are found before the first one is stopped."""
    found = [find(ref) for ref in cancel_parser().read(line).jobs]
    for job in found:
        had_ended = job.info.state in DONE
        job.cancel()
        name = f" {job.info.name}" if job.info.name else ""
        say(f"{job.ref}{name}: {'had ended already: ' if had_ended else ''}{job.word}")


@lru_cache
def extend_parser() -> LineParser:
    """The options of ``%extend``."""
    parser = LineParser("%extend", "Give a job more time before its limit ends it.")
    parser.add_argument("job", metavar="JOB", help="gpu-box/42")
    parser.add_argument("more", type=duration, metavar="D", help="so much more: 30m, 2h")
    return parser


def extend_job(line: str) -> None:
    """What the magic ``%extend`` does."""
    options = extend_parser().read(line)
    job = find(options.job).extend(options.more)
    say(f"{job.ref}: at most {format_duration(job.info.timeout_s)} in all")


@lru_cache
def fetch_parser() -> LineParser:
    """The options of ``%fetch``."""
    parser = LineParser("%fetch", "List what a job left in its working folder, or copy it here.")
    parser.add_argument("job", metavar="JOB", help="gpu-box/42")
    parser.add_argument("--files", nargs="?", const=".", metavar="DIR", help="copy the files to DIR, or here")
    return parser


def fetch(shell: Any, line: str) -> None:
    """What the magic ``%fetch`` does."""
    options = fetch_parser().read(line)
    job = find(options.job)
    if options.files is not None:
        paths = job.fetch_files(options.files)
        say("\n".join(f"{format_size(path.stat().st_size):>10}  {path}" for path in paths) or _nothing(job))
        return
    left = [entry for entry in job.files() if entry.type == "file"]
    if not left:
        say(_nothing(job))
        return
    show_table(shell, files_table(left))
    say(f"To copy them here: %fetch {job.ref} --files")


def _nothing(job: Job) -> str:
    return f"{job.ref} left no files in its working folder" + (" so far" if job.info.state in ACTIVE else "")
