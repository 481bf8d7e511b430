"""The scheduler of one box: pure decisions, and the little that they remember from one to the next."""

from __future__ import annotations

from collections.abc import Collection

from cluster_agent.jobs.drain import Drain
from cluster_agent.jobs.need import Need
from cluster_agent.jobs.order import Turns, Waiting, in_order
from cluster_agent.jobs.places import Place, places
from cluster_agent.jobs.scheduling import Box, Plan, decide
from cluster_agent.jobs.shares import Shares


class Scheduler:
    """Decides for a box that has ``total``. It acts on nothing and reads no clock."""

    def __init__(self, total: Need) -> None:
        self.shares = Shares(total)
        self._total = total
        self._turns = Turns()
        self._head: int | None = None

    def order(self, queue: Collection[Waiting], now: float) -> list[Waiting]:
        """The queue in its order."""
        return in_order(
            queue,
            total=self._total,
            share_of=lambda user: self.shares.of(user, now),
            since=self._turns.look(queue, now),
            head=self._head,
            now=now,
        )

    def decide(self, queue: Collection[Waiting], box: Box, now: float) -> Plan:
        """Which jobs start now; the one that gets the reservation keeps it until it starts."""
        plan = self.foresee(queue, box, now)
        self._head = plan.reservation.job_id if plan.reservation else None
        return plan

    def step(self, step_s: float) -> None:
        """The clock was set: move what is remembered along, so that nobody has waited or used more or less."""
        self.shares.step(step_s)
        self._turns.step(step_s)

    def take_back(self, job_id: int) -> None:
        """Let the reservation, if this job has it, go to whoever is first the next time."""
        if self._head == job_id:
            self._head = None

    def foresee(self, queue: Collection[Waiting], box: Box, now: float) -> Plan:
        """What would be decided, without deciding it."""
        return decide(self.order(queue, now), box, now)

    def places(
        self, queue: Collection[Waiting], box: Box, now: float, drain: Drain | None = None
    ) -> dict[int, Place]:
        """Where each job of the queue stands."""
        return places(self.order(queue, now), box, now, drain)
