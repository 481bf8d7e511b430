"""The supervisor's loop: from the launch of the runner to the `ended` event of its job."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import msgspec

from cluster_agent.executors.base import Order
from cluster_agent.folder import Cancel, JobFolder, Wish
from cluster_agent.log.append import LogWriter
from cluster_agent.supervisor import stopping
from cluster_agent.supervisor.channels import MAX_FRAME_BYTES, Pipe
from cluster_agent.supervisor.ending import Cause, Ending, cancelled, ending, never_launched, timed_out
from cluster_agent.supervisor.frames import decode_frame
from cluster_agent.supervisor.identity import boot_id, start_time
from cluster_agent.supervisor.launch import LaunchError, Runner, launch
from cluster_agent.supervisor.leftovers import list_leftovers
from cluster_agent.supervisor.listening import Listener
from cluster_agent.supervisor.record import Recorder, Syncer, note
from cluster_agent.supervisor.tree import Tree
from cluster_agent.units import format_size

#: The wish file is looked at this often, nudged or not; so are exits.
LOOK_S = 1.0
#: Frames taken at once before the pipes have their turn.
_FRAMES = 64
#: At the end more than a socket holds, but not for ever if somebody who was left behind goes on.
_LAST_ROUNDS = 64
_UNREADABLE = f"a frame of the kit that cannot be read, or has more than {format_size(MAX_FRAME_BYTES)}"
_SHUTDOWN = Cancel(by="the system", reason="the supervisor was asked to end, as when the machine shuts down")


class Wishes:
    """The wish file, read again when it has changed."""

    def __init__(self, folder: JobFolder) -> None:
        self._folder = folder
        self._seen: tuple[int, int, int] | None = None
        self.wish = Wish()

    def read(self) -> Wish:
        """The wish in force, also as ``wish`` from now on. One that cannot be understood changes nothing."""
        try:
            status = self._folder.control.stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            if seen != self._seen:
                self.wish = self._folder.read_wish()
                self._seen = seen
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as error:
            note(f"cannot read {self._folder.control}: {error}")
        return self.wish


class Watch:
    """One job, from its launch to its end."""

    def __init__(self, order: Order, writer: LogWriter, signals: int) -> None:
        self._order = order
        self._folder = JobFolder(order.folder)
        self._writer = writer
        self._recorder = Recorder(writer, self._folder.blobs, order.log_limit_bytes, order.title)
        self._syncer = Syncer(writer)
        self._wishes = Wishes(self._folder)
        #: the descriptor that tells numbers of signals that have come
        self._signals = signals
        self._stop = stopping.Stop()
        self._cause: Cause | None = None
        self._cancel_seen = False
        self._look_at = 0.0

    def run(self, kit: Path) -> None:
        """Launch the runner, record what it does until nothing of it is left, and close the log."""
        wish = self._wishes.read()
        if wish.cancel is not None:
            cause = cancelled(wish.cancel.by, wish.cancel.reason)
            self._recorder.event("cancel", by=wish.cancel.by, reason=wish.cancel.reason or None)
            self._end(Ending(state=cause.state, reason=cause.reason), seconds=0.0)
            return
        self._recorder.event(
            "started",
            pid=os.getpid(),
            pid_started=start_time(os.getpid()),
            boot_id=boot_id(),
            nonce=self._order.nonce,
        )
        self._recorder.settle()
        oom_kills = _oom_kills()
        began = time.monotonic()
        try:
            runner = launch(self._order, kit)
        except LaunchError as error:
            self._end(never_launched(str(error)), seconds=0.0)
            return
        tree = Tree(runner.pid)
        self._follow(runner, tree, began)
        self._take_rest(runner)
        outcome = ending(
            self._cause, tree.status, error=self._recorder.error, oom_kills=_oom_kills() - oom_kills
        )
        self._end(
            outcome,
            seconds=(tree.exited_at or time.monotonic()) - began,
            peak_memory_bytes=tree.peak_memory_bytes or None,
            left_behind=(tree.left() or None) if tree.alive else None,
        )

    def _follow(self, runner: Runner, tree: Tree, began: float) -> None:
        """Record, obey and stop, until the tree is gone or given up."""
        listener = Listener(self._signals, runner.control, runner.pipes)
        while tree.alive and self._stop.stage is not stopping.Stage.GIVEN_UP:
            # while the disk refuses nothing is read, so that the job waits instead of losing output
            ready = listener.wait(self._patience(tree, began), signals_only=self._recorder.stalled)
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
            self._recorder.step(now)
            self._syncer.step(now)

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

    # --- what the job says --------------------------------------------------------------------------------

    def _take_output(self, pipe: Pipe) -> int:
        if not pipe.open or self._recorder.stalled:
            return 0
        data = pipe.read()
        if data:
            self._recorder.output(pipe.stream, data)
        return len(data)

    def _take_frames(self, runner: Runner, limit: int) -> None:
        for packet in runner.control.packets(limit):
            frame = decode_frame(packet)
            if frame is None:
                # answered all the same: whoever waits for it would wait for ever
                self._recorder.lost(_UNREADABLE)
                self._recorder.then(runner.control.acknowledge)
            else:
                if frame.ack:
                    self._take_present(runner)
                self._recorder.frame(frame, len(packet))
                if frame.ack:
                    self._recorder.then(runner.control.acknowledge)
            if self._recorder.stalled:
                return

    def _take_present(self, runner: Runner) -> None:
        for pipe in runner.pipes:
            if data := pipe.read_present():
                self._recorder.output(pipe.stream, data)

    def _take_rest(self, runner: Runner) -> None:
        """What the channels still hold. No end is waited for: somebody left behind may keep them open."""
        self._recorder.settle()
        for _ in range(_LAST_ROUNDS):
            if not runner.control.readable():
                break
            self._take_frames(runner, _FRAMES)
            self._recorder.settle()
        self._take_present(runner)

    # --- the end ------------------------------------------------------------------------------------------

    def _end(self, outcome: Ending, **facts: Any) -> None:
        self._recorder.close_streams()
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
            reason=outcome.reason
            or (f"the disk refused to keep its log: {failure.strerror}" if failure else None),
            complete=self._recorder.complete and failure is None,
            **facts,
        )


def _oom_kills() -> int:
    """How many processes the kernel has killed for memory since boot; 0 where it does not say."""
    try:
        counters = Path("/proc/vmstat").read_text()
    except OSError:
        return 0
    for line in counters.splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0
