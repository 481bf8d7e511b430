"""``sys.stdout`` and ``sys.stderr`` of a job, and the thread that brings out what they gather.

The thread exists only while something waits for it, and is stopped before a fork: a child would inherit its locks,
but not the thread that releases them.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys
from time import monotonic, sleep

from mlmagics_job.stream import QUIET_S, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: How long the other stream's pipe may take to run empty; a supervisor that stalls must not stop the job here.
DRAIN_S = 1.0


class Pair:
    """Both streams of the process, and the thread that brings out what they gather."""

    def __init__(self) -> None:
        self.out = Stream(1, "<stdout>", self)
        self.err = Stream(2, "<stderr>", self)
        #: Kept as long as the streams, to the interpreter's very end: so what the cell has made can print when it is
        #: cleared away, and the open socket never is, over which Python 3.8 would crash.
        self.job: Any = None
        #: the stream that was written last
        self.latest = self.out
        self._drain_s = DRAIN_S
        self._stopping = 0
        self._renew()

    def _renew(self) -> None:
        self._guard = _thread.RLock()
        self._running = False
        self._thread_id = 0
        self._wake = _thread.allocate_lock()
        self._gone = _thread.allocate_lock()

    def install(self) -> None:
        """Put the streams in place, for this process and for its forked children."""
        sys.stdout = sys.__stdout__ = self.out  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self.err  # type: ignore[misc]
        os.register_at_fork(
            before=self._before_fork, after_in_parent=self._after_fork, after_in_child=self._in_child
        )
        # Registered first, so it runs after all that the cell registers.
        atexit.register(self._end)

    def flush(self) -> None:
        """Bring out what both streams hold."""
        for stream in (self.out, self.err):
            if not stream.closed:
                stream.sweep()

    def switch(self, stream: Stream) -> None:
        """Make ``stream`` the latest, once the supervisor has read all of the other one."""
        other, self.latest = self.latest, stream
        if not other.closed:
            other.sweep()
            self._drain_s = DRAIN_S if _wait_empty(other.outlet.fd, self._drain_s) else QUIET_S

    def watch(self) -> bool:
        """Have the thread run; False when there can be none now."""
        with self._guard:
            if self._stopping:
                return False
            if self._running:
                return True
            self._wake = _thread.allocate_lock()
            self._wake.acquire()
            self._gone = _thread.allocate_lock()
            self._gone.acquire()
            started: list[int] = []
            try:
                self._running = True
                # One C call starts and notes it: after an interrupt there must be no doubt about the thread.
                started.extend(map(_thread.start_new_thread, (self._bring_out,), ((),)))
            except RuntimeError:
                return False
            finally:
                self._running = bool(started)
            return True

    def _bring_out(self) -> None:
        wake, gone = self._wake, self._gone
        self._thread_id = _thread.get_native_id()
        try:
            while True:
                wake.acquire(True, QUIET_S)
                with self._guard:
                    streams = [stream for stream in (self.out, self.err) if stream.waiting()]
                    if self._stopping or not streams:
                        self._running = False
                        return
                for stream in streams:
                    try:
                        stream.tick()
                    except (OSError, ValueError):
                        pass  # closed, or nobody reads; the next print says so to the one who prints
        finally:
            gone.release()

    def _stop(self) -> None:
        with self._guard:
            self._stopping += 1
            running, wake, gone = self._running, self._wake, self._gone
            if running and wake.locked():
                wake.release()
        if running:
            with gone:
                pass
            _wait_gone(self._thread_id)

    def _before_fork(self) -> None:
        self._stop()
        self.flush()

    def _after_fork(self) -> None:
        with self._guard:
            self._stopping = max(0, self._stopping - 1)
        self._watch_again()

    def _watch_again(self) -> None:
        if self.out.waiting() or self.err.waiting():
            self.watch()

    def _in_child(self) -> None:
        self._renew()
        self._stopping = 0
        for stream in (self.out, self.err):
            if not stream.closed:
                stream.outlet.forget(stream)
        self._watch_again()

    def _end(self) -> None:
        self._stop()
        for stream in (self.out, self.err):
            if not stream.closed:
                stream.settle_down()


def _wait_gone(thread: int) -> None:
    """Wait until the kernel has forgotten ``thread``: Python 3.12 and later warns of a fork beside threads."""
    path = "/proc/self/task/%d" % thread
    deadline = monotonic() + DRAIN_S
    while os.path.exists(path) and monotonic() < deadline:
        sleep(0)


def _wait_empty(fd: int, limit_s: float) -> bool:
    """Whether the pipe behind ``fd`` was read empty within ``limit_s``; True for anything but a pipe."""
    from fcntl import ioctl
    from termios import FIONREAD

    held = bytearray(4)
    deadline = monotonic() + limit_s
    rounds = 0
    while True:
        try:
            ioctl(fd, FIONREAD, held)
        except OSError:
            return True
        if not any(held):
            return True
        if monotonic() > deadline:
            return False
        rounds += 1
        sleep(0 if rounds < 100 else 0.0001)
