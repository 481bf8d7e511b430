"""Where supervisors come from: a process that has imported all they need, and forks one for each request.

So a supervisor costs a fork and not an interpreter's start, and what it has imported is shared with its
siblings. The process has one thread and starts no other, which is what makes forking safe. It ends when the
agent's end of its socket closes; supervisors go on.

A request is one packet with a descriptor, the supervisor's end of the socket through which it gets its order.
The reply is a :class:`Born`, or a :class:`Refused`.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import traceback
from typing import NoReturn

import msgspec

from cluster_agent.supervisor.identity import start_time
from cluster_agent.supervisor.main import main as supervise
from cluster_agent.supervisor.processes import set_name
from cluster_agent.supervisor.record import note

#: What a request says; the descriptor is the point of it.
REQUEST = b"one"
REPLY_BYTES = 4096
#: As the processes are called in ``top``; 15 bytes at most.
NURSERY_NAME = "mlm-nursery"
SUPERVISOR_NAME = "mlm-supervisor"


class Born(msgspec.Struct, frozen=True, tag=True):
    """A supervisor that waits for its order."""

    pid: int
    #: as :func:`cluster_agent.supervisor.identity.start_time` tells it
    started: float


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The system made no process."""

    errno: int


decode_reply = msgspec.json.Decoder(Born | Refused).decode


def main(descriptor: int) -> None:
    """Fork a supervisor for each descriptor that comes in through the socket ``descriptor``."""
    set_name(NURSERY_NAME)
    signal.signal(signal.SIGCHLD, _reap)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stay)
    # what is here now is needed by all; collecting it would only unshare its memory
    gc.freeze()
    with socket.socket(fileno=descriptor) as agent:
        while True:
            try:
                packet, descriptors, _, _ = socket.recv_fds(agent, len(REQUEST), 1)
            except ConnectionError:
                return
            if not packet:
                return
            [theirs] = descriptors
            reply = _bear(agent, theirs)
            os.close(theirs)
            try:
                agent.send(msgspec.json.encode(reply))
            except ConnectionError:
                return


def _bear(agent: socket.socket, theirs: int) -> Born | Refused:
    # its exit is not taken before its start is known: until then its id is its own
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    try:
        pid = os.fork()
        if pid == 0:
            _grow_up(agent, theirs)
        return Born(pid, start_time(pid) or 0.0)
    except OSError as error:
        return Refused(error.errno or 0)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def _grow_up(agent: socket.socket, theirs: int) -> NoReturn:
    """Be a supervisor, in a session of its own, and end."""
    status = 1
    try:
        agent.close()
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        set_name(SUPERVISOR_NAME)
        supervise(theirs)
        status = 0
    except BaseException:  # noqa: BLE001 - this process ends here, whatever it was
        note(traceback.format_exc())
    finally:
        os._exit(status)


def _reap(number: int, frame: object) -> None:  # noqa: ARG001
    """Take note of every exit."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _stay(number: int, frame: object) -> None:
    """Live through a signal; a supervisor that is forked meanwhile is not to inherit an ignored one."""


if __name__ == "__main__":
    main(int(sys.argv[1]))
