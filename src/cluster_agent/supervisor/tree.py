"""The runner and all that came of it: signalled and reaped.

As every orphan below a subreaper becomes its child, a daemon of its own session is found like any other
process, and that no child is left means that nothing is. Where there is no subreaper the runner's process
group stands in.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from cluster_agent.supervisor.group import Group
from cluster_agent.supervisor.processes import RSS_BYTES, descendants, kill_below, send


class Tree:
    """All processes below this supervisor."""

    def __init__(self, runner: int, group: Group | None = None) -> None:
        self.runner = runner
        self._group = group
        #: wait status of the runner, once it was reaped
        self.status: int | None = None
        #: when that was, in monotonic seconds
        self.exited_at: float | None = None
        #: some process is left
        self.alive = True
        #: of the largest process
        self.peak_memory_bytes = 0

    def reap(self) -> None:
        """Take the exits of children; call it when one may have ended."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self.alive = sys.platform != "linux" and self._group_lives()
                return
            if pid == 0:
                return
            self.peak_memory_bytes = max(self.peak_memory_bytes, usage.ru_maxrss * RSS_BYTES)
            if pid == self.runner:
                self.status = status
                self.exited_at = time.monotonic()

    def signal_group(self, number: int) -> None:
        """Send a signal to the runner's process group; it cannot be another's while the runner is not reaped."""
        if self.status is None:
            self._signal_group(number)
            self._signal_group(signal.SIGCONT)  # what is stopped could not take it

    def signal_all(self, number: int) -> None:
        """Send a signal to every process."""
        if number == signal.SIGKILL:
            if self._group is not None:
                self._group.kill()
            kill_below()
        else:
            for pid, started in descendants(os.getpid()).items():
                send(pid, started, number)
                send(pid, started, signal.SIGCONT)
        if sys.platform != "linux":
            self._signal_group(number)

    def left(self) -> dict[int, float]:
        """What is left: start times by process id."""
        return dict(sorted(descendants(os.getpid()).items()))

    def _group_lives(self) -> bool:
        return self._signal_group(0)

    def _signal_group(self, number: int) -> bool:
        try:
            os.killpg(self.runner, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True
