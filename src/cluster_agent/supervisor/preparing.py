"""The state `preparing`: a child of the supervisor makes the job's environment ready; what it says is recorded.

A child, because it waits for programs and networks, and a cancel, a time limit and a full disk must have their way
meanwhile. It is forked, not started, so that an upgrade of the agent does not come between; the supervisor has no
thread at that time. Nothing of a build is worth a grace: it is killed, and what it leaves is deleted.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NoReturn

import msgspec

from cluster_agent.environments.base import EnvironmentOrder
from cluster_agent.environments.building import BuildFailed, Workbench
from cluster_agent.environments.shelf import Hold, Shelf
from cluster_agent.executors.base import Order
from cluster_agent.folder import Cancel, JobFolder, write_durably
from cluster_agent.isolation.ids import expendable_children, files_of
from cluster_agent.supervisor import stopping
from cluster_agent.supervisor.ending import Cause, Ending, cancelled, never_launched, not_ready
from cluster_agent.supervisor.group import Group
from cluster_agent.supervisor.identity import boot_id
from cluster_agent.supervisor.launch import MARK, settle_in
from cluster_agent.supervisor.record import Recorder, Syncer, note
from cluster_agent.supervisor.tree import Tree
from cluster_agent.supervisor.wishes import Wishes

#: The wish file is looked at this often, nudged or not.
_LOOK_S = 1.0
_PIECE_BYTES = 65536
_MESSAGE_LENGTH = 300
#: Steps that are told; a build of hundreds of packages has many.
_MAX_TOLD = 40
#: An environment may be deleted in the moment before it is used; then it is built again.
_TRIES = 3
_HOLD_S = 10.0
_DIED = "its environment cannot be built: the process that builds it ended unexpectedly; the supervisors' log may say why"
_CHASED = "its environment was deleted again and again before the job could start"


class _Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line from the child: a step that it begins, or how it ended."""

    step: str = ""
    key: str | None = None
    python: str = ""
    failed: str = ""
    said: str = ""
    #: the packages that were chosen
    lock: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """The job's order with its environment in it, and the hold that keeps the environment as long as the job lives."""

    order: Order
    #: name of the environment; empty when everything was there already
    environment: str
    hold: Hold | None


