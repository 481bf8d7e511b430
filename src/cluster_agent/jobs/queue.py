"""The jobs that wait: how many may, who starts next, and what each is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from cluster_agent.errors import QueueFull
from cluster_agent.jobs.drain import Drain
from cluster_agent.jobs.need import Need
from cluster_agent.jobs.order import Waiting
from cluster_agent.jobs.places import Place
from cluster_agent.jobs.records import JobRecord
from cluster_agent.jobs.scheduler import Scheduler
from cluster_agent.jobs.scheduling import Box, Held, Plan, Reservation
from cluster_agent.limits import LimitTable

#: What TERM and KILL may take after the grace.
_ENDING_S = 30.0
#: What may pass between the decision to start a job and its start, when everything is there.
_STARTING_S = 30.0


def need_of(record: JobRecord) -> Need:
    """What the job holds while it runs."""
    return Need(gpus=record.gpus, cpus=record.cpus, memory_bytes=record.memory_bytes)


def starting_s(record: JobRecord) -> float:
    """What may pass between the decision to start the job and its start, its environment included."""
    return _STARTING_S + record.prepare_s


def ending_s(record: JobRecord) -> float:
    """How long after its time limit the job may still hold that: until INT, TERM and KILL have had their time."""
    return record.grace_s + _ENDING_S


class Queue:
    """Waiting jobs of one agent, in memory; the store has them too.

    Parameters
    ----------
    most
        How many may wait in all.
    """

    def __init__(self, *, scheduler: Scheduler, limits: LimitTable, most: int) -> None:
        self.scheduler = scheduler
        self._limits = limits
        self._most = most
        self._records: dict[int, JobRecord] = {}
        self._waiting: dict[int, Waiting] = {}
        self._entering: Counter[str] = Counter()
        self._by_user: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, job_id: int) -> bool:
        return job_id in self._records

    def __iter__(self) -> Iterator[int]:
        return iter(self._records)

    @contextmanager
    def room(self, record: JobRecord) -> Iterator[None]:
        """A place in the queue that nobody else gets while the job is being written.

        Raises
        ------
        QueueFull
            Naming the limit.
        """
        in_all = len(self._records) + self._entering.total()
        if in_all >= self._most:
            raise QueueFull(f"{in_all} jobs wait already, which is all that this agent takes")
        mine = self._by_user[record.user] + self._entering[record.user]
        limit = self._limits.of(record.user, record.role).queued
        if mine >= limit:
            raise QueueFull(f"{mine} of your jobs wait already; your limit is {limit}")
        self._entering[record.user] += 1
        try:
            yield
        finally:
            self._entering[record.user] -= 1

    def title(self, job_id: int) -> str:
        """How people name a waiting job."""
        return self._records[job_id].title

    def add(self, record: JobRecord) -> None:
        """Let the job wait; one that waits already is changed."""
        if record.job_id not in self._records:
            self._by_user[record.user] += 1
        self._records[record.job_id] = msgspec.structs.replace(record, source="")
        self._waiting[record.job_id] = self.waiting(record)

    def take(self, job_id: int) -> JobRecord | None:
        """The job, which waits no longer; None when it did not."""
        record = self._records.pop(job_id, None)
        if record is not None:
            del self._waiting[job_id]
            self._by_user[record.user] -= 1
        return record

    def waiting(self, record: JobRecord) -> Waiting:
        """The job as the scheduler sees it."""
        limits = self._limits.of(record.user, record.role)
        return Waiting(
            job_id=record.job_id,
            title=record.title,
            user=record.user,
            need=need_of(record),
            lasts_s=starting_s(record) + record.timeout_s + ending_s(record),
            submitted_at=record.submitted_at,
            priority=record.priority,
            max_gpus=limits.gpus,
            max_jobs=limits.jobs,
            moved_at=record.moved_at,
        )

    @property
    def needs_gpus(self) -> bool:
        """Whether a job that waits needs a GPU."""
        return any(job.need.gpus for job in self._waiting.values())

    def starts_alone(self, record: JobRecord, box: Box) -> bool:
        """Whether the job starts at once, when no other waits."""
        job = self.waiting(record)
        return not self._records and job.need.fits(box.free()) and Held(box.holdings).cap(job) is None

    def decide(self, box: Box, now: float) -> Plan:
        """Which jobs start now."""
        return self.scheduler.decide(self._waiting.values(), box, now)

    def reservation(self, box: Box, now: float) -> Reservation | None:
        """The reservation that there would be with another box."""
        return self.scheduler.foresee(self._waiting.values(), box, now).reservation

    def places(self, box: Box, now: float, drain: Drain | None) -> dict[int, Place]:
        """Where each job stands."""
        return self.scheduler.places(self._waiting.values(), box, now, drain)
