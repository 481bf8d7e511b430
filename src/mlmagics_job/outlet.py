"""The way out for the bytes of a standard stream, below the text layer.

The text layer hands bytes over by one C call, the ``append`` of a queue, in which no other thread and no interrupt
can come between. So whoever then drains the queue, all bytes go out once and in the order of the prints.
"""

from __future__ import annotations

import _thread
import io
import os
from _collections import deque  # type: ignore[import-not-found]  # collections is slow to import
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

#: At the end of the process a lock may be held by a thread which will never run again.
PATIENCE_AT_END_S = 5.0


class Outlet(io.BufferedIOBase):
    """Bytes on their way to a descriptor: queued by ``write``, brought out by ``drain``."""

    mode = "w"

    def __init__(self, fd: int, name: str) -> None:
        self.fd = fd
        self.name = name
        #: when bytes last went out, on the monotonic clock
        self.wrote_at = 0.0
        #: what is to go out
        self.queue: deque[bytes] = deque()
        self.queue_only()
        self._renew()

    def _renew(self) -> None:
        self.lock: Any = _thread.RLock()
        #: the first of the queue while it goes out, and how many bytes of it each write took
        self._going: tuple[bytes, list[int]] = (b"", [])

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.fd

    def isatty(self) -> bool:
        return False

    def flush(self) -> None:
        """Bring out what is queued."""
        if self.queue:
            self.drain()

    # The defaults keep names that are needed while the interpreter clears its modules.
    def drain(self, _write: Callable[..., int] = os.write, _now: Callable[[], float] = monotonic) -> None:
        """Write the queue to the descriptor. An interrupt may end this at any step: the next call goes on there."""
        queue = self.queue
        with self.lock:
            while queue:
                data = queue[0]
                if not data:
                    self._going = (b"", [])
                    queue.popleft()
                    continue
                if self._going[0] is not data:
                    self._going = (data, [])
                taken = self._going[1]
                done = sum(taken)
                if done == len(data):
                    queue[0] = b""  # one step; the two that follow from it are done above
                    continue
                try:
                    # One C call writes and counts.
                    taken.extend(map(_write, (self.fd,), (memoryview(data)[done:],)))
                except BlockingIOError:
                    _wait_writable(self.fd)
                except OSError as error:
                    if error.errno is not None:  # of the descriptor, not of a signal handler
                        queue.clear()
                    raise
            self.wrote_at = _now()

    def queue_only(self) -> None:
        """Let ``write`` queue: whoever calls it drains."""
        self.write = self.queue.append  # type: ignore[method-assign]

    def write_through(self) -> None:
        """Let ``write`` drain, for callers that do not: the C text layer alone."""
        self.write = self._write_and_drain  # type: ignore[method-assign]

    def _write_and_drain(self, data: Any) -> int:
        with self.lock:
            self.queue.append(data)
            self.drain()
        return len(data)

    def end(self) -> None:
        """Write without delay, and never wait for ever: other threads may stand still from now on."""
        self.lock = _Patient(self.lock)
        self.write_through()

    def forget(self, stream: io.TextIOWrapper) -> None:
        """In a forked child: drop what the parent has yet to write, with the parent's locks."""
        self._renew()
        self.wrote_at = 0.0  # so the child's first line goes out at once
        write, self.write = self.write, len  # type: ignore[assignment,method-assign]
        self.queue.clear()
        io.TextIOWrapper.flush(stream)
        self.write = write  # type: ignore[method-assign]


class _Patient:
    """A lock that is waited for only so long."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._limit_s = PATIENCE_AT_END_S
        self._locked = False

    def __enter__(self) -> None:
        self._locked = self._lock.acquire(True, self._limit_s)

    def __exit__(self, *_: object) -> None:
        if self._locked:
            self._lock.release()


def _wait_writable(fd: int) -> None:
    # Some program that shares the pipe has made it non-blocking.
    import select

    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    poll.poll(1000)


class Binary(io.BufferedIOBase):
    """``sys.stdout.buffer``: bytes go out at once, behind the text that was printed before."""

    mode = "wb"

    def __init__(self, outlet: Outlet, catch_up: Callable[[], None]) -> None:
        self.name = outlet.name
        self._outlet = outlet
        self._catch_up = catch_up

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._outlet.fileno()

    def isatty(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        self._catch_up()
        data = bytes(memoryview(data))
        self._outlet.queue.append(data)
        self._outlet.drain()
        return len(data)

    def flush(self) -> None:
        self._catch_up()

    def close(self) -> None:
        # The stream goes on when somebody's wrapper around this is collected.
        return
