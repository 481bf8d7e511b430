"""What the commands for ops tell and do while the agent serves: queue, jobs, usage, draining, old jobs."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from cluster_agent.client import AgentClient
from cluster_agent.console import agent, columns, day, minute
from cluster_agent.isolation.levels import sentence
from cluster_agent.protocol import ACTIVE, GcReport, Info, Job, JobList, State, Usage, UsageReport, word
from cluster_agent.units import format_clock, format_duration, format_size

#: Deleting can take long.
_GC_TIMEOUT_S = 3600.0
_PAGE = 1000


def status(home: Path, *, as_json: bool) -> list[str]:
    """Lines that tell what the agent is, what runs and what waits."""
    with agent(home) as client:
        info = client.info()
        if as_json:
            return _json(info)
        jobs = _all(client, ACTIVE)
    now = time.time()
    waiting = sum(job.state is State.QUEUED for job in jobs)
    shown = [job for job in jobs if job.state is not State.QUEUED]
    lines = _status_lines(info, now) + [f"  {line}" for line in _job_lines(shown, now)]
    return lines + ([f"  {waiting} more wait: cluster-agent queue"] if waiting else [])


def _status_lines(info: Info, now: float) -> list[str]:
    levels = info.isolation_levels or [info.isolation]
    lines = [
        f"cluster-agent {info.version} at {info.public_url}, up {format_duration(info.uptime_s)}",
        f"agent id   {info.agent_id}",
        f"GPUs       {info.gpus_free} of {info.gpus} free",
        f"CPUs       {info.cpus_free} of {info.cpus} free",
        f"memory     {format_size(info.memory_free_bytes)} of {format_size(info.memory_bytes)} free",
        f"jobs       {info.running} running, {info.queued} queued",
        f"storage    ended jobs take {format_size(info.kept_bytes)}; {format_size(info.disk_free_bytes)} free on disk",
        f"python     {info.python} ({info.python_version})",
        *(f"project    {project.name}: {project.url}" for project in info.projects),
        f"isolation  {', '.join(levels)}: {sentence(levels)}",
        f"restart    jobs {'outlive' if info.survives_restart else 'DO NOT outlive'} a restart of the agent",
    ]
    if info.draining:
        lines.append(f"DRAINING   {drain_words(info, now)}")
    return [*lines, f"REMARK     {info.remark}"] if info.remark else lines


def drain_words(info: Info, now: float) -> str:
    """What a draining agent does, in one line."""
    until = f" until {format_clock(info.drain_until, now)}" if info.drain_until is not None else ""
    message = f": {info.drain_message}" if info.drain_message else ""
    return f"no job is started{until}{message}"


def queue(home: Path, *, as_json: bool) -> list[str]:
    """The waiting jobs in their order, each with the reason why it waits."""
    with agent(home) as client:
        info = client.info()
        jobs = sorted(_all(client, {State.QUEUED}), key=lambda job: job.position or 0)
    if as_json:
        return _json(JobList(jobs=jobs))
    now = time.time()
    lines = [f"draining: {drain_words(info, now)}"] if info.draining else []
    if not jobs:
        return [*lines, "no job waits"]
    rows = [("PLACE", "JOB", "USER", "NAME", "NEEDS", "PRIORITY", "WAITS", "STARTS BY", "BECAUSE")]
    rows += [
        (
            str(job.position or "-"),
            str(job.job_id),
            job.user,
            job.name or "-",
            _needs(job),
            job.priority,
            format_duration(max(0, int(now - job.submitted_at))),
            "-" if job.starts_by is None else format_clock(job.starts_by, now),
            job.waiting_for or "-",
        )
        for job in jobs
    ]
    return lines + columns(rows)


def jobs(
    home: Path,
    *,
    states: frozenset[State] | None,
    user: str | None,
    since: float | None,
    count: int,
    as_json: bool,
) -> list[str]:
    """The newest jobs."""
    with agent(home) as client:
        found = client.jobs(states=states, user=user, since=since, limit=min(count, _PAGE)).jobs
    if as_json:
        return _json(JobList(jobs=found))
    return _job_lines(found, time.time()) or ["no job"]


def _job_lines(jobs: Sequence[Job], now: float) -> list[str]:
    if not jobs:
        return []
    rows = [("JOB", "STATE", "USER", "NAME", "NEEDS", "SUBMITTED", "WAITED", "RAN", "NOTE")]
    for job in jobs:
        waited = (job.started_at or job.ended_at or now) - job.submitted_at
        ran = (job.ended_at or now) - job.started_at if job.started_at is not None else None
        rows.append(
            (
                str(job.job_id),
                word(job.state, stopping=job.stopping),
                job.user,
                job.name or "-",
                _needs(job),
                minute(job.submitted_at),
                format_duration(max(0, int(waited))),
                "-" if ran is None else format_duration(max(0, int(ran))),
                job.waiting_for or job.reason or "",
            )
        )
    return columns(rows)


def _needs(job: Job) -> str:
    gpus = f"{job.gpus} GPU{'s' * (job.gpus != 1)}, " if job.gpus else ""
    return f"{gpus}{job.cpus} CPU{'s' * (job.cpus != 1)}, {format_size(job.memory_bytes)}"


def usage(home: Path, *, since: float | None, as_csv: bool, as_json: bool) -> list[str]:
    """What each user had of the box."""
    with agent(home) as client:
        report = client.usage(since)
    if as_json:
        return _json(report)
    return _usage_csv(report.users) if as_csv else _usage_lines(report)


def _usage_lines(report: UsageReport) -> list[str]:
    used = sum(user.gpu_hours for user in report.users)
    lines = [f"from {minute(report.since_at)} to {minute(report.until_at)}"]
    if report.gpu_hours:
        part = used / report.gpu_hours
        lines[0] += f": GPUs were held {used:.0f} of {report.gpu_hours:.0f} hours, {part:.0%}"
    if report.complete_since_at is not None:
        lines.append(
            f"jobs that ended before {day(report.complete_since_at)} have been deleted and count no longer"
        )
    rows = [("USER", "JOBS", "FAILED", "GPU-HOURS", "CPU-HOURS", "MEDIAN WAIT", "LONGEST WAIT", "ON DISK")]
    rows += [
        (
            user.user,
            str(user.jobs),
            str(user.failed),
            f"{user.gpu_hours:.1f}",
            f"{user.cpu_hours:.1f}",
            _wait(user.median_wait_s),
            _wait(user.longest_wait_s),
            format_size(user.kept_bytes),
        )
        for user in report.users
    ]
    return lines + (columns(rows) if report.users else ["no job"])


def _wait(seconds: float | None) -> str:
    return "-" if seconds is None else format_duration(int(seconds))


def _usage_csv(users: Sequence[Usage]) -> list[str]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Usage.__struct_fields__)
    writer.writerows([getattr(user, name) for name in Usage.__struct_fields__] for user in users)
    return text.getvalue().splitlines()


def drain(home: Path, *, until: float | None, message: str) -> list[str]:
    """Start no jobs for the time being; a line that says so, and how to go back."""
    with agent(home) as client:
        info = client.drain(until_at=until, message=message)
    return [
        f"draining: {drain_words(info, time.time())}",
        f"{info.running} running jobs go on, {info.queued} wait; what is submitted waits too",
        f"end it with: cluster-agent resume --home {home}",
    ]


def resume(home: Path) -> list[str]:
    """Start jobs again; a line that says so."""
    with agent(home) as client:
        was = client.info().draining
        info = client.resume()
    if not was:
        return ["it was not draining"]
    return [f"jobs are started again; {info.queued} wait"]


def move(home: Path, job_id: int, *, first: bool) -> list[str]:
    """Put a waiting job before all others, or back; a line that tells its place."""
    with agent(home) as client:
        client.move(job_id, first=first)
        job = client.job(job_id)
    if job.state is not State.QUEUED:
        return [f"job {job_id} is {word(job.state)}"]
    return [f"job {job_id} has place {job.position}: {job.waiting_for}"]


def collect(home: Path, *, dry_run: bool, as_json: bool) -> list[str]:
    """Delete old jobs now; lines that tell how many and how much."""
    with agent(home, _GC_TIMEOUT_S) as client:
        report = client.collect(dry_run=dry_run)
    return _json(report) if as_json else _gc_lines(report)


def _gc_lines(report: GcReport) -> list[str]:
    verb = "would be deleted" if report.dry_run else "deleted"
    lines = [f"{_count(report.deleted)} {verb}, {format_size(report.freed_bytes)}"]
    if report.job_ids:
        more = (
            f" and {report.deleted - len(report.job_ids)} more"
            if report.deleted > len(report.job_ids)
            else ""
        )
        lines.append(f"  {_ranges(report.job_ids)}{more}")
    lines.append(f"{_count(report.kept)} stay{'s' * (report.kept == 1)}, {format_size(report.kept_bytes)}")
    return [*lines, *_environment_lines(report, verb)]


def _environment_lines(report: GcReport, verb: str) -> list[str]:
    found = report.environments
    if not found.deleted and not found.kept:
        return []
    lines = [f"{_environments(found.deleted)} {verb}, {format_size(found.freed_bytes)}"]
    if found.keys:
        more = f" and {found.deleted - len(found.keys)} more" if found.deleted > len(found.keys) else ""
        lines.append(f"  {', '.join(found.keys)}{more}")
    stay = "stays" if found.kept == 1 else "stay"
    return [*lines, f"{_environments(found.kept)} {stay}, {format_size(found.kept_bytes)} with what uv keeps"]


def _environments(number: int) -> str:
    return f"{number} environment{'s' * (number != 1)}"


def _count(number: int) -> str:
    return f"{number} ended job{'s' * (number != 1)}"


def _ranges(job_ids: Sequence[int]) -> str:
    """Ids in rising order, runs of them as ``3-17``."""
    runs: list[list[int]] = []
    for job_id in sorted(job_ids):
        if runs and runs[-1][-1] == job_id - 1:
            runs[-1][1:] = [job_id]
        else:
            runs.append([job_id])
    return ", ".join("-".join(map(str, run)) for run in runs)


def _all(client: AgentClient, states: frozenset[State] | set[State]) -> list[Job]:
    """All jobs in these states, page after page."""
    found: list[Job] = []
    after: str | None = None
    while True:
        page = client.jobs(states=states, limit=_PAGE, after=after)
        found += page.jobs
        after = page.next
        if after is None:
            return found


def _json(value: msgspec.Struct) -> list[str]:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode().splitlines()
