"""Supervisors that wait for a job, so that starting one costs a hand-over and not an interpreter's start."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

#: What a supervisor's own interpreter may need to start at all; nothing else of the agent's variables.
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
#: A new spare leaves the processors to the job that took the last one for this long.
_REFILL_DELAY_S = 0.1
#: For a spare that is let go: it has nothing to do but to end.
_DISMISS_S = 5.0
_DISMISS_LOOK_S = 0.01


@dataclass(frozen=True, slots=True)
class Spare:
    """A supervisor without a job, and the agent's end of its socket."""

    pid: int
    channel: socket.socket

    def dismiss(self) -> None:
        """Let it end, as it does when this end closes, and reap it; one that does not is killed."""
        self.channel.close()
        deadline = time.monotonic() + _DISMISS_S
        while time.monotonic() < deadline:
            if reap(self.pid):
                return
            time.sleep(_DISMISS_LOOK_S)
        self.kill()

    def kill(self) -> None:
        """End it, stopped or not, and reap it. Its process id is its own until then."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        reap(self.pid, wait=True)


def reap(pid: int, *, wait: bool = False) -> bool:
    """Take the exit of a supervisor if it has ended, or ``wait`` until it has; whether nothing of it is left.

    Nothing is, too, when it is no child of this process.
    """
    try:
        return os.waitpid(pid, 0 if wait else os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def spawn(log: Path) -> Spare:
    """A new supervisor, which imports what it needs while nobody waits for it.

    It has its own session and the folder ``/``, so that nothing that happens to the agent reaches it.
    """
    ours, theirs = socket.socketpair()
    with theirs, log.open("ab") as errors:
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-m", "cluster_agent.supervisor.main", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                pass_fds=(theirs.fileno(),),
                cwd="/",
                env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
    # it may outlive this agent: its exit is taken by process id, by whoever waits for it
    process.returncode = 0
    ours.setblocking(False)
    return Spare(process.pid, ours)


class Spares:
    """Keeps ``count`` supervisors waiting."""

    def __init__(self, count: int, log: Path) -> None:
        self._count = count
        self._log = log
        self._waiting: deque[Spare] = deque()
        self._refill: asyncio.Task[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    async def take(self) -> tuple[Spare, bool]:
        """A supervisor, and whether it was started only now.

        Raises
        ------
        OSError
            When none waits and the system starts no process.
        """
        if self._waiting:
            return self._waiting.popleft(), False
        return await asyncio.to_thread(spawn, self._log), True

    def refill(self, delay_s: float = _REFILL_DELAY_S) -> None:
        """Replace what was taken, in the background."""
        if not self._closed and (self._refill is None or self._refill.done()):
            self._refill = asyncio.get_running_loop().create_task(self._fill(delay_s))

    async def close(self) -> None:
        """Let all spares go."""
        self._closed = True
        if self._refill is not None:
            await asyncio.gather(self._refill, return_exceptions=True)
        while self._waiting:
            await asyncio.to_thread(self._waiting.popleft().dismiss)

    async def _fill(self, delay_s: float) -> None:
        while len(self._waiting) < self._count and not self._closed:
            await asyncio.sleep(delay_s)
            self._waiting.append(await asyncio.to_thread(spawn, self._log))
