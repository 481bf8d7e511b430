"""Who starts next, as a pure decision: first come, first served within a priority class.

The first job that does not fit waits, and all behind it wait for it, so that nobody with a large job starves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cluster_agent.units import format_size

_CLASSES = {"normal": 0, "low": 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """What a job needs, or what a box has: counted together, all or nothing."""

    gpus: int = 0
    cpus: int = 0
    memory_bytes: int = 0

    def fits(self, free: Need) -> bool:
        """Whether all of it is free."""
        return self.gpus <= free.gpus and self.cpus <= free.cpus and self.memory_bytes <= free.memory_bytes

    def __add__(self, other: Need) -> Need:
        return Need(
            gpus=self.gpus + other.gpus,
            cpus=self.cpus + other.cpus,
            memory_bytes=self.memory_bytes + other.memory_bytes,
        )

    def __sub__(self, other: Need) -> Need:
        return Need(
            gpus=self.gpus - other.gpus,
            cpus=self.cpus - other.cpus,
            memory_bytes=self.memory_bytes - other.memory_bytes,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A job in the queue."""

    job_id: int
    title: str
    need: Need
    priority: str = "normal"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a job stands in the queue, from 1, and why it waits."""

    position: int
    reason: str


def in_order(queue: Iterable[Waiting]) -> list[Waiting]:
    """The queue in the order in which jobs start."""
    return sorted(queue, key=lambda job: (_CLASSES[job.priority], job.job_id))


def pick(queue: Iterable[Waiting], free: Need) -> list[int]:
    """Ids of the jobs to start now, in order."""
    chosen = []
    for job in in_order(queue):
        if not job.need.fits(free):
            break
        free = free - job.need
        chosen.append(job.job_id)
    return chosen


def places(queue: Iterable[Waiting], free: Need) -> dict[int, Place]:
    """Place and reason of every waiting job."""
    found: dict[int, Place] = {}
    ahead: Waiting | None = None
    for position, job in enumerate(in_order(queue), start=1):
        reason = f"waits for {ahead.title}, which is ahead" if ahead else _missing(job.need, free)
        found[job.job_id] = Place(position=position, reason=reason)
        ahead = ahead or job
    return found


def _missing(need: Need, free: Need) -> str:
    """The scarcest thing that is missing; what else is missing usually comes free with it."""
    if need.gpus > free.gpus:
        return f"needs {need.gpus} GPU{'s' * (need.gpus != 1)}, {max(0, free.gpus)} free"
    if need.cpus > free.cpus:
        return f"needs {need.cpus} CPU{'s' * (need.cpus != 1)}, {max(0, free.cpus)} free"
    if need.memory_bytes > free.memory_bytes:
        left = format_size(max(0, free.memory_bytes))
        return f"needs {format_size(need.memory_bytes)} of memory, {left} free"
    return "starts next"
