"""In which order jobs wait. Pure: queue, shares and time in, a list out.

1. what an admin has put first, the last one so put before the others
2. the job that has the reservation, so that it keeps it; but behind those of higher classes
3. by class: high, normal, low
4. users whose next job has waited for half a day, the longest first
5. users by share, each job that is placed counting for the next as if it ran already
6. of one user, or at the same share, in the order of submission, which is that of the ids

A user's *next* job is the oldest of a class. It counts as waiting from when it became next: the backlog of
somebody who has a job started every hour does not grow old. Each two days of that lift a job by a class, so
that everything starts in the end, whatever else comes.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from cluster_agent.jobs.need import Need
from cluster_agent.protocol import Priority

#: A user's next job that has waited so long goes before those of users with a smaller share.
AGED_S = 12 * 3600.0
#: One that has waited so long rises by a class.
LIFTED_S = 48 * 3600.0
_CLASSES: dict[Priority, int] = {"high": 0, "normal": 1, "low": 2}


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A job in the queue, as far as its turn depends on it."""

    job_id: int
    title: str
    user: str
    need: Need
    #: how long it holds that at most, from its start on
    lasts_s: float
    submitted_at: float
    priority: Priority = "normal"
    #: of its user: GPUs and jobs at once, None for any number
    max_gpus: int | None = None
    max_jobs: int | None = None
    #: when an admin put it first
    moved_at: float | None = None


class Turns:
    """Since when each user's next job has been next. The only thing about order that has a memory."""

    def __init__(self) -> None:
        self._next: dict[tuple[str, Priority], tuple[int, float]] = {}

    def look(self, queue: Iterable[Waiting], now: float) -> dict[int, float]:
        """The time by job, for next jobs only. A user's first job waits since it was submitted."""
        first: dict[tuple[str, Priority], Waiting] = {}
        for job in queue:
            key = (job.user, job.priority)
            if key not in first or job.job_id < first[key].job_id:
                first[key] = job
        known = self._next
        self._next = {}
        for key, job in first.items():
            job_id, since = known.get(key, (job.job_id, min(job.submitted_at, now)))
            self._next[key] = (job.job_id, since if job_id == job.job_id else now)
        return dict(self._next.values())

    def step(self, step_s: float) -> None:
        """The clock was set by so much."""
        self._next = {key: (job_id, since + step_s) for key, (job_id, since) in self._next.items()}


def in_order(
    queue: Collection[Waiting],
    *,
    total: Need,
    share_of: Callable[[str], float],
    since: Mapping[int, float],
    head: int | None,
    now: float,
) -> list[Waiting]:
    """The queue in the order in which its jobs have their turn.

    Parameters
    ----------
    total
        What the box has.
    share_of
        The share of a user.
    since
        From :class:`Turns`.
    head
        Id of the job that had the reservation when this was last decided.
    """
    classes: dict[int, list[Waiting]] = defaultdict(list)
    placed: list[Waiting] = []
    reserved: Waiting | None = None
    for job in queue:
        if job.moved_at is not None:
            placed.append(job)
        elif job.job_id == head:
            reserved = job
        else:
            classes[_rank(job, since, now)].append(job)
    placed.sort(key=lambda job: (-(job.moved_at or 0.0), job.job_id))
    shares: dict[str, float] = defaultdict(float)
    for job in [*placed, reserved] if reserved else placed:
        shares[job.user] += job.need.share(total)
    for rank in sorted(classes):
        placed += _one_class(classes[rank], total, share_of, since, now, shares)
    if reserved is not None:
        placed.insert(_index_of_head(placed, _rank(reserved, since, now)), reserved)
    return placed


def _rank(job: Waiting, since: Mapping[int, float], now: float) -> int:
    """The job's class from 0, the highest, with what waiting has lifted it."""
    waited_s = max(0.0, now - since.get(job.job_id, now))
    return max(0, _CLASSES[job.priority] - int(waited_s // LIFTED_S))


def _index_of_head(placed: list[Waiting], rank: int) -> int:
    """Before all that were submitted in this class or a lower one, also where waiting has lifted them."""
    behind = (
        index for index, job in enumerate(placed) if job.moved_at is None and _CLASSES[job.priority] >= rank
    )
    return next(behind, len(placed))


def _one_class(
    jobs: list[Waiting],
    total: Need,
    share_of: Callable[[str], float],
    since: Mapping[int, float],
    now: float,
    placed_shares: dict[str, float],
) -> list[Waiting]:
    """One class in order; ``placed_shares`` has what was placed of each user so far, and is kept up."""
    placed: list[Waiting] = []
    lines: dict[str, list[Waiting]] = defaultdict(list)
    for job in jobs:
        if now - since.get(job.job_id, now) >= AGED_S:
            placed.append(job)
        else:
            lines[job.user].append(job)
    placed.sort(key=lambda job: (since[job.job_id], job.job_id))
    for job in placed:
        placed_shares[job.user] += job.need.share(total)
    heap = []
    for user, line in lines.items():
        line.sort(key=lambda job: job.job_id, reverse=True)
        share = share_of(user) + placed_shares[user]
        heap.append((share, line[-1].job_id, user))
    heapq.heapify(heap)
    while heap:
        share, _, user = heap[0]
        line = lines[user]
        job = line.pop()
        placed.append(job)
        more = job.need.share(total)
        placed_shares[user] += more
        if line:
            heapq.heapreplace(heap, (share + more, line[-1].job_id, user))
        else:
            heapq.heappop(heap)
    return placed
