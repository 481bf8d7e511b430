"""What each user had of the box in a span of time. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from cluster_agent.jobs.past import Kept, Turnout
from cluster_agent.protocol import DONE, State, Usage

_HOUR_S = 3600.0
_FAILED = DONE - {State.SUCCEEDED, State.CANCELLED}


def usage(turnouts: Iterable[Turnout], kept: Mapping[str, Kept], since: float, until: float) -> list[Usage]:
    """A line for each user, by GPU-hours and then CPU-hours, the most first."""
    by_user: dict[str, list[Turnout]] = defaultdict(list)
    for job in turnouts:
        by_user[job.user].append(job)
    lines = [
        _line(user, jobs, kept.get(user, Kept()).disk_bytes, since, until) for user, jobs in by_user.items()
    ]
    return sorted(lines, key=lambda line: (-line.gpu_hours, -line.cpu_hours, line.user))


def _line(user: str, jobs: Sequence[Turnout], kept_bytes: int, since: float, until: float) -> Usage:
    ran = [(job, _seconds(job, since, until)) for job in jobs]
    waits = sorted(max(0.0, job.started_at - job.submitted_at) for job in jobs if job.started_at is not None)
    return Usage(
        user=user,
        jobs=len(jobs),
        failed=sum(job.state in _FAILED for job in jobs),
        gpu_hours=sum(job.gpus * seconds for job, seconds in ran) / _HOUR_S,
        cpu_hours=sum(job.cpus * seconds for job, seconds in ran) / _HOUR_S,
        median_wait_s=(waits[(len(waits) - 1) // 2] + waits[len(waits) // 2]) / 2 if waits else None,
        longest_wait_s=waits[-1] if waits else None,
        kept_bytes=kept_bytes,
    )


def _seconds(job: Turnout, since: float, until: float) -> float:
    """How long the job ran within the span."""
    if job.started_at is None:
        return 0.0
    ended_at = until if job.ended_at is None else job.ended_at
    return max(0.0, min(ended_at, until) - max(job.started_at, since))