class Preparation:
    """Makes the environment of one order ready.

    Parameters
    ----------
    shutdown
        What a TERM to the supervisor means.
    """

    def __init__(
        self,
        order: Order,
        environment: EnvironmentOrder,
        *,
        recorder: Recorder,
        syncer: Syncer,
        wishes: Wishes,
        signals: int,
        group: Group | None,
        shutdown: Cancel,
    ) -> None:
        self._order, self._group = order, group
        marked = {**environment.uv_variables, MARK: order.nonce}
        self._environment = replace(environment, uv_variables=marked)
        self._recorder, self._syncer, self._wishes = recorder, syncer, wishes
        self._signals, self._shutdown = signals, shutdown
        self._shelf = Shelf(environment.shelf)
        self._lock = JobFolder(order.folder).lock
        self._deadline = time.monotonic() + environment.timeout_s
        self._look_at = 0.0
        self._told = 0
        self._stop = stopping.Stop()
        self._cause: Cause | None = None
        self._rest = b""
        self._last: _Said | None = None
        #: processes of a build that could not be killed, with their start times
        self.left: dict[int, float] = {}

    def run(self) -> Prepared | Ending:
        """The order to launch, or how the job ends without being launched."""
        for _ in range(_TRIES):
            outcome = self._judged(self._build())
            if outcome is not None:
                return outcome
        return never_launched(_CHASED)

    def _judged(self, last: _Said | None) -> Prepared | Ending | None:
        """What a build came to that said ``last`` at its end; None when it is to be tried again."""
        if self._cause is not None or last is None:
            with files_of(self._order.ids):
                self._shelf.sweep()
        if self._cause is not None:
            return Ending(state=self._cause.state, reason=self._cause.reason)
        if last is None:
            return never_launched(_DIED)
        if last.failed:
            if last.said:
                self._recorder.output("stderr", f"{last.said.rstrip()}\n".encode())
            return never_launched(last.failed)
        if not last.key:
            return Prepared(order=self._order, environment="", hold=None)
        with files_of(self._order.ids):
            hold = self._hold(last.key)
        if hold is None:
            return None
        return Prepared(order=self._within(last), environment=last.key, hold=hold)

    def _within(self, ready: _Said) -> Order:
        """The order, to be launched in the environment."""
        folder = str(self._shelf.place(ready.key or ""))
        variables = {"VIRTUAL_ENV": folder, **self._order.variables}
        if not self._environment.own_path:
            variables["VIRTUAL_ENV"] = folder
            variables["PATH"] = f"{folder}/bin:{variables.get('PATH', os.defpath)}"
        return replace(self._order, python=ready.python, variables=variables)

    def _hold(self, key: str) -> Hold | None:
        """A hold on the environment, if it is still there."""
        give_up = time.monotonic() + _HOLD_S
        while time.monotonic() < give_up:
            hold = self._shelf.hold(key, exclusive=False)
            if hold is not None:
                if self._shelf.card(key) is not None:
                    return hold
                hold.give_back()
                return None
            time.sleep(0.05)
        return None

    # --- the child and what it says -----------------------------------------------------------------------

    def _build(self) -> _Said | None:
        """What the child says at its end, when nothing of it is left; None when it said nothing then."""
        self._last, self._rest, self._stop = None, b"", stopping.Stop()
        pid, channel = _fork(self._order, self._environment, self._group)
        tree = Tree(pid, self._group)
        with selectors.DefaultSelector() as both, selectors.DefaultSelector() as signals_only:
            both.register(channel, selectors.EVENT_READ)
            both.register(self._signals, selectors.EVENT_READ)
            signals_only.register(self._signals, selectors.EVENT_READ)
            open_ = True
            while (tree.alive or open_) and self._stop.stage is not stopping.Stage.GIVEN_UP:
                selector = both if open_ and not self._recorder.stalled else signals_only
                ready = {key.fd for key, _ in selector.select(self._patience())}
                now = time.monotonic()
                if channel in ready and not self._take(os.read(channel, _PIECE_BYTES)):
                    both.unregister(channel)
                    open_ = False
                self._look(now, tree, forced=self._signals in ready or not open_)
                self._enforce(now, tree)
                self._recorder.step(now)
                self._syncer.step(now)
        os.close(channel)
        self.left = tree.left() if tree.alive else {}
        return self._last

    def _patience(self) -> float:
        due = min(self._look_at, self._deadline, self._stop.until, self._syncer.due)
        return max(0.0, due - time.monotonic())

    def _take(self, data: bytes) -> bool:
        """Record what the child says; whether there may be more."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            said = msgspec.json.decode(line, type=_Said)
            if said.lock:
                self._recorder.then(partial(write_durably, self._lock, said.lock.encode()))
            elif not said.step:
                self._last = said
            elif self._told < _MAX_TOLD:
                self._told += 1
                self._recorder.event("preparing", message=said.step[:_MESSAGE_LENGTH])
        return bool(data)

    # --- what is wanted -----------------------------------------------------------------------------------

    def _look(self, now: float, tree: Tree, *, forced: bool) -> None:
        if now < self._look_at and not forced:
            return
        self._look_at = now + _LOOK_S
        try:
            numbers = os.read(self._signals, 4096)
        except BlockingIOError:
            numbers = b""
        tree.reap()
        wish = self._wishes.read()
        cancel = wish.cancel or (self._shutdown if signal.SIGTERM in numbers else None)
        if cancel is not None and self._cause is None:
            self._recorder.event("cancel", by=cancel.by, reason=cancel.reason or None)
            self._end(cancelled(cancel.by, cancel.reason), now, tree)

    def _enforce(self, now: float, tree: Tree) -> None:
        if self._cause is None and now >= self._deadline:
            self._end(not_ready(self._environment.timeout_s), now, tree)
        if self._stop.stage is stopping.Stage.NONE:
            if tree.status is not None and tree.alive:
                self._kill(now, tree)  # what a build has left behind
            return
        self._stop, act = stopping.advance(self._stop, now, runner_alive=False, tree_alive=tree.alive)
        if act is not None:
            tree.signal_all(act.signal)

    def _end(self, cause: Cause, now: float, tree: Tree) -> None:
        self._cause = cause
        self._deadline = float("inf")
        self._kill(now, tree)

    def _kill(self, now: float, tree: Tree) -> None:
        self._stop, act = stopping.kill(now)
        tree.signal_all(act.signal)


def _fork(order: Order, environment: EnvironmentOrder, group: Group | None) -> tuple[int, int]:
    """The child that builds, and the end of a pipe through which it speaks."""
    channel, speak = os.pipe()
    supervisor = os.getpid()
    entry = group.open() if group is not None else None
    with expendable_children(order.ids):
        pid = os.fork()
        if pid == 0:
            _be_child(order, environment, supervisor, entry, speak)
    os.close(speak)
    if entry is not None:
        os.close(entry)
    return pid, channel


def _be_child(
    order: Order, environment: EnvironmentOrder, supervisor: int, entry: int | None, speak: int
) -> NoReturn:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        settle_in(supervisor, entry, order.ids)
        _work(environment, lambda said: _say(speak, said))
        code = 0
    except BaseException:  # noqa: BLE001 - nothing above may go on in this process
        with contextlib.suppress(OSError):
            note(f"{order.title}: {traceback.format_exc()}")
    finally:
        os._exit(code)


def _work(environment: EnvironmentOrder, say: Callable[[_Said], None]) -> None:
    bench = Workbench(environment, boot_id=boot_id(), tell=lambda step: say(_Said(step=step)))
    try:
        ready = bench.make_ready(lambda text: say(_Said(lock=text)))
    except BuildFailed as error:
        say(_Said(failed=error.reason, said=error.said))
        return
    say(_Said(key=ready.key, python=ready.python))


def _say(descriptor: int, said: Any) -> None:
    data = memoryview(msgspec.json.encode(said) + b"\n")
    while data:
        data = data[os.write(descriptor, data) :]
