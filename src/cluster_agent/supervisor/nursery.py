"""Where supervisors come from: a process that has imported all they need, and forks one for each request.

So a supervisor costs a fork and not an interpreter's start, and what it has imported is shared with its
siblings. The process has one thread and starts no other, which is what makes forking safe.

It is also who inherits what a supervisor leaves behind that was killed (decision 15), and kills it: whatever it has
as a child and has not forked itself. So when the agent's end of its socket closes it stays for as long as one of
its supervisors does.

A request is one packet with a descriptor, the supervisor's end of the socket through which it gets its order.
The reply is a :class:`Born`, or a :class:`Refused`.
"""

from __future__ import annotations

import gc
import math
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterable
from typing import NoReturn

import msgspec

from cluster_agent.supervisor.identity import start_time
from cluster_agent.supervisor.main import main as supervise
from cluster_agent.supervisor.main import watch_signals
from cluster_agent.supervisor.processes import become_reaper, has_children, kill_below, set_name
from cluster_agent.supervisor.record import note

#: What a request says; the descriptor is the point of it.
REQUEST = b"one"
REPLY_BYTES = 4096
#: As the processes are called in ``top``; 15 bytes at most.
NURSERY_NAME = "mlm-nursery"
SUPERVISOR_NAME = "mlm-supervisor"
#: Between two tries to kill what a dead supervisor has left behind: the first, and more and more up to the last.
_SWEEP_S, _RARELY_S = 0.25, 30.0


class Born(msgspec.Struct, frozen=True, tag=True):
    """A supervisor that waits for its order."""

    pid: int
    #: as :func:`cluster_agent.supervisor.identity.start_time` tells it
    started: float


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The system made no process."""

    errno: int


class Stays(msgspec.Struct, frozen=True, tag=True):
    """The answer to the end of all requests: jobs go on, and the nursery with them."""


decode_reply = msgspec.json.Decoder(Born | Refused | Stays).decode


def main(descriptor: int) -> None:
    """Fork a supervisor for each descriptor that comes in through the socket ``descriptor``."""
    set_name(NURSERY_NAME)
    become_reaper()
    signals = watch_signals()
    # what is here now is needed by all; collecting it would only unshare its memory
    gc.freeze()
    with socket.socket(fileno=descriptor) as agent:
        _Nursery(agent, signals).run()


class _Nursery:
    def __init__(self, agent: socket.socket, signals: int) -> None:
        self._agent = agent
        self._signals = signals
        self._supervisors: set[int] = set()
        #: when to look again after what could not be killed at once, in monotonic seconds
        self._sweep_at, self._pause_s = math.inf, _SWEEP_S

    def run(self) -> None:
        """Bear, until nobody asks any more; and sweep, until no supervisor is left."""
        waiting = select.poll()
        waiting.register(self._signals, select.POLLIN)
        waiting.register(self._agent, select.POLLIN)
        wanted = True
        while wanted or self._supervisors:
            patience_s = self._sweep_at - time.monotonic()
            ready = waiting.poll(None if patience_s == math.inf else max(0.0, patience_s) * 1000)
            self._sweep()
            if any(descriptor == self._agent.fileno() for descriptor, _ in ready):
                wanted = self._serve()
                if not wanted:
                    waiting.unregister(self._agent)

    def _serve(self) -> bool:
        """Answer a request; False when that was the last."""
        try:
            packet, descriptors, _, _ = socket.recv_fds(self._agent, len(REQUEST), 1)
            if not packet:
                if self._supervisors:
                    self._agent.send(msgspec.json.encode(Stays()))
                return False
            [theirs] = descriptors
            reply = self._bear(theirs)
            os.close(theirs)
            self._agent.send(msgspec.json.encode(reply))
        except ConnectionError:
            return False
        return True

    def _bear(self, theirs: int) -> Born | Refused:
        try:
            pid = os.fork()
        except OSError as error:
            return Refused(error.errno or 0)
        if pid == 0:
            _grow_up((self._agent.fileno(), self._signals), theirs)
        self._supervisors.add(pid)
        # it is not reaped yet, so that its id is its own
        return Born(pid, start_time(pid) or 0.0)

    def _sweep(self) -> None:
        """Take note of every exit, and kill what a supervisor has left behind that is no more."""
        try:
            os.read(self._signals, 4096)
        except BlockingIOError:
            pass
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            self._supervisors.discard(pid)
        if not has_children(self._supervisors):
            self._sweep_at, self._pause_s = math.inf, _SWEEP_S
            return
        kill_below(self._supervisors)
        self._sweep_at = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _RARELY_S)


def _grow_up(not_ours: Iterable[int], theirs: int) -> NoReturn:
    """Be a supervisor, in a session of its own, and end."""
    status = 1
    try:
        for descriptor in (*not_ours, signal.set_wakeup_fd(-1)):
            os.close(descriptor)
        os.setsid()
        set_name(SUPERVISOR_NAME)
        supervise(theirs)
        status = 0
    except BaseException:  # noqa: BLE001 - this process ends here, whatever it was
        note(traceback.format_exc())
    finally:
        os._exit(status)


if __name__ == "__main__":
    main(int(sys.argv[1]))
