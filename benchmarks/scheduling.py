"""How long jobs wait under three ways to choose who starts: a simulation, run by ``python -m benchmarks.scheduling``.

One user floods a box of 8 GPUs with jobs of one GPU; another submits a job of all 8 every 12 hours.
"""

from __future__ import annotations

import heapq
import random
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from cluster_agent.jobs.need import Need
from cluster_agent.jobs.order import Waiting
from cluster_agent.jobs.scheduler import Scheduler
from cluster_agent.jobs.scheduling import Box, Holding, Plan, holding_of

HOUR_S = 3600.0
BOX = Need(gpus=8, cpus=64, memory_bytes=2**39)


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """A job and how long it really runs."""

    job: Waiting
    runs_s: float


class Policy:
    """A way to choose who starts."""

    def decide(self, queue: Sequence[Waiting], box: Box, now: float) -> Plan:
        raise NotImplementedError

    def started(self, job: Waiting, now: float) -> None:
        """Told of each start."""

    def ended(self, job: Waiting, now: float) -> None:
        """Told of each end."""


class FirstFit(Policy):
    """Whatever fits starts, in the order of submission."""

    def decide(self, queue: Sequence[Waiting], box: Box, now: float) -> Plan:  # noqa: ARG002
        free, start = box.free(), []
        for job in queue:
            if job.need.fits(free):
                free = free - job.need
                start.append(job.job_id)
        return Plan(start=start)


class Fifo(Policy):
    """In the order of submission; the first that does not fit stops all behind it."""

    def decide(self, queue: Sequence[Waiting], box: Box, now: float) -> Plan:  # noqa: ARG002
        free, start = box.free(), []
        for job in queue:
            if not job.need.fits(free):
                break
            free = free - job.need
            start.append(job.job_id)
        return Plan(start=start)


class Ours(Policy):
    """What the agent does: classes, aging, shares, backfill with a reservation."""

    def __init__(self, total: Need = BOX) -> None:
        self._scheduler = Scheduler(total)

    def decide(self, queue: Sequence[Waiting], box: Box, now: float) -> Plan:
        return self._scheduler.decide(queue, box, now)

    def started(self, job: Waiting, now: float) -> None:
        self._scheduler.shares.take(job.user, job.need, now)

    def ended(self, job: Waiting, now: float) -> None:
        self._scheduler.shares.give_back(job.user, job.need, now)


@dataclass(kw_only=True)
class Simulation:
    """Time goes from one arrival or end to the next; the policy decides at each."""

    policy: Policy
    total: Need = BOX
    #: called after each decision with the box as it was before and the plan
    look: Callable[[float, Box, Plan], None] | None = None
    started_at: dict[int, float] = field(default_factory=dict)

    def run(self, arrivals: Iterable[Arrival]) -> dict[int, float]:
        """When each job started, by its id; jobs that never do are missing."""
        coming = sorted(
            arrivals, key=lambda arrival: (arrival.job.submitted_at, arrival.job.job_id), reverse=True
        )
        queue: dict[int, Arrival] = {}
        running: dict[int, Holding] = {}
        ends: list[tuple[float, int, Waiting]] = []
        while coming or ends:
            now = min(
                coming[-1].job.submitted_at if coming else float("inf"), ends[0][0] if ends else float("inf")
            )
            while ends and ends[0][0] <= now:
                _, job_id, job = heapq.heappop(ends)
                del running[job_id]
                self.policy.ended(job, now)
            while coming and coming[-1].job.submitted_at <= now:
                arrival = coming.pop()
                queue[arrival.job.job_id] = arrival
            box = Box(total=self.total, holdings=list(running.values()))
            plan = self.policy.decide([arrival.job for arrival in queue.values()], box, now)
            if self.look is not None:
                self.look(now, box, plan)
            for job_id in plan.start:
                arrival = queue.pop(job_id)
                running[job_id] = holding_of(arrival.job, now)
                heapq.heappush(ends, (now + arrival.runs_s, job_id, arrival.job))
                self.policy.started(arrival.job, now)
                self.started_at[job_id] = now
        return self.started_at


def flood_and_big(days: float = 10.0, seed: int = 1) -> list[Arrival]:
    """The load: 200 small jobs at once, then as many as the box can take, and the big one every 12 hours."""
    rng = random.Random(seed)
    found: list[Arrival] = []

    def add(user: str, gpus: int, at: float, runs_s: float) -> None:
        need = Need(gpus=gpus, cpus=8 * gpus, memory_bytes=gpus * 2**36)
        job_id = len(found) + 1
        job = Waiting(
            job_id=job_id,
            title=f"box/{job_id}",
            user=user,
            need=need,
            lasts_s=4 * HOUR_S,  # the default, which people leave as it is
            submitted_at=at,
        )
        found.append(Arrival(job=job, runs_s=runs_s))

    for _ in range(200):
        add("flood", 1, 0.0, rng.uniform(0.5, 4) * HOUR_S)
    at = 0.0
    while at < days * 24 * HOUR_S:
        at += rng.expovariate(3.2 / HOUR_S)
        add("flood", 1, at, rng.uniform(0.5, 4) * HOUR_S)
    for number in range(int(2 * days)):
        add("big", 8, (6 + 12 * number) * HOUR_S, HOUR_S)
    return found


@dataclass(frozen=True, kw_only=True)
class Waits:
    """How long the jobs of one user waited, in hours."""

    policy: str
    user: str
    hours: list[float]

    def row(self) -> str:
        """The figures as a line of a table."""
        median, most = statistics.median(self.hours), max(self.hours)
        return f"| {self.policy} | {self.user} | {len(self.hours)} | {median:.1f} h | {most:.1f} h |"


def waits(arrivals: Sequence[Arrival]) -> list[Waits]:
    """Waits of each user under each policy."""
    found = []
    for name, policy in (("first fit", FirstFit()), ("first come, first served", Fifo()), ("ours", Ours())):
        started = Simulation(policy=policy).run(arrivals)
        for user in ("big", "flood"):
            hours = [
                (started[arrival.job.job_id] - arrival.job.submitted_at) / HOUR_S
                for arrival in arrivals
                if arrival.job.user == user
            ]
            found.append(Waits(policy=name, user=user, hours=hours))
    return found


def table() -> list[str]:
    """The comparison as lines of Markdown."""
    head = ["| policy | user | jobs | median wait | longest wait |", "|---|---|---|---|---|"]
    return head + [figure.row() for figure in waits(flood_and_big())]


if __name__ == "__main__":
    print("\n".join(table()))
