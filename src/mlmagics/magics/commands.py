"""``%wait``, ``%cancel`` and ``%extend``: commands on jobs that are under way."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache

from cluster_agent.protocol import ACTIVE, DONE, State
from cluster_agent.units import format_duration
from mlmagics.api import joint_failure
from mlmagics.cluster.overview import jobs
from mlmagics.display.live import told_end
from mlmagics.display.tables import day_and_time
from mlmagics.display.watch import stoppable
from mlmagics.display.writing import say
from mlmagics.errors import UserError, WaitTimeout
from mlmagics.job.handle import Job
from mlmagics.job.references import find
from mlmagics.magics.contact import Contact
from mlmagics.magics.options import duration
from mlmagics.magics.words import LineParser, WrongUse

#: ``%cancel`` stays so long to see whether the jobs end.
_SEE_END_S = 2.0
#: From the interrupt to TERM at most, and from there to KILL; what the agent does.
_CANCEL_GRACE_S = _KILL_S = 10.0


@lru_cache
def wait_parser() -> LineParser:
    """The options of ``%wait``."""
    parser = LineParser(
        "%wait",
        "Wait for jobs to end; stops the cell unless all of them succeed.",
        examples=("%wait", "%wait gpu-box/42 gpu-box/43 --timeout 2h"),
    )
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
    found = _all_of(options.jobs, "nothing was waited for") or [find()]
    deadline = None if options.timeout is None else time.monotonic() + options.timeout
    for job in found:
        if job.info.state in ACTIVE:
            say(f"Waiting for {job.ref} ({job.word}); an interrupt stops the waiting only")
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        with stoppable(job.ref):
            job.wait_for_end(left, on_trouble=Contact(job.cluster).tell)
        say(told_end(job))
    failed = [job for job in found if job.info.state is not State.SUCCEEDED]
    if failed:
        raise joint_failure(failed)


def _all_of(refs: Sequence[str], otherwise: str) -> list[Job]:
    """The jobs that ``refs`` name; an error says that with one wrong name ``otherwise`` holds."""
    try:
        return list({job.ref: job for job in map(find, refs)}.values())
    except UserError as error:
        if len(refs) > 1:
            error.message = f"{error.message} ({otherwise})"
            error.args = (error.message,)
        raise


@lru_cache
def cancel_parser() -> LineParser:
    """The options of ``%cancel``."""
    parser = LineParser(
        "%cancel",
        "Stop jobs: an interrupt, TERM 10 s later, KILL another 10 s later, for all their processes.",
        examples=("%cancel gpu-box/42 gpu-box/43", "%cancel --mine --cluster gpu-box --yes"),
    )
    add = parser.add_argument
    add("jobs", nargs="*", metavar="JOB", help="gpu-box/42")
    add("--mine", action="store_true", help="all my jobs that have not ended; lists them without --yes")
    add("--cluster", metavar="NAME", help="with --mine: only those there")
    add("--yes", action="store_true", help="with --mine: do it")
    return parser


def cancel_jobs(line: str) -> None:
    """What the magic ``%cancel`` does. All jobs are found before the first one is stopped.

    Raises
    ------
    UserError
        When a job cannot be found, and nothing was cancelled; or when some could not be cancelled.
    """
    options = cancel_parser().read(line)
    if options.mine == bool(options.jobs):
        raise WrongUse(
            "%cancel: name the jobs, as in %cancel gpu-box/42, or write --mine for all that are yours"
        )
    if not options.mine and (options.cluster or options.yes):
        raise WrongUse("%cancel: --cluster and --yes go with --mine")
    found = _mine(options.cluster) if options.mine else _all_of(options.jobs, "nothing was cancelled")
    if options.mine and not options.yes:
        for job in found:
            say(f"{_titled(job)}: {job.word}")
        if found:
            where = f" --cluster {options.cluster}" if options.cluster else ""
            say(f"To cancel {'it' if len(found) == 1 else 'all of them'}: %cancel --mine{where} --yes")
        return
    _cancel(found)


def _mine(cluster: str | None) -> list[Job]:
    table = jobs(on=cluster, state="active")
    for name, reason in table.troubles:
        say(f"{name} is missing here: {reason}")
    if not table.jobs:
        say("No job of yours is active" + (f" on {cluster}" if cluster else ""))
    return table.jobs


def _cancel(found: Sequence[Job]) -> None:
    troubles, stopping = [], []
    for job in found:
        if job.info.state in DONE:
            say(f"{_titled(job)}: had ended already: {job.word}")
            continue
        try:
            job.cancel()
        except UserError as error:
            troubles.append(f"{job.ref} was not cancelled: {error.message}")
            continue
        stopping.append(job)
        if job.info.state in ACTIVE:
            term_s = min(job.info.grace_s, _CANCEL_GRACE_S)
            say(
                f"{_titled(job)}: asked to stop: an interrupt now, TERM after {format_duration(term_s)}, KILL "
                f"{format_duration(_KILL_S)} later"
            )
    deadline = time.monotonic() + _SEE_END_S
    for job in stopping:
        with stoppable(job.ref):
            try:
                job.wait_for_end(max(0.01, deadline - time.monotonic()))
                say(told_end(job))
            except WaitTimeout:
                say(f"{job.ref} is still Stopping. To wait for its end: %wait {job.ref}")
    if troubles:
        raise UserError("; ".join(troubles))


def _titled(job: Job) -> str:
    return f"{job.ref} {job.info.name}" if job.info.name else job.ref


@lru_cache
def extend_parser() -> LineParser:
    """The options of ``%extend``."""
    parser = LineParser(
        "%extend", "Give a job more time before its limit ends it.", examples=("%extend gpu-box/42 2h",)
    )
    parser.add_argument("job", metavar="JOB", help="gpu-box/42")
    parser.add_argument("more", type=duration, metavar="D", help="so much more: 30m, 2h")
    return parser


def extend_job(line: str) -> None:
    """What the magic ``%extend`` does.

    Raises
    ------
    UserError
        When the job has ended, or would run longer than its agent allows.
    """
    options = extend_parser().read(line)
    job = find(options.job)
    if job.info.state in DONE:
        raise UserError(
            f"{job.ref} has ended ({job.word}), no time can be added. To run it again with more: %resubmit "
            f"{job.ref} --timeout D"
        )
    job.extend(options.more)
    ends = ""
    if job.info.deadline_at is not None:
        ends = f", until {day_and_time(job.info.deadline_at, time.time())}"
    say(f"{_titled(job)}: at most {format_duration(job.info.timeout_s)} in all{ends}")
