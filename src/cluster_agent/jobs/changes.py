"""What people want of a job after its submit: cancel it, give it more time, put it first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from cluster_agent.errors import Conflict, StorageFault
from cluster_agent.folder import Cancel, Wish
from cluster_agent.jobs.board import Board
from cluster_agent.jobs.clock import Clock
from cluster_agent.jobs.life import Lives, Run
from cluster_agent.jobs.queue import Queue
from cluster_agent.jobs.records import JobRecord
from cluster_agent.jobs.store import Store
from cluster_agent.limits import LimitTable
from cluster_agent.protocol import State
from cluster_agent.units import format_clock, format_duration


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Changes of jobs. One for each agent; the dispatcher makes it."""

    store: Store
    queue: Queue
    board: Board
    lives: Lives
    limits: LimitTable
    clock: Clock
    #: sees a run to its end that has been put on the board
    adopt: Callable[[Run], None]
    #: called when something has changed that others wait for
    changed: Callable[[], None]

    async def cancel(self, record: JobRecord, *, by: str, reason: str) -> JobRecord:
        """Make the job end, and return it as it now is; one that has ended stays as it is."""
        if self.queue.take(record.job_id):
            return await self._cancel_waiting(record, reason or f"cancelled by {by}")
        run = self.board.get(record.job_id)
        if run is None or not run.record.active:
            return await self.store.get(record.job_id) or record
        # The wish is on disk before it is told, so that no crash in between forgets it.
        try:
            await self._wish(run, cancel=Cancel(by=by, reason=reason))
        except OSError as error:
            raise StorageFault(f"the agent's disk refused the wish to cancel ({error.strerror})") from error
        if run.record.cancel_by is None:
            run.record = await self.store.change(record.job_id, cancel_by=by)
        return run.record

    async def _cancel_waiting(self, record: JobRecord, reason: str) -> JobRecord:
        """End a job that nobody can start any more, since it has left the queue."""
        try:
            event = await self.lives.end_unstarted(record, State.CANCELLED, reason)
        except OSError as error:
            self.queue.add(record)
            raise StorageFault(f"the agent's disk refused ({error.strerror}); the job waits on") from error
        finally:
            self.changed()
        try:
            return await self.lives.project(record, None, event)
        except StorageFault:
            self.adopt(self.board.put(record))  # the log has its end; the store gets it when it can
            return record

    async def extend(self, record: JobRecord, extra_s: float) -> JobRecord:
        """Give the job more time.

        Raises
        ------
        Conflict
            When it has ended, would run longer than its user's jobs may, or would delay another job that has
            been told when it starts at the latest.
        """
        job_id = record.job_id
        run = self.board.get(job_id)
        if job_id not in self.queue and (run is None or not run.record.active):
            raise Conflict(f"job {job_id} has ended")
        timeout_s = record.timeout_s + extra_s
        most_s = self.limits.of(record.user, record.role).timeout_s
        if timeout_s > most_s:
            asked, most = format_duration(timeout_s), format_duration(most_s)
            raise Conflict(f"that would be {asked} in all; {most} is the most", field="extra_s")
        if run is not None:
            self._check_delay(run, timeout_s)
        changed = await self.store.change(job_id, timeout_s=timeout_s)
        # It may have been started or cancelled meanwhile.
        if run := self.board.get(job_id):
            run.record = changed
            await self._wish(run, timeout_s=timeout_s)
        elif job_id in self.queue:
            self.queue.add(changed)
        self.changed()
        return changed

    def _check_delay(self, run: Run, timeout_s: float) -> None:
        """Refuse an extension that moves the reservation of a waiting job."""
        now = self.clock.now()
        before = self.queue.reservation(self.board.box(), now)
        if before is None:
            return
        longer = Run(msgspec.structs.replace(run.record, timeout_s=timeout_s), begun=run.begun)
        after = self.queue.reservation(self.board.box(instead=longer), now)
        if after is not None and after.at > before.at:
            raise Conflict(
                f"{self.queue.title(before.job_id)} waits for this job and was promised to start by"
                f" {format_clock(before.at, now)}; so much more time would delay it",
                field="extra_s",
            )

    async def move(self, record: JobRecord, *, first: bool) -> JobRecord:
        """Put a waiting job before all others, or back to where it belongs.

        Raises
        ------
        Conflict
            When it does not wait.
        """
        if record.job_id not in self.queue:
            raise Conflict(f"job {record.job_id} does not wait any more")
        changed = await self.store.change(record.job_id, moved_at=time.time() if first else None)
        if record.job_id in self.queue:
            self.queue.add(changed)
            self.queue.scheduler.take_back(record.job_id)
        self.changed()
        return changed

    async def _wish(self, run: Run, *, cancel: Cancel | None = None, timeout_s: float | None = None) -> None:
        folder = self.lives.folder_of(run.record.job_id)

        def write() -> None:
            old = folder.read_wish()
            folder.write_wish(Wish(cancel=old.cancel or cancel, timeout_s=timeout_s or old.timeout_s))

        await asyncio.to_thread(self.lives.storage.keep, write)
        if run.running is not None:
            run.running.nudge()
