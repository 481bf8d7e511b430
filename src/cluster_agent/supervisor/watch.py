"""The supervisor's loop: from the launch of the runner to the `ended` event of its job."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from cluster_agent.environments.shelf import Hold
from cluster_agent.executors.base import Order
from cluster_agent.folder import Cancel, JobFolder, allocate
from cluster_agent.isolation.ids import files_of
from cluster_agent.log.append import LogWriter
from cluster_agent.supervisor import stopping
from cluster_agent.supervisor.channels import MAX_FRAME_BYTES, Pipe
from cluster_agent.supervisor.ending import (
    Cause,
    Ending,
    Memory,
    beyond_its_share,
    cancelled,
    ending,
    never_launched,
    timed_out,
)
from cluster_agent.supervisor.frames import decode_frame
from cluster_agent.supervisor.group import Group, confinement, isolation
from cluster_agent.supervisor.identity import boot_id, start_time
from cluster_agent.supervisor.launch import LaunchError, Ready, Runner, give, launch
from cluster_agent.supervisor.leftovers import list_leftovers
from cluster_agent.supervisor.listening import Listener
from cluster_agent.supervisor.preparing import Preparation, Prepared
from cluster_agent.supervisor.record import Recorder, Syncer, note
from cluster_agent.supervisor.sampling import Sampler
from cluster_agent.supervisor.tree import Tree
from cluster_agent.supervisor.usage import machine_oom_kills
from cluster_agent.supervisor.wishes import Wishes
from cluster_agent.units import format_size

#: The wish file is looked at this often, nudged or not; so are exits.
LOOK_S = 1.0
#: Frames taken at once before the pipes have their turn.
_FRAMES = 64
#: What the pipes may hold at the end, a failure's traceback and `ended`.
_RESERVE_BYTES = 2 * 2**20
#: At the end more than a socket holds, but not for ever if somebody who was left behind goes on.
_LAST_ROUNDS = 64
_UNREADABLE = f"a frame of the kit that cannot be read, or has more than {format_size(MAX_FRAME_BYTES)}"
_SHUTDOWN = Cancel(by="the system", reason="the supervisor was asked to end, as when the machine shuts down")


class Watch:
    """One job, from its launch to its end."""

    def __init__(self, order: Order, writer: LogWriter, signals: int, ready: Ready | None = None) -> None:
        self._order = order
        #: a runner that was started ahead
        self._ready = ready
        self._folder = JobFolder(order.folder)
        self._writer = writer
        self._recorder = Recorder(writer, order)
        self._syncer = Syncer(writer)
        self._wishes = Wishes(self._folder)
        #: the descriptor that tells numbers of signals that have come
        self._signals = signals
        self._stop = stopping.Stop()
        self._cause: Cause | None = None
        self._group: Group | None = None
        self._cancel_seen = False
        self._fault_told = False
        self._look_at = 0.0
        self._environment = ""
        #: as long as this process lives nobody deletes the environment
        self._hold: Hold | None = None

    def run(self, kit: Path) -> None:
        """Launch the runner, record what it does until nothing of it is left, and close the log."""
        wish = self._wishes.read()
        if wish.cancel is not None:
            cause = cancelled(wish.cancel.by, wish.cancel.reason)
            self._recorder.event("cancel", by=wish.cancel.by, reason=wish.cancel.reason or None)
            self._end(Ending(state=cause.state, reason=cause.reason), seconds=0.0)
            return
        self._group = _make_group(self._order)
        if not self._prepare():
            return
        sampler = Sampler(self._order, self._group, self._take_sample)
        self._recorder.event(
            "started",
            pid=os.getpid(),
            pid_started=start_time(os.getpid()),
            boot_id=boot_id(),
            monotonic=time.monotonic(),
            nonce=self._order.nonce,
            confinement=confinement(self._order, self._group),
            isolation=isolation(self._order, self._group),
            environment=self._environment or None,
        )
        self._recorder.settle()
        began = time.monotonic()
        try:
            runner = self._launch(kit)
        except LaunchError as error:
            self._end(never_launched(str(error)), seconds=0.0)
            return
        # the job begins meanwhile, and has not had the time to use up the memory
        kills_before = machine_oom_kills()
        tree = Tree(runner.pid, self._group)
        self._keep_room()
        sampler.begin(began)
        self._follow(runner, tree, sampler, began)
        self._take_rest(runner)
        memory = Memory(
            peak_bytes=max(tree.peak_memory_bytes, sampler.peak_memory_bytes),
            asked_bytes=self._order.memory_bytes,
            group_kills=self._group.oom_kills() if self._group else 0,
            machine_kills=machine_oom_kills() - kills_before,
        )
        left = tree.left() if tree.alive else {}
        self._end(
            ending(self._cause, tree.status, error=self._recorder.error, memory=memory),
            seconds=(tree.exited_at or time.monotonic()) - began,
            peak_memory_bytes=memory.peak_bytes or None,
            left_behind=list(left) or None,
            left_behind_started=list(left.values()) or None,
        )

    def _prepare(self) -> bool:
        """Make the job's environment ready, if it has one; False when the job has ended over it."""
        if self._order.environment is None:
            return True
        self._keep_room()
        preparation = Preparation(
            self._order,
            self._order.environment,
            recorder=self._recorder,
            syncer=self._syncer,
            wishes=self._wishes,
            signals=self._signals,
            group=self._group,
            shutdown=_SHUTDOWN,
        )
        outcome = preparation.run()
        if isinstance(outcome, Prepared):
            self._order, self._environment, self._hold = outcome.order, outcome.environment, outcome.hold
            return True
        self._folder.reserve.unlink(missing_ok=True)
        left = preparation.left
        self._end(
            outcome,
            seconds=0.0,
            left_behind=list(left) or None,
            left_behind_started=list(left.values()) or None,
        )
        return False

    def _launch(self, kit: Path) -> Runner:
        if self._ready is not None:
            try:
                return give(self._ready, self._order, self._group)
            except LaunchError as error:
                note(f"{self._order.title}: started anew: {error}")
        return launch(self._order, kit, self._group)

    def _follow(self, runner: Runner, tree: Tree, sampler: Sampler, began: float) -> None:
        """Record, obey and stop, until the tree is gone or given up."""
        listener = Listener(self._signals, runner.control, runner.pipes)
        while tree.alive and self._stop.stage is not stopping.Stage.GIVEN_UP:
            # while the disk refuses nothing is read, so that the job waits instead of losing output
            patience_s = min(self._patience(tree, began), max(0.0, sampler.due - time.monotonic()))
            ready = listener.wait(patience_s, signals_only=self._recorder.stalled)
            now = time.monotonic()
            if self._signals in ready or now >= self._look_at:
                self._look(now, tree)
            self._enforce(now, tree, began)
            if runner.control in ready:
                self._take_frames(runner, _FRAMES)
            for pipe in runner.pipes:
                if pipe in ready:
                    listener.heard(self._take_output(pipe), now)
            for channel in (*runner.pipes, runner.control):
                if channel in ready and not channel.open:
                    listener.forget(channel)
            self._measure(now, tree, sampler)
            self._recorder.step(now)
            self._sync(now)

    def _patience(self, tree: Tree, began: float) -> float:
        """Seconds until something is due that nobody will wake us for."""
        due = min(self._look_at, self._stop.until, self._syncer.due)
        if self._cause is None and tree.status is None:
            due = min(due, began + self._timeout_s)
        return max(0.0, due - time.monotonic())

    @property
    def _timeout_s(self) -> float:
        wished = self._wishes.wish.timeout_s
        return self._order.timeout_s if wished is None else wished

    # --- what is wanted -----------------------------------------------------------------------------------

    def _look(self, now: float, tree: Tree) -> None:
        """See which signals have come, which children have ended, and what the agent wants."""
        self._look_at = now + LOOK_S
        try:
            numbers = os.read(self._signals, 4096)
        except BlockingIOError:
            numbers = b""
        tree.reap()
        wish = self._wishes.read()
        if wish.cancel is not None:
            self._cancel(now, tree, wish.cancel)
        elif signal.SIGTERM in numbers:
            self._cancel(now, tree, _SHUTDOWN)

    def _cancel(self, now: float, tree: Tree, cancel: Cancel) -> None:
        if self._cancel_seen or tree.status is not None:
            return
        self._cancel_seen = True
        self._recorder.event("cancel", by=cancel.by, reason=cancel.reason or None)
        grace_s = min(self._order.grace_s, stopping.CANCEL_GRACE_S)
        self._interrupt(now, tree, cancelled(cancel.by, cancel.reason), grace_s)

    def _enforce(self, now: float, tree: Tree, began: float) -> None:
        """Stop a job whose time is up, and send the signal that is due."""
        if self._cause is None and tree.status is None and now >= began + self._timeout_s:
            tree.reap()
            if tree.status is None:
                self._interrupt(now, tree, timed_out(self._timeout_s), self._order.grace_s)
        self._stop, act = stopping.advance(
            self._stop, now, runner_alive=tree.status is None, tree_alive=tree.alive
        )
        if act is not None:
            tree.signal_all(act.signal)

    def _interrupt(self, now: float, tree: Tree, cause: Cause, grace_s: float) -> None:
        """Begin to stop; the first cause is the one that counts."""
        self._cause = self._cause or cause
        self._stop, first = stopping.begin(self._stop, now, grace_s)
        if first:
            tree.signal_group(signal.SIGINT)

    def _measure(self, now: float, tree: Tree, sampler: Sampler) -> None:
        """Look at what the job uses, and end it at once when that is too much."""
        reason = sampler.step(now)
        if reason is None or self._stop.stage >= stopping.Stage.KILL:
            return
        tree.reap()
        if tree.status is None:
            self._cause = self._cause or beyond_its_share(reason)
        self._stop, act = stopping.kill(now)
        tree.signal_all(act.signal)

    # --- what the job says --------------------------------------------------------------------------------

    def _take_output(self, pipe: Pipe) -> int:
        if not pipe.open or self._recorder.stalled:
            return 0
        data = pipe.read()
        if data:
            self._recorder.output(pipe.stream, data)
        return len(data)

    def _take_frames(self, runner: Runner, limit: int) -> None:
        for packet, descriptor in runner.control.packets(limit):
            frame = decode_frame(packet)
            if frame is None:
                # answered all the same: whoever waits for it would wait for ever
                self._recorder.lost(_UNREADABLE)
                self._recorder.then(runner.control.acknowledge)
            else:
                if frame.ack:
                    self._take_present(runner)
                self._recorder.frame(frame, len(packet), descriptor)
                if frame.ack:
                    self._recorder.then(runner.control.acknowledge)
            if self._recorder.stalled:
                return

    def _take_sample(self, values: dict[str, Any]) -> None:
        if not self._recorder.stalled:
            self._recorder.event("sample", values=values)

    def _take_present(self, runner: Runner) -> None:
        for pipe in runner.pipes:
            if data := pipe.read_present():
                self._recorder.output(pipe.stream, data)

    def _keep_room(self) -> None:
        try:
            allocate(self._folder.reserve, _RESERVE_BYTES)
        except OSError as error:
            note(f"{self._order.title}: no room can be kept for the end of its log: {error.strerror}")

    def _take_rest(self, runner: Runner) -> None:
        """What the channels still hold. No end is waited for: somebody left behind may keep them open."""
        # the job may have filled the disk, and now it writes no more
        self._folder.reserve.unlink(missing_ok=True)
        self._recorder.settle()
        for _ in range(_LAST_ROUNDS):
            if not runner.control.readable():
                break
            self._take_frames(runner, _FRAMES)
            self._recorder.settle()
        self._take_present(runner)

    def _sync(self, now: float) -> None:
        self._syncer.step(now)
        if self._syncer.failure is not None and not self._fault_told:
            self._fault_told = True
            self._recorder.event("storage", message=_refused(self._syncer.failure))

    # --- the end ------------------------------------------------------------------------------------------

    def _end(self, outcome: Ending, **facts: Any) -> None:
        self._recorder.close_streams()
        with files_of(self._order.ids):
            files, omitted = list_leftovers(self._folder.work)
        for file in files:
            self._recorder.event("file", path=file.path, size=file.size, sha256=file.sha256)
        if omitted:
            self._recorder.lost(f"{omitted} more files in the working folder", omitted)
        self._recorder.settle()
        self._syncer.finish()
        failure = self._syncer.failure
        self._recorder.end(
            state=outcome.state,
            exit_code=outcome.exit_code,
            signal=outcome.signal,
            reason=outcome.reason or (_refused(failure) if failure else None),
            complete=self._recorder.complete and failure is None,
            **facts,
        )
        if self._group is not None:
            self._group.remove()


def _make_group(order: Order) -> Group | None:
    try:
        return Group.make(order)
    except OSError as error:
        note(f"{order.title}: no control group can be made ({error}), so its limits are watched instead")
        return None


def _refused(error: OSError) -> str:
    return (
        f"the disk failed to keep its log ({error.strerror}): lines may be missing after a restart of the box"
    )
