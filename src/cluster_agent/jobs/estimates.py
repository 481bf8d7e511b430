"""When each waiting job starts at the latest, if all that run use their whole time. Pure.

The queue is played through in its order without backfill: each job starts when those before it have started
and it fits. New jobs of others can still come in between, so this is an estimate; only the reservation of the
first job that does not fit is kept in any case.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from cluster_agent.jobs.order import Waiting
from cluster_agent.jobs.scheduling import Box, Held, Holding, holding_of, uses_up


@dataclass(frozen=True, slots=True)
class Estimate:
    """When a job starts at the latest, and whose end it waits for then (None: nobody's)."""

    at: float
    after: Holding | None


def latest_starts(order: Sequence[Waiting], box: Box, now: float) -> dict[int, Estimate]:
    """An estimate for each job for which there can be one."""
    return _Play(order, box, now).run()


class _Play:
    """The queue played forward."""

    def __init__(self, order: Sequence[Waiting], box: Box, now: float) -> None:
        self._order, self._now = order, now
        self._index = 0
        self._free, self._reach = box.free(), box.reach()
        self._held = Held(box.holdings)
        self._tie = itertools.count()
        self._ends = [
            (held.ends_by, next(self._tie), held) for held in box.holdings if held.ends_by < math.inf
        ]
        heapq.heapify(self._ends)
        self._last: Holding | None = None
        #: jobs at a limit of their users, and those that may be at it no longer
        self._capped: dict[str, deque[int]] = {}
        self._again: list[int] = []

    def run(self) -> dict[int, Estimate]:
        found: dict[int, Estimate] = {}
        while (index := self._candidate()) is not None:
            job = self._order[index]
            if not job.need.fits(self._reach):
                self._pass(index)
            elif self._is_capped(index, job):
                self._pass(index)
                self._wait(index, job.user)
            elif job.need.fits(self._free):
                self._pass(index)
                self._start(job)
                found[job.job_id] = Estimate(self._now, self._last)
            elif not self._end():
                self._pass(index)
        return found

    def _candidate(self) -> int | None:
        """Index of the first job in order that may start; time passes while all are at limits of their users."""
        while True:
            if self._again and self._again[0] < self._index:
                return self._again[0]
            if self._index < len(self._order):
                return self._index
            if not self._capped or not self._end():
                return None

    def _pass(self, index: int) -> None:
        if self._again and self._again[0] == index:
            heapq.heappop(self._again)
        else:
            self._index += 1

    def _is_capped(self, index: int, job: Waiting) -> bool:
        line = self._capped.get(job.user)
        if line and index == self._index:
            cap = self._held.cap(self._order[line[0]])
            if cap is not None and uses_up(job, cap):
                return True
        return self._held.cap(job) is not None

    def _wait(self, index: int, user: str) -> None:
        line = self._capped.setdefault(user, deque())
        if line and index < line[0]:
            line.appendleft(index)
        else:
            line.append(index)

    def _start(self, job: Waiting) -> None:
        self._free = self._free - job.need
        self._held.add(job.user, job.need)
        held = holding_of(job, self._now)
        heapq.heappush(self._ends, (held.ends_by, next(self._tie), held))
        self._offer(job.user)

    def _end(self) -> bool:
        """Let the next one end; False when nothing ends any more."""
        if not self._ends:
            return False
        ends_by, _, held = heapq.heappop(self._ends)
        self._now, self._last = max(self._now, ends_by), held
        self._free = self._free + held.need
        if held.user is not None:
            self._held.take_off(held.user, held.need)
            self._offer(held.user)
        return True

    def _offer(self, user: str) -> None:
        """Give the first job of ``user`` that was at a limit another look."""
        line = self._capped.get(user)
        if line:
            heapq.heappush(self._again, line.popleft())
            if not line:
                del self._capped[user]
