"""``sys.stdout`` and ``sys.stderr`` of a job: quick when quiet, cheap in a flood, in order with each other.

What is printed goes out at once when nothing did for 5 ms; else it is gathered, and a thread brings it out
within 5 ms. The thread exists only while something waits, and is stopped before a fork: a child would
inherit its locks, but not the thread that releases them.
"""

from __future__ import annotations

import _thread
import atexit
import io
import os
import sys
from time import monotonic, sleep

from mlmagics_job.outlet import Binary, Outlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

#: Longest time for which printed text waits.
QUIET_S = 0.005
#: So many writes go out at once after a quiet time, for one print() is several of them.
BURST = 12
#: Text that is gathered before it goes out without the thread.
CHUNK = 16384
#: How long the other stream's pipe may take to run empty; a supervisor that stalls must not stop the job here.
DRAIN_S = 1.0


class Stream(io.TextIOWrapper):
    """Text stream whose ``write`` is the closure made by :meth:`adapt`: half the cost of a method."""

    mode = "w"

    def __init__(self, fd: int, name: str, pair: Pair) -> None:
        self.outlet = Outlet(fd, name)
        super().__init__(self.outlet, encoding="utf-8", errors="backslashreplace", newline="\n")
        self._CHUNK_SIZE = CHUNK
        self.waiting, self.sweep = self.adapt(pair)
        self._binary = Binary(self.outlet, lambda: self._catch_up(pair))

    @property
    def buffer(self) -> Any:
        """The stream for bytes, in order with this one."""
        return self._binary

    def adapt(self, pair: Pair) -> tuple[Callable[[], bool], Callable[[], None]]:
        """Set ``self.write``; return how to ask whether text waits for the thread, and how to bring it out."""
        raw_write, raw_flush = super().write, super().flush
        outlet = self.outlet
        gathering = False  # text lies in the buffer and the thread will come for it
        burst = 0

        def write(text: str) -> int:
            if gathering:
                count = raw_write(text)
                if gathering:
                    return count
            else:
                if pair.latest is not self:
                    pair.switch(self)
                count = raw_write(text)
            settle(text)
            return count

        def settle(text: str) -> None:
            nonlocal gathering, burst
            if monotonic() - outlet.wrote_at > QUIET_S:
                burst = BURST
            if burst:
                burst = 0 if "\n" in text else burst - 1
                raw_flush()
                return
            gathering = True
            watched = False
            try:
                watched = pair.watch()
            finally:
                if not watched:
                    sweep()

        def waiting() -> bool:
            return gathering

        def sweep() -> None:
            nonlocal gathering
            gathering = False
            raw_flush()

        self.write = write  # type: ignore[method-assign]
        return waiting, sweep

    def _catch_up(self, pair: Pair) -> None:
        if pair.latest is not self:
            pair.switch(self)
        self.sweep()

    def settle_down(self) -> None:
        """For the end of the process: bring all out, then write without delay, thread or closure."""
        self.sweep()
        self.__dict__.pop("write", None)
        self.reconfigure(write_through=True)
        self.outlet.end()


class Pair:
    """Both streams of the process, and the thread that brings out what they gather."""

    def __init__(self) -> None:
        self.out = Stream(1, "<stdout>", self)
        self.err = Stream(2, "<stderr>", self)
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
                        stream.sweep()
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

    def _in_child(self) -> None:
        self._renew()
        self._stopping = 0
        for stream in (self.out, self.err):
            if not stream.closed:
                stream.outlet.forget(stream)

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
