"""A standard stream of a job: quick when quiet, cheap in a flood, in order with the other one.

What is printed goes out at once when nothing did for 5 ms. Else it is gathered, and the thread of
:class:`mlmagics_job.streams.Pair` brings it out within 5 ms. In a steady flood ``write`` is the C method itself::

    quiet -- printed again within 5 ms --> gathering -- for 20 ms, by one thread --> flood
      ^------ nothing for 5 ms, a display, the other stream, a fork, a thread ---------|
"""

from __future__ import annotations

import _thread
import io
import sys
from time import monotonic

from mlmagics_job.outlet import Binary, Outlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Tuple

    from mlmagics_job.streams import Pair

    Write = Callable[[str], int]
    #: the C method, the closure around it, how to ask and how to tell whether text waits for the thread
    Writers = Tuple[Write, Write, Callable[[], bool], Callable[[bool], None]]

#: Longest time for which printed text waits.
QUIET_S = 0.005
#: So many writes go out at once after a quiet time, for one print() is several of them.
BURST = 12
#: So many times in a row the thread finds something before it is a flood.
STEADY = 4
#: Characters that are gathered before they go out without the thread.
CHUNK = 16384


class Stream(io.TextIOWrapper):
    """One of the two standard streams."""

    mode = "w"

    def __init__(self, fd: int, name: str, pair: Pair) -> None:
        self.outlet = Outlet(fd, name)
        super().__init__(self.outlet, encoding="utf-8", errors="backslashreplace", newline="\n")
        self._CHUNK_SIZE = CHUNK
        self._pair = pair
        self._binary = Binary(self.outlet, self._catch_up)
        self._burst = 0
        self._steady = 0
        self._flood = False
        self._wrote_at = 0.0
        self._raw_write, self._careful_write, self._is_gathering, self._gather = self._make_writers()
        self._references = sys.getrefcount(self._raw_write)
        self.write = self._careful_write  # type: ignore[method-assign]

    @property
    def buffer(self) -> Any:
        """The stream for bytes, in order with this one."""
        return self._binary

    def _make_writers(self) -> Writers:
        # A closure instead of a method: it costs half.
        raw_write, outlet, queue, pair = super().write, self.outlet, self.outlet.queue, self._pair
        gathering = False  # text lies in the buffer and the thread will come for it

        def write(text: str) -> int:
            if gathering:
                count = raw_write(text)
                if queue:
                    outlet.drain()
                if gathering:
                    return count
            else:
                if pair.latest is not self:
                    pair.switch(self)
                count = raw_write(text)
            self._settle(text)
            return count

        def is_gathering() -> bool:
            return gathering

        def gather(on: bool) -> None:
            nonlocal gathering
            gathering = on

        return raw_write, write, is_gathering, gather

    def _settle(self, text: str) -> None:
        if monotonic() - self.outlet.wrote_at > QUIET_S:
            self._burst = BURST
        if self._burst:
            self._burst = 0 if "\n" in text else self._burst - 1
            self._bring_out()
            return
        self._gather(True)
        watched = False
        try:
            watched = self._pair.watch()
        finally:
            if not watched:
                self.sweep()

    def _bring_out(self) -> None:
        # The lock comes first: in a flood no other chunk may get between taking one and writing it.
        with self.outlet.lock:
            super().flush()

    def sweep(self) -> None:
        """Bring out what was gathered, and be careful again."""
        if self.__dict__.get("write") is self._raw_write:
            self.write = self._careful_write  # type: ignore[method-assign]
        self._flood = False
        self._gather(False)
        if not self._is_captured():
            self.outlet.queue_only()
        self._bring_out()

    def waiting(self) -> bool:
        """Whether the thread has to come."""
        return self._is_gathering() or self._is_captured()

    def _is_captured(self) -> bool:
        # Somebody, such as a csv.writer, got hold of the C method in a flood: what it writes is noticed by the
        # thread only, so that has to go on for as long as there are more references than ours.
        return sys.getrefcount(self._raw_write) > self._references

    def tick(self) -> None:
        """What the thread does every 5 ms."""
        alone = _thread._count() == 1  # noqa: SLF001 # besides the main thread only the one that runs this
        if self._flood:
            self._bring_out()
            quiet, self._wrote_at = self.outlet.wrote_at == self._wrote_at, self.outlet.wrote_at
            if quiet or not alone:
                self.sweep()
            return
        self._steady = self._steady + 1 if self._is_gathering() else 0
        self.sweep()
        if self._steady >= STEADY and alone and self.__dict__.get("write") is self._careful_write:
            self._steady = 0
            self._flood = True
            self._gather(True)
            self.outlet.write_through()
            self.write = self._raw_write  # type: ignore[method-assign]

    def _catch_up(self) -> None:
        if self._pair.latest is not self:
            self._pair.switch(self)
        self.sweep()

    def settle_down(self) -> None:
        """For the end of the process: bring all out, then write without delay, thread or closure."""
        self.sweep()
        self.__dict__.pop("write", None)
        self.reconfigure(write_through=True)
        self.outlet.end()
