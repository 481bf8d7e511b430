"""The life of one job from its start to the record of its end, also across agents.

The log tells what happened; this module starts what writes it, waits, and puts start and end into the store.
What it finds at the end, or after a restart of the agent, is judged by :mod:`cluster_agent.jobs.recovery`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from cluster_agent.environments.base import CannotProvide, EnvironmentOrder
from cluster_agent.errors import StorageFault
from cluster_agent.executors.base import Executor, Running
from cluster_agent.folder import JobFolder
from cluster_agent.jobs import ledger
from cluster_agent.jobs.orders import Orders
from cluster_agent.jobs.records import JobRecord
from cluster_agent.jobs.recovery import Facts, Finding, decide
from cluster_agent.jobs.store import Store
from cluster_agent.log.append import LogTaken
from cluster_agent.log.follow import LogReader
from cluster_agent.log.watch import LogWatcher
from cluster_agent.protocol import Event, State
from cluster_agent.storage import Storage
from cluster_agent.supervisor.identity import still_there

_log = logging.getLogger(__name__)

#: A start whose supervisor vanished without a trace is tried again this often.
_MAX_VANISHED = 3
_MAX_SWEEPS = 100
#: Between two looks at processes that could not be killed.
_LEFT_BEHIND_S = 10.0
#: Between two looks at something that should change by itself soon, and after the disk refused.
_LOOK_AGAIN_S, _RETRY_S = 0.2, 1.0
#: A look again at the log all the same, while the start is waited for.
_LOOK_FOR_START_S = 10.0

#: What the supervisor of a job has to get ready before it starts.
Provide = Callable[[JobRecord, JobFolder], Awaitable[EnvironmentOrder | None]]


@dataclass(slots=True)
class Run:
    """A job between its start and the record of its end."""

    record: JobRecord
    running: Running | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    #: in monotonic seconds: when its slots were taken, and from its start on when that was
    begun: float = field(default_factory=time.monotonic)


@dataclass(kw_only=True)
class Lives:
    """Carries runs to their end. One for each agent."""

    store: Store
    storage: Storage
    executor: Executor
    watcher: LogWatcher
    #: holds the job folders
    folder: Path
    orders: Orders
    #: says what a job needs installed
    provide: Provide
    #: of this boot
    boot_id: str
    #: called when something that others can see has changed
    pulse: Callable[[], None]
    #: jobs whose end was put into the store, by how they ended
    ended: Counter[State] = field(default_factory=Counter)
    _vanished: Counter[int] = field(default_factory=Counter)

    def folder_of(self, job_id: int) -> JobFolder:
        """The job's folder."""
        return JobFolder(self.folder / str(job_id))

    async def carry(self, run: Run, *, intended: bool) -> JobRecord | None:
        """Start the job and see it to its end; its record instead when it has to wait again.

        Parameters
        ----------
        intended
            Whether the store has the intent to start it already.
        """
        record = run.record
        if not intended:
            try:
                run.record = await self.store.change(
                    record.job_id,
                    state=State.PREPARING,
                    nonce=record.nonce,
                    boot_id=record.boot_id,
                    gpu_ids=record.gpu_ids,
                )
            except StorageFault as error:
                _log.error("job %s stays queued: %s", record.job_id, error)
                await asyncio.sleep(_RETRY_S)
                return record
        try:
            environment = await self.provide(run.record, self.folder_of(record.job_id))
            folder = self.folder_of(record.job_id)
            if self.orders.quick(run.record):
                order = self.orders.make(run.record, folder, environment)
            else:
                order = await asyncio.to_thread(self.orders.make, run.record, folder, environment)
            run.running = await self.executor.start(order)
        except CannotProvide as error:
            await self.end_unstarted(run.record, State.FAILED, str(error))
            return await self._settle(run)
        except OSError as error:
            # Nothing has run, and it is the box that is short of something: the job keeps its place.
            _log.error("job %s cannot be started yet: %s", record.job_id, error)
            await asyncio.sleep(_RETRY_S)
            return await self._wait_again(record)
        await self._attend(run)
        return await self._settle(run)

    async def adopt(self, run: Run) -> JobRecord | None:
        """See a job that an earlier agent started to its end, as :meth:`carry` does."""
        return await self._settle(run)

    async def end_unstarted(self, record: JobRecord, state: State, reason: str) -> Event:
        """End a job that no supervisor has started: the agent writes its log."""
        folder = self.folder_of(record.job_id)
        write = partial(ledger.end, folder, record.log_tag, state=state, reason=reason, complete=True)
        return await asyncio.to_thread(self.storage.keep, write)

    async def has_ended(self, record: JobRecord) -> bool:
        """Whether the job's log has its end already."""
        try:
            facts = await asyncio.to_thread(ledger.look, self.folder_of(record.job_id), record.log_tag)
        except (OSError, msgspec.MsgspecError):
            return True  # its life will tell what is wrong
        return facts.ended is not None

    async def project(self, record: JobRecord, started: Event | None, ended: Event) -> JobRecord:
        """Put what the log says of the end into the store."""
        # First, so that of a job that the store knows to have ended no values are left behind by a crash.
        self._forget_variables(record)
        changed = await self.store.change(
            record.job_id,
            state=ended.state or State.LOST,
            started_at=started.at if started else record.started_at,
            environment=(started.environment if started else None) or record.environment,
            isolation=(started.isolation if started else None) or record.isolation,
            ended_at=ended.at,
            exit_code=ended.exit_code,
            signal=ended.signal,
            reason=ended.reason,
            complete=ended.complete,
            seconds=ended.seconds,
            peak_memory_bytes=ended.peak_memory_bytes,
            left_behind=list(zip(ended.left_behind or [], ended.left_behind_started or [], strict=False)),
        )
        self._vanished.pop(record.job_id, None)
        self.ended[changed.state] += 1
        self.pulse()
        return changed

    def _forget_variables(self, record: JobRecord) -> None:
        try:
            self.folder_of(record.job_id).env.unlink(missing_ok=True)
        except OSError as error:
            _log.error("job %s: its variables are still on disk: %s", record.job_id, error)

    async def _attend_to(self, run: Run, facts: ledger.LogFacts) -> None:
        """Find the supervisor that ``facts`` name and wait for its end, if it lives."""
        run.running = self.executor.adopt(facts.handle) if facts.handle else None
        if run.running is None:
            return
        self._forget_variables(run.record)
        if run.record.cancel_by is not None:
            run.running.nudge()
        await self._attend(run)

    async def _attend(self, run: Run) -> None:
        assert run.running is not None
        note = asyncio.create_task(self._note_start(run))
        try:
            await run.running.wait()
        finally:
            note.cancel()

    async def _note_start(self, run: Run) -> None:
        """Put the start into the store when the log tells it."""
        folder = self.folder_of(run.record.job_id)
        with self.watcher.watch(folder.path) as watch, LogReader(folder.log) as reader:
            while (
                started := await watch.until(lambda: ledger.find_started(reader), _LOOK_FOR_START_S)
            ) is None:
                pass
        self._forget_variables(run.record)
        # the wall clock may have been set since; logs of earlier versions have nothing else
        run.begun = started.monotonic or time.monotonic() - max(0.0, time.time() - started.at)
        while run.record.state is not State.RUNNING:
            try:
                run.record = await self.store.change(
                    run.record.job_id,
                    state=State.RUNNING,
                    started_at=started.at,
                    environment=started.environment or run.record.environment,
                    isolation=started.isolation or run.record.isolation,
                )
            except StorageFault as error:
                _log.error("job %s: its start cannot be recorded yet: %s", run.record.job_id, error)
                await asyncio.sleep(_RETRY_S)
        self.pulse()

    async def _settle(self, run: Run) -> JobRecord | None:
        """Put the end into the store; the record instead when the job has to wait again."""
        record = run.record
        folder = self.folder_of(record.job_id)
        while True:
            try:
                facts = await asyncio.to_thread(ledger.look, folder, record.log_tag)
                finding = self._finding(run.record, facts)
                if finding is Finding.PROJECT and facts.ended is not None:
                    run.record = await self.project(run.record, facts.started, facts.ended)
                    run.settled.set()
                    await self.outlast(run)
                    return None
                if finding is Finding.LOSE:
                    await self._sweep(record)
                    lose = partial(ledger.lose, folder, record.log_tag)
                    await asyncio.to_thread(self.storage.keep, lose)
                elif finding is Finding.QUEUE_AGAIN:
                    await self._sweep(record)  # of its environment something may still be being built
                    close = partial(ledger.close_nonce, folder, record.log_tag, record.nonce or "")
                    if await asyncio.to_thread(self.storage.keep, close):
                        return await self._queue_again(run)
                elif finding is Finding.WAIT:
                    return run.record
                elif finding is Finding.ADOPT:
                    await self._attend_to(run, facts)
                else:
                    await asyncio.sleep(_LOOK_AGAIN_S)
            except LogTaken:
                await asyncio.sleep(_LOOK_AGAIN_S)
            except msgspec.MsgspecError as error:
                _log.error("job %s: its log is damaged: %s", record.job_id, error)
                await self._give_up(run.record)
                return None
            except (OSError, StorageFault) as error:
                if isinstance(error, OSError) and not folder.log.is_file():
                    await self._give_up(run.record)
                    return None
                _log.error("job %s: its end cannot be recorded yet: %s", record.job_id, error)
                await asyncio.sleep(_RETRY_S)

    async def outlast(self, run: Run) -> None:
        """Return when the processes that could not be killed are gone; the job's slots are theirs until then."""
        left = run.record.left_behind
        if not left:
            return
        pids, started = [pid for pid, _ in left], [at for _, at in left]
        while still := still_there(pids, started, run.record.boot_id or ""):
            _log.warning("job %s: %s cannot be killed; its slots stay taken", run.record.job_id, still)
            await asyncio.sleep(_LEFT_BEHIND_S)
        await self.store.change(run.record.job_id, left_behind=[])

    async def _sweep(self, record: JobRecord) -> None:
        """End the processes of a job whose supervisor is dead; nobody else would."""
        for _ in range(_MAX_SWEEPS):
            if not await asyncio.to_thread(self.executor.sweep, record.nonce or ""):
                return
            await asyncio.sleep(_LOOK_AGAIN_S / 10)
        _log.error("job %s: processes of its tree cannot be killed", record.job_id)

    def _finding(self, record: JobRecord, facts: ledger.LogFacts) -> Finding:
        alive = facts.handle is not None and self.executor.adopt(facts.handle) is not None
        return decide(
            Facts(
                ended=facts.ended is not None,
                started=facts.started is not None or record.started_at is not None,
                intended=record.nonce is not None,
                alive=alive,
                locked=facts.locked,
                rebooted=record.nonce is not None and record.boot_id != self.boot_id,
            )
        )

    async def _queue_again(self, run: Run) -> JobRecord | None:
        """The record of a job that provably never ran; None when it has been ended instead."""
        record = run.record
        if record.cancel_by is not None:
            event = await self.end_unstarted(record, State.CANCELLED, f"cancelled by {record.cancel_by}")
        elif self._vanished[record.job_id] + 1 >= _MAX_VANISHED:
            reason = "its supervisor ended before the job was started; supervisors.log of the agent says why"
            event = await self.end_unstarted(record, State.FAILED, reason)
        else:
            again = await self._wait_again(record)
            self._vanished[record.job_id] += 1
            return again
        await self.project(record, None, event)
        return None

    async def _wait_again(self, record: JobRecord) -> JobRecord:
        """The job back in the queue, in its place, without the start that did not happen."""
        while True:
            try:
                return await self.store.change(
                    record.job_id, state=State.QUEUED, nonce=None, boot_id=None, gpu_ids=[]
                )
            except StorageFault as error:
                _log.error("job %s: that it waits again cannot be recorded yet: %s", record.job_id, error)
                await asyncio.sleep(_RETRY_S)

    async def _give_up(self, record: JobRecord) -> None:
        """Record that a job whose log is gone or damaged is lost; the store is all that is left of it."""
        reason = "its log is gone or damaged, so nobody can say what the job did"
        event = Event(type="ended", at=time.time(), state=State.LOST, reason=reason, complete=False)
        while True:
            try:
                await self.project(record, None, event)
                return
            except StorageFault as error:
                _log.error("job %s: its loss cannot be recorded yet: %s", record.job_id, error)
                await asyncio.sleep(_RETRY_S)
