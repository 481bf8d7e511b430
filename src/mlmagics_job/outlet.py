"""The way out for the bytes of a standard stream, below the text layer."""

from __future__ import annotations

import _thread
import io
import os
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

#: At the end of the process a lock may be held by a thread which will never run again.
PATIENCE_AT_END_S = 5.0


class Outlet(io.BufferedIOBase):
    """Writes bytes to a descriptor, all of them, in order, also after an interrupt and in a forked child."""

    mode = "w"

    def __init__(self, fd: int, name: str) -> None:
        self.fd = fd
        self.name = name
        #: when bytes last went out, on the monotonic clock
        self.wrote_at = 0.0
        self._discard = False
        self._renew()

    def _renew(self) -> None:
        self._lock: Any = _thread.RLock()
        #: what is going out, and how many bytes of it each write took
        self._going: tuple[bytes, list[int]] = (b"", [])

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.fd

    def isatty(self) -> bool:
        return False

    # The defaults keep names that are needed while the interpreter clears its modules.
    def write(
        self, data: Any, _bytes: Callable[[Any], bytes] = bytes, _now: Callable[[], float] = monotonic
    ) -> int:
        data = _bytes(data)
        if self._discard:
            return len(data)
        with self._lock:
            before, taken = self._going
            self._going = (before[sum(taken) :] + data, [])
            self._drain()
        self.wrote_at = _now()
        return len(data)

    def flush(self) -> None:
        if self._going[0]:
            self.write(b"")

    def _drain(self, _write: Callable[..., int] = os.write) -> None:
        data, taken = self._going
        view = memoryview(data)
        done = 0
        while done < len(data):
            try:
                # One C call writes and counts: an interrupt after it can neither lose nor repeat bytes.
                taken.extend(map(_write, (self.fd,), (view[done:],)))
            except BlockingIOError:
                _wait_writable(self.fd)
            done = sum(taken)
        self._going = (b"", [])

    def end(self) -> None:
        """Never wait for ever again: other threads may stand still from now on."""
        self._lock = _Patient(self._lock)

    def forget(self, stream: io.TextIOWrapper) -> None:
        """In a forked child: drop what the parent has yet to write, with the parent's locks."""
        self._renew()
        self._discard = True
        try:
            io.TextIOWrapper.flush(stream)
        finally:
            self._discard = False


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
        return self._outlet.write(data)

    def flush(self) -> None:
        self._catch_up()

    def close(self) -> None:
        # The stream goes on when somebody's wrapper around this is collected.
        return
