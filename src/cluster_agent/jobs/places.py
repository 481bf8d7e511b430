"""Where each waiting job stands, why it waits, and when it starts at the latest: told to people. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cluster_agent.jobs.drain import Drain
from cluster_agent.jobs.estimates import Estimate, latest_starts
from cluster_agent.jobs.need import Need
from cluster_agent.jobs.order import Waiting
from cluster_agent.jobs.scheduling import Box, Cap, Held, Holding
from cluster_agent.units import format_clock, format_size

#: Estimates are rounded up to so much, so that they do not change with every second.
_ROUND_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a job stands in the queue, from 1, and why it waits."""

    position: int
    reason: str
    #: when it starts at the latest as far as can be told, Unix seconds
    starts_by: float | None = None


def places(order: Sequence[Waiting], box: Box, now: float, drain: Drain | None = None) -> dict[int, Place]:
    """The place of every waiting job, by its id."""
    telling = _Telling(order, box, now, drain)
    return {job.job_id: telling.place(index) for index, job in enumerate(order)}


class _Telling:
    def __init__(self, order: Sequence[Waiting], box: Box, now: float, drain: Drain | None) -> None:
        self._order, self._total, self._now, self._drain = order, box.total, now, drain
        self._free, self._reach = box.free(), box.reach()
        self._held = Held(box.holdings)
        self._unknown = [held for held in box.holdings if held.ends_by == math.inf]
        self._waiting = {job.job_id: job.title for job in order}
        if drain is None or drain.until is not None:
            from_at = now if drain is None else max(now, drain.until or now)
            self._estimates = latest_starts(order, box, from_at)
        else:
            self._estimates = {}

    def place(self, index: int) -> Place:
        job = self._order[index]
        estimate = self._estimates.get(job.job_id)
        return Place(
            position=index + 1,
            reason=self._reason(index, job, self._held.turn(job), estimate),
            starts_by=math.ceil(estimate.at / _ROUND_S) * _ROUND_S if estimate else None,
        )

    def _reason(self, index: int, job: Waiting, cap: Cap | None, estimate: Estimate | None) -> str:
        if self._drain is not None:
            return self._drain.words(self._now)
        if not job.need.fits(self._total):
            return f"needs {_missing(job.need, self._total)[0]}, more than this box has now"
        if cap is not None:
            return _limit(job, cap)
        if job.need.fits(self._free):
            return f"waits for {self._order[0].title}, which is ahead" if index else "starts next"
        needs, free = _missing(job.need, self._free)
        told = [f"needs {needs}, {free} free"]
        if not job.need.fits(self._reach):
            told += self._withheld()
        elif estimate is not None and estimate.after is not None:
            told.append(self._after(estimate.after))
        return "; ".join(told)

    def _after(self, held: Holding) -> str:
        if held.job_id in self._waiting:
            return f"after {held.title}, which waits too"
        return f"after {held.title}, which ends by {format_clock(held.ends_by, self._now)} at the latest"

    def _withheld(self) -> list[str]:
        told = [held.title for held in self._unknown if held.user is None]
        if left := next((held for held in self._unknown if held.left_behind), None):
            told.append(f"{left.title} left processes behind that cannot be killed")
        return told


def _limit(job: Waiting, cap: Cap) -> str:
    if cap == "gpus":
        return f"your limit: {_gpus(job.max_gpus or 0)} at once"
    return f"your limit: {job.max_jobs} job{'s' * (job.max_jobs != 1)} at once"


def _gpus(count: int) -> str:
    return f"{count} GPU{'s' * (count != 1)}"


def _missing(need: Need, free: Need) -> tuple[str, str]:
    """The scarcest thing that is missing, needed and free; what else is missing usually comes free with it."""
    if need.gpus > free.gpus:
        return _gpus(need.gpus), str(max(0, free.gpus))
    if need.cpus > free.cpus:
        return f"{need.cpus} CPU{'s' * (need.cpus != 1)}", str(max(0, free.cpus))
    return f"{format_size(need.memory_bytes)} of memory", format_size(max(0, free.memory_bytes))
