"""The jobs of one agent: taken in, started in their turn, watched, ended. One event loop, no SQL, no HTTP.

A job is in one of three places: in the :class:`Queue`, as a run on the :class:`Board`, or ended in the store.
What it did is in its log; this class only projects that into the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import msgspec

from cluster_agent.executors.base import Executor
from cluster_agent.folder import JobFolder
from cluster_agent.jobs.board import Board
from cluster_agent.jobs.changes import Changes
from cluster_agent.jobs.clock import Clock
from cluster_agent.jobs.drain import Drain, Drains
from cluster_agent.jobs.entering import Entry, LayInputs
from cluster_agent.jobs.folders import forget_variables
from cluster_agent.jobs.gpu_use import GpuWatch
from cluster_agent.jobs.life import Lives, Provide, Run
from cluster_agent.jobs.need import Need
from cluster_agent.jobs.orders import Orders
from cluster_agent.jobs.past import Past
from cluster_agent.jobs.places import Place
from cluster_agent.jobs.pulse import Pulse
from cluster_agent.jobs.queue import Queue
from cluster_agent.jobs.records import JobRecord
from cluster_agent.jobs.scheduler import Scheduler
from cluster_agent.jobs.shares import MEMORY_S
from cluster_agent.jobs.slots import Slots
from cluster_agent.jobs.store import Store
from cluster_agent.limits import LimitTable
from cluster_agent.log.watch import LogWatcher
from cluster_agent.protocol import State
from cluster_agent.storage import Storage

_log = logging.getLogger(__name__)
#: A look at the queue all the same: jobs grow old, and GPUs come free that somebody outside has used.
_LOOK_S, _LOOK_OUTSIDE_S = 60.0, 5.0
_STUMBLE_S = 1.0


class Dispatcher:
    """Queue and runs of one agent.

    Parameters
    ----------
    max_queue
        How many jobs may wait in all.
    folder
        Holds the job folders.
    drain_file
        Where a drain is kept across restarts.
    lay_inputs
        Puts what travels with a user's cell into the folder of its job.
    provide
        Says what a job needs installed.
    boot_id
        Of this boot.
    """

    def __init__(
        self,
        *,
        store: Store,
        storage: Storage,
        past: Past,
        executor: Executor,
        slots: Slots,
        gpu_watch: GpuWatch,
        limits: LimitTable,
        max_queue: int,
        watcher: LogWatcher,
        folder: Path,
        drain_file: Path,
        orders: Orders,
        lay_inputs: LayInputs,
        provide: Provide,
        boot_id: str,
    ) -> None:
        self._store, self._past = store, past
        scheduler = Scheduler(slots.total)
        self._shares = scheduler.shares
        self._clock = Clock(scheduler.step)
        self._queue = Queue(scheduler=scheduler, limits=limits, most=max_queue)
        self._board = Board(
            slots=slots, shares=scheduler.shares, watch=gpu_watch, boot_id=boot_id, clock=self._clock
        )
        self._lives = Lives(
            store=store,
            storage=storage,
            executor=executor,
            watcher=watcher,
            folder=folder,
            orders=orders,
            provide=provide,
            boot_id=boot_id,
            pulse=self._tell,
        )
        #: what people want of jobs that have been submitted
        self.changes = Changes(
            store=store,
            queue=self._queue,
            board=self._board,
            lives=self._lives,
            limits=limits,
            clock=self._clock,
            adopt=lambda run: self._launch(run, self._lives.adopt(run)),
            changed=self._changed,
        )
        self._entry = Entry(store=store, storage=storage, lay_inputs=lay_inputs)
        self._drains = Drains(drain_file)
        self._pulse = Pulse()
        self._places: dict[int, Place] | None = None
        #: set when the queue is to be looked at
        self._wanted = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    # What the outside asks

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """How many jobs have been started and have not ended."""
        return sum(run.record.active for run in self._board)

    @property
    def ended(self) -> Mapping[State, int]:
        """How many jobs have ended since the agent's start, by how they did."""
        return self._lives.ended

    @property
    def free(self) -> Need:
        """What can be handed out."""
        return self._board.free

    @property
    def draining(self) -> Drain | None:
        """The drain in force, when no jobs are started at present."""
        return self._drains.at(self._clock.now())

    @property
    def change(self) -> asyncio.Event:
        """Set when a job is taken in, started or ends; take it before looking at what may change."""
        return self._pulse.change

    def holds(self, job_id: int) -> bool:
        """Whether the job waits, runs, or left something behind that runs."""
        return job_id in self._board or job_id in self._queue

    def active(self, job_id: int) -> bool:
        """Whether the job waits or runs."""
        run = self._board.get(job_id)
        return job_id in self._queue or (run is not None and run.record.active)

    def folder_of(self, job_id: int) -> JobFolder:
        """The job's folder."""
        return self._lives.folder_of(job_id)

    def place(self, job_id: int) -> Place | None:
        """Where a waiting job stands; None when it does not wait."""
        if job_id not in self._queue:
            return None
        if self._places is None:
            now = self._clock.now()
            box = self._board.box()
            self._places = self._pulse.look(lambda: self._queue.places(box, now, self.draining))
        return self._places[job_id]

    def deadline(self, job_id: int) -> float | None:
        """When the time of a job is up that runs, Unix seconds."""
        return self._board.deadline(job_id)

    async def settled(self, job_id: int) -> None:
        """Return when the end of the job, whose log has `ended`, stands in the store."""
        if run := self._board.get(job_id):
            await run.settled.wait()

    async def submit(
        self, record: JobRecord, env: Mapping[str, str], take_id: Callable[[], int], *, lock: str = ""
    ) -> JobRecord:
        """Keep the job, durably, and start it when its turn is now. What is answered is accepted.

        Parameters
        ----------
        take_id
            Gives the job its id, once it is clear that there is room for it.
        lock
            Text of the lock that it repeats.

        Raises
        ------
        QueueFull
            When no more may wait.
        StorageFault
            When the disk refused; nothing was accepted.
        """
        if record.gpus and not self.waiting:
            await self._board.look_outside()
        if self.draining is not None or not self._queue.starts_alone(record, self._board.box()):
            with self._queue.room(record):
                record = msgspec.structs.replace(record, job_id=take_id())
                await self._entry.keep(record, self.folder_of(record.job_id), env=env, lock=lock)
                self._queue.add(record)
            self._changed()
            return record
        run = self._board.intend(msgspec.structs.replace(record, job_id=take_id()))
        try:
            await self._entry.keep(run.record, self.folder_of(run.record.job_id), env=env, lock=lock)
        except BaseException:
            self._board.let_go(run)
            self._changed()
            raise
        self._launch(run, self._lives.carry(run, intended=True))
        self._tell()
        return run.record

    async def drain(self, drain: Drain | None) -> None:
        """Start no jobs for the time being; None: start them again."""
        await self._drains.set(drain)
        self._changed()

    # Start and end of the agent

    async def recover(self) -> None:
        """Find the jobs of the agent before this one: adopt, end or queue each, as its log says."""
        now = self._clock.now()
        for use in await self._past.uses(now - MEMORY_S):
            self._shares.remember(*use, now)
        runs = []
        for record in await self._store.active():
            if record.nonce is None and not await self._lives.has_ended(record):
                self._queue.add(record)
            else:
                runs.append(self._board.hold(record, now))
        left_behind = [self._board.hold(record, now) for record in await self._store.left_behind()]
        kept = frozenset(self._queue) | {run.record.job_id for run in runs}
        await asyncio.to_thread(forget_variables, self._lives.folder, kept, await self._past.ended())
        # Only now, with everything held that may still run, may one of them give back what it held.
        for run in runs:
            self._launch(run, self._lives.adopt(run))
        for run in left_behind:
            run.settled.set()
            self._launch(run, self._lives.outlast(run))
        self._open_queue()

    async def close(self) -> None:
        """Stop watching. Jobs and their supervisors go on, and hold what they hold."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # The queue

    def _open_queue(self) -> None:
        """Start jobs in their turn from now on."""
        task = asyncio.create_task(self._start_in_turn())
        self._tasks.add(task)
        task.add_done_callback(self._go_on)

    def _go_on(self, task: asyncio.Task[None]) -> None:
        """A fault of ours is told, and does not stop the queue for ever."""
        self._tasks.discard(task)
        if not task.cancelled() and not self._closing:
            _log.error("the queue stumbled over a fault and goes on", exc_info=task.exception())
            asyncio.get_running_loop().call_later(_STUMBLE_S, self._open_queue)

    async def _start_in_turn(self) -> None:
        while True:
            if self._queue.needs_gpus and await self._board.look_outside():
                self._tell()
            self._start_what_can()
            try:
                await asyncio.wait_for(self._wanted.wait(), self._look_again_s())
            except asyncio.TimeoutError:
                self._tell()
            self._wanted.clear()

    def _look_again_s(self) -> float | None:
        """After how long the queue is to be looked at although nothing has happened; None: it need not be."""
        if not self.waiting:
            return None
        look_s = _LOOK_OUTSIDE_S if self._board.busy else _LOOK_S
        drain = self.draining
        if drain is not None and drain.until is not None:
            look_s = min(look_s, drain.until - self._clock.now())
        return max(0.0, look_s)

    def _start_what_can(self) -> None:
        if not self.waiting or self.draining is not None:
            return
        now = self._clock.now()
        for job_id in self._queue.decide(self._board.box(), now).start:
            record = self._queue.take(job_id)
            assert record is not None
            run = self._board.intend(record)
            self._launch(run, self._lives.carry(run, intended=False))
            self._tell()

    # Runs

    def _launch(self, run: Run, life: Coroutine[Any, Any, JobRecord | None]) -> None:
        task = asyncio.create_task(self._carry(run, life))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, run: Run, life: Coroutine[Any, Any, JobRecord | None]) -> None:
        """See a run to its end, free what it held and start what can start then."""
        again: JobRecord | None = None
        try:
            again = await life
        finally:
            if not self._closing:
                self._board.let_go(run)
                run.settled.set()
                if again is not None:
                    self._queue.add(again)
                self._changed()

    def _changed(self) -> None:
        """Start what can start, once for all that ask at the same time, and let those look who wait."""
        self._wanted.set()
        self._tell()

    def _tell(self) -> None:
        """Let those look again who wait for a change."""
        self._places = None
        self._pulse.beat()
