"""The jobs of one agent: taken in, started in their turn, watched, ended. One event loop, no SQL, no HTTP.

A job is in one of three places: waiting here, in a :class:`Run` here, or ended in the store. What it did is
in its log; this class only projects that into the store.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cluster_agent.errors import Conflict, QueueFull, StorageFault
from cluster_agent.executors.base import Executor
from cluster_agent.folder import Cancel, JobFolder, Wish, sync_folder, write_durably
from cluster_agent.jobs.life import Lives, MakeVariables, Run
from cluster_agent.jobs.records import JobRecord
from cluster_agent.jobs.scheduling import Need, Place, Waiting, pick, places
from cluster_agent.jobs.slots import Slots
from cluster_agent.jobs.store import Store
from cluster_agent.log.watch import LogWatcher
from cluster_agent.protocol import State
from cluster_agent.units import format_duration


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """How much may wait, and how long a job may be made to run."""

    max_queue: int
    max_queue_user: int
    max_timeout_s: float
    log_limit_bytes: int


def need_of(record: JobRecord) -> Need:
    """What the job holds while it runs."""
    return Need(gpus=record.gpus, cpus=record.cpus, memory_bytes=record.memory_bytes)


class Dispatcher:
    """Queue and runs of one agent."""

    def __init__(
        self,
        *,
        store: Store,
        executor: Executor,
        slots: Slots,
        watcher: LogWatcher,
        folder: Path,
        variables: MakeVariables,
        bounds: Bounds,
        boot_id: str,
    ) -> None:
        self._store = store
        self._slots = slots
        self._bounds = bounds
        self._boot_id = boot_id
        self._lives = Lives(
            store=store,
            executor=executor,
            watcher=watcher,
            folder=folder,
            variables=variables,
            log_limit_bytes=bounds.log_limit_bytes,
            boot_id=boot_id,
            pulse=self._pulse,
        )
        self._waiting: dict[int, JobRecord] = {}
        self._runs: dict[int, Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._closing = False
        self.draining = False

    # What the outside asks

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many jobs have been started and have not ended."""
        return len(self._runs)

    @property
    def free(self) -> Need:
        """What no job holds."""
        return self._slots.free

    def folder_of(self, job_id: int) -> JobFolder:
        """The job's folder."""
        return self._lives.folder_of(job_id)

    def places(self) -> dict[int, Place]:
        """Where each waiting job stands."""
        return places(self._queue(), self._slots.free)

    @property
    def change(self) -> asyncio.Event:
        """Set when a job is taken in, started or ends; take it before looking at what may change."""
        return self._changed

    async def settled(self, job_id: int) -> None:
        """Return when the end of the job, whose log has `ended`, stands in the store."""
        if run := self._runs.get(job_id):
            await run.settled.wait()

    def check_room(self, user: str) -> None:
        """Refuse when the queue is full for ``user``.

        Raises
        ------
        QueueFull
            Naming the limit.
        """
        if len(self._waiting) >= self._bounds.max_queue:
            raise QueueFull(f"{len(self._waiting)} jobs wait already, which is all that this agent takes")
        mine = sum(record.user == user for record in self._waiting.values())
        if mine >= self._bounds.max_queue_user:
            raise QueueFull(
                f"{mine} of your jobs wait already, which is all that this agent takes of one user"
            )

    async def submit(self, record: JobRecord, env: Mapping[str, str]) -> JobRecord:
        """Keep the job, durably, and start it when its turn is now. What is answered is accepted.

        Raises
        ------
        StorageFault
            When the disk refused; nothing was accepted.
        """
        folder = self.folder_of(record.job_id)
        try:
            await asyncio.to_thread(_make_folder, folder, env)
        except OSError as error:
            raise StorageFault(
                f"the agent's disk refused ({error.strerror}); nothing was accepted"
            ) from error
        starts = record.job_id in pick([*self._queue(), _waiting(record)], self._slots.free)
        if starts:
            record = self._intend(record)
        try:
            await self._store.add(record)
        except BaseException:
            self._slots.give_back(record.job_id)
            await asyncio.to_thread(shutil.rmtree, folder.path, ignore_errors=True)
            raise
        if starts:
            self._launch(Run(record), intended=True)
        else:
            self._wait(record)
            self._pump()
        self._pulse()
        return record

    async def cancel(self, record: JobRecord, *, by: str, reason: str) -> JobRecord:
        """Make the job end, and return it as it now is; one that has ended stays as it is."""
        if self._waiting.pop(record.job_id, None):
            return await self._cancel_waiting(record, reason or f"cancelled by {by}")
        run = self._runs.get(record.job_id)
        if run is None:
            return await self._store.get(record.job_id) or record
        # The wish is on disk before it is told, so that no crash in between forgets it.
        try:
            await self._wish(run, cancel=Cancel(by=by, reason=reason))
        except OSError as error:
            raise StorageFault(f"the agent's disk refused the wish to cancel ({error.strerror})") from error
        if run.record.cancel_by is None:
            run.record = await self._store.change(record.job_id, cancel_by=by)
        return run.record

    async def _cancel_waiting(self, record: JobRecord, reason: str) -> JobRecord:
        """End a job that nobody can start any more, since it has left the queue."""
        try:
            event = await self._lives.end_unstarted(record, State.CANCELLED, reason)
        except OSError as error:
            self._wait(record)
            raise StorageFault(f"the agent's disk refused ({error.strerror}); the job waits on") from error
        finally:
            self._pump()
            self._pulse()
        try:
            return await self._lives.project(record, None, event)
        except StorageFault:
            self._launch(Run(record), adopt=True)  # the log has its end; the store gets it when it can
            return record

    async def extend(self, record: JobRecord, extra_s: float) -> JobRecord:
        """Give the job more time.

        Raises
        ------
        Conflict
            When it has ended, or would run longer than this agent allows.
        """
        if record.job_id not in self._runs and record.job_id not in self._waiting:
            raise Conflict(f"job {record.job_id} has ended")
        timeout_s = record.timeout_s + extra_s
        if timeout_s > self._bounds.max_timeout_s:
            most = format_duration(self._bounds.max_timeout_s)
            raise Conflict(
                f"that would be {format_duration(timeout_s)} in all; {most} is the most", field="extra_s"
            )
        changed = await self._store.change(record.job_id, timeout_s=timeout_s)
        # It may have been started or cancelled meanwhile.
        if run := self._runs.get(record.job_id):
            run.record = changed
            await self._wish(run, timeout_s=timeout_s)
        elif record.job_id in self._waiting:
            self._wait(changed)
        return changed

    # Start and end of the agent

    async def recover(self) -> None:
        """Find the jobs of the agent before this one: adopt, end or queue each, as its log says."""
        runs = []
        for record in await self._store.active():
            if record.nonce is None and not await self._lives.has_ended(record):
                self._wait(record)
            else:
                self._slots.hold(record.job_id, need_of(record), record.gpu_ids)
                runs.append(Run(record))
        active = frozenset(self._waiting) | {run.record.job_id for run in runs}
        await asyncio.to_thread(_forget_variables, self._lives.folder, active)
        # Only now, with everything held that may still run, may one of them give back what it held.
        for run in runs:
            self._launch(run, adopt=True)
        self._pump()

    async def close(self) -> None:
        """Stop watching. Jobs and their supervisors go on, and hold what they hold."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Runs

    def _launch(self, run: Run, *, intended: bool = False, adopt: bool = False) -> None:
        self._runs[run.record.job_id] = run
        task = asyncio.create_task(self._carry(run, intended=intended, adopt=adopt))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, run: Run, *, intended: bool, adopt: bool) -> None:
        """See a run to its end, free what it held and start what can start then."""
        again: JobRecord | None = None
        try:
            again = await (self._lives.adopt(run) if adopt else self._lives.carry(run, intended=intended))
        finally:
            if not self._closing:
                self._finish(run, again)

    def _finish(self, run: Run, again: JobRecord | None) -> None:
        job_id = run.record.job_id
        self._slots.give_back(job_id)
        self._runs.pop(job_id, None)
        run.settled.set()
        if again is not None:
            self._wait(again)
        self._pump()
        self._pulse()

    # Small parts

    def _queue(self) -> list[Waiting]:
        return [_waiting(record) for record in self._waiting.values()]

    def _wait(self, record: JobRecord) -> None:
        self._waiting[record.job_id] = msgspec.structs.replace(record, source="")

    def _intend(self, record: JobRecord) -> JobRecord:
        """The record of a job that holds its slots and is about to start."""
        gpu_ids = self._slots.take(record.job_id, need_of(record))
        nonce = secrets.token_hex(8)
        return msgspec.structs.replace(
            record, state=State.PREPARING, nonce=nonce, boot_id=self._boot_id, gpu_ids=gpu_ids
        )

    def _pump(self) -> None:
        """Start what can start."""
        if self._closing:
            return
        for job_id in pick(self._queue(), self._slots.free):
            self._launch(Run(self._intend(self._waiting.pop(job_id))))

    def _pulse(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wish(self, run: Run, *, cancel: Cancel | None = None, timeout_s: float | None = None) -> None:
        folder = self.folder_of(run.record.job_id)

        def write() -> None:
            old = folder.read_wish()
            folder.write_wish(Wish(cancel=old.cancel or cancel, timeout_s=timeout_s or old.timeout_s))

        await asyncio.to_thread(write)
        if run.running is not None:
            run.running.nudge()


def _waiting(record: JobRecord) -> Waiting:
    return Waiting(job_id=record.job_id, title=record.title, need=need_of(record), priority=record.priority)


def _make_folder(folder: JobFolder, env: Mapping[str, str]) -> None:
    """Make the folder of a job; nothing of it is left when the disk refuses."""
    try:
        folder.work.mkdir(mode=0o700, parents=True)
        if env:
            write_durably(folder.env, msgspec.json.encode(env))
        sync_folder(folder.path.parent)
    except OSError:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise


def _forget_variables(jobs: Path, active: frozenset[int]) -> None:
    """Delete the values of ``--env`` of jobs that have ended or never were: a killed agent had no time to."""
    for path in jobs.glob("*/*env.json*"):
        if not (path.name == "env.json" and path.parent.name.isdigit() and int(path.parent.name) in active):
            path.unlink(missing_ok=True)
