"""Who starts now, as a pure decision: EASY backfill.

Jobs start in their order while they fit. The first that does not fit gets a reservation: the moment at which
it fits even if all that run use their whole time. Those behind it start only if they cannot delay it: they
end by then, or leave enough beside it. Who is at a limit of their own is passed over, and gets no reservation.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from cluster_agent.jobs.need import Need
from cluster_agent.jobs.order import Waiting

#: A limit of the user's own that keeps a job waiting.
Cap = Literal["gpus", "jobs"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Holding:
    """Something that holds a part of the box."""

    need: Need
    #: when it is given back at the latest; infinity where nobody knows
    ends_by: float = math.inf
    #: the job that holds it; None for a program outside
    job_id: int | None = None
    #: how people name the job, or what they are told of who else holds it
    title: str = ""
    #: whose limits it counts for; None for a program outside
    user: str | None = None
    #: the job has ended, and processes of it cannot be killed
    left_behind: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """What there is, and who holds what of it."""

    total: Need
    holdings: Sequence[Holding] = ()

    def free(self) -> Need:
        """What nobody holds; below zero where more is held than there is."""
        return _minus(self.total, self.holdings)

    def reach(self) -> Need:
        """What is free once all has ended of which it is known when."""
        return _minus(self.total, (held for held in self.holdings if held.ends_by == math.inf))


@dataclass(frozen=True, kw_only=True, slots=True)
class Reservation:
    """When the first job that does not fit can start at the latest."""

    job_id: int
    at: float
    #: what ends then
    after: Holding


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What follows from queue and box."""

    #: ids of the jobs to start now, in order
    start: list[int]
    reservation: Reservation | None = None


class Held:
    """How many GPUs and jobs each user has at once, and who waits at a limit."""

    def __init__(self, holdings: Iterable[Holding]) -> None:
        self._gpus: dict[str, int] = defaultdict(int)
        self._jobs: dict[str, int] = defaultdict(int)
        self._waits: dict[str, set[Cap]] = defaultdict(set)
        for holding in holdings:
            if holding.user is not None:
                self.add(holding.user, holding.need)

    def add(self, user: str, need: Need) -> None:
        """Count a job more."""
        self._gpus[user] += need.gpus
        self._jobs[user] += 1

    def take_off(self, user: str, need: Need) -> None:
        """Count a job less."""
        self._gpus[user] -= need.gpus
        self._jobs[user] -= 1

    def cap(self, job: Waiting, beside: Need | None = None) -> Cap | None:
        """The limit of its user that keeps ``job`` from starting, beside one more job that needs ``beside``.

        A job that alone is more than the limit (which was higher once) may start when it is alone.
        """
        jobs = self._jobs[job.user] + (beside is not None)
        if job.max_jobs is not None and jobs >= max(1, job.max_jobs):
            return "jobs"
        gpus = self._gpus[job.user] + (beside.gpus if beside else 0)
        if job.max_gpus is not None and job.need.gpus and gpus and gpus + job.need.gpus > job.max_gpus:
            return "gpus"
        return None

    def turn(self, job: Waiting) -> Cap | None:
        """The limit that ``job`` waits for, given its turn after those before it.

        Where an earlier job of the same user waits for a limit, a later one must not use it up, or the
        earlier one would never fit.
        """
        for cap in self._waits.get(job.user, ()):
            if uses_up(job, cap):
                return cap
        found = self.cap(job)
        if found is not None:
            self._waits[job.user].add(found)
        return found


def uses_up(job: Waiting, cap: Cap) -> bool:
    """Whether ``job`` takes what another job of the same user, at the limit ``cap``, waits for."""
    return cap == "jobs" or job.need.gpus > 0


class _Deciding:
    """A decision in the making: what is left of the box as jobs are given their turn."""

    def __init__(self, box: Box, now: float) -> None:
        self._now = now
        self._total, self._reach = box.total, box.reach()
        self._holdings = list(box.holdings)
        self._held = Held(self._holdings)
        self._head: Waiting | None = None
        #: what is free when the head starts, beside the head
        self._beside = Need()
        self.free = box.free()
        self.start: list[int] = []
        self.reservation: Reservation | None = None

    def turn(self, job: Waiting) -> None:
        """Start the job if it can start, reserve for it if it is the first that cannot."""
        if not job.need.fits(self._reach) or self._held.turn(job) is not None:
            return
        if self._head is None or self.reservation is None:
            if job.need.fits(self.free):
                self._take(job)
            else:
                self._reserve(job)
        elif job.need.fits(self.free) and self._leaves(self._head, self.reservation, job):
            self._take(job)

    def _reserve(self, job: Waiting) -> None:
        self._head = job
        self.reservation = reservation = reserve(job, self._holdings, self._total, self._now)
        later = (held for held in self._holdings if held.ends_by > reservation.at)
        self._beside = _minus(self._total, later) - job.need

    def _leaves(self, head: Waiting, reservation: Reservation, job: Waiting) -> bool:
        """Whether ``job`` leaves the reservation as it is."""
        if job.user == head.user and self._held.cap(head, beside=job.need) is not None:
            return False
        if self._now + job.lasts_s <= reservation.at:
            return True
        if not job.need.fits(self._beside):
            return False
        self._beside = self._beside - job.need
        return True

    def _take(self, job: Waiting) -> None:
        self.start.append(job.job_id)
        self.free = self.free - job.need
        self._held.add(job.user, job.need)
        self._holdings.append(holding_of(job, self._now))


def decide(order: Iterable[Waiting], box: Box, now: float) -> Plan:
    """Which jobs of a queue in order start now, and which one has the reservation."""
    deciding = _Deciding(box, now)
    for job in order:
        deciding.turn(job)
        if deciding.reservation is not None and deciding.free.cpus < 1:
            break  # no job does without a CPU
    return Plan(start=deciding.start, reservation=deciding.reservation)


def holding_of(job: Waiting, started_at: float) -> Holding:
    """What ``job`` holds when it starts at ``started_at``."""
    return Holding(
        need=job.need,
        ends_by=started_at + job.lasts_s,
        job_id=job.job_id,
        title=job.title,
        user=job.user,
    )


def reserve(job: Waiting, holdings: Iterable[Holding], total: Need, now: float) -> Reservation:
    """When ``job``, which does not fit now but in reach, fits at the latest."""
    in_turn = sorted(holdings, key=lambda held: held.ends_by)
    free = _minus(total, in_turn)
    for held in in_turn:
        free = free + held.need
        if job.need.fits(free):
            return Reservation(job_id=job.job_id, at=max(now, held.ends_by), after=held)
    raise ValueError(f"job {job.job_id} never fits")


def _minus(total: Need, holdings: Iterable[Holding]) -> Need:
    gpus, cpus, memory_bytes = total.gpus, total.cpus, total.memory_bytes
    for held in holdings:
        gpus -= held.need.gpus
        cpus -= held.need.cpus
        memory_bytes -= held.need.memory_bytes
    return Need(gpus=gpus, cpus=cpus, memory_bytes=memory_bytes)
