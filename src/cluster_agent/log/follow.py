"""How the agent reads a log that another process writes: from any cursor on, and when it grows."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from pathlib import Path

from cluster_agent.errors import BeyondEnd, Gone
from cluster_agent.log.lock import close_descriptor, open_log
from cluster_agent.log.scan import find_after, last_events, offset_of_last, whole_size
from cluster_agent.log.watch import LogWatcher as LogWatcher
from cluster_agent.protocol import MAX_LINE_BYTES, Cursor, Event, decode_event

#: ``recovered`` is followed by little more than ``ended``.
_RECOVERY_LINES = 8
#: What stands near the end of a log is looked for in so many lines first, then in so many times more.
_FIRST_LINES, _MORE = 64, 16


class LogReader:
    """Whole lines of a log; one that does not exist yet, or is no regular file, is empty. Not for several threads.

    It never reads torn tails, and its closing does not take the lock from a writer in this process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._closing: weakref.finalize[[int], LogReader] | None = None

    def size(self) -> int:
        """Bytes up to the end of the last whole line."""
        return whole_size(self._read_at, self._file_size())

    def read(self, offset: int, limit: int = 262144) -> bytes:
        """Whole lines from ``offset`` on, at most ``limit`` bytes but at least one line; empty at the end."""
        data = self._read_at(offset, limit)
        end = data.rfind(b"\n") + 1
        if end == 0 and len(data) == limit:
            data = self._read_at(offset, max(limit, MAX_LINE_BYTES))
            end = data.find(b"\n") + 1
        return data[:end]

    def locate(self, cursor: Cursor, tag: str) -> int:
        """Where the line behind ``cursor`` begins, in a log whose tag is now ``tag``.

        Raises
        ------
        Gone
            When the cursor is of another log, or of a part that a reboot cut off; ``nearest`` is where it
            can go on.
        BeyondEnd
            When the log has not got that far; ``nearest`` is its end.
        """
        if cursor.seq == 0:
            return 0
        end = self.size()
        if cursor.tag != tag:
            self._check_old(cursor, tag, end)
        last = self.last_event()
        newest = last.seq if last is not None and last.seq is not None else 0
        if cursor.seq > newest:
            nearest = Cursor(tag=tag, seq=newest)
            raise BeyondEnd(f"{cursor} is beyond the end of the log at {nearest}", nearest=str(nearest))
        return find_after(self._read_at, end, cursor.seq)

    def locate_tail(self, count: int) -> int:
        """Where the last ``count`` lines begin."""
        return offset_of_last(self._read_at, self.size(), count)

    def last_event(self) -> Event | None:
        """The newest event; None in an empty log."""
        return next(iter(last_events(self._read_at, self.size(), 1)), None)

    def close(self) -> None:
        """Close the file; forgetting the reader does so too."""
        if self._closing is not None:
            self._closing()
        self._descriptor = self._closing = None

    def __enter__(self) -> LogReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_old(self, cursor: Cursor, tag: str, end: int) -> None:
        """A log that was recovered goes on for the readers of its old tag that saw no more than was kept."""
        nearest = Cursor(tag=tag, seq=0)
        for event in last_events(self._read_at, end, _RECOVERY_LINES):
            if event.type == "recovered" and event.old_tag == cursor.tag and event.kept_seq is not None:
                if cursor.seq <= event.kept_seq:
                    return
                nearest = Cursor(tag=tag, seq=event.kept_seq)
        raise Gone(f"{cursor} is not of this log, whose cursors begin with {tag}", nearest=str(nearest))

    def _file_size(self) -> int:
        descriptor = self._open()
        return 0 if descriptor is None else os.fstat(descriptor).st_size

    def _read_at(self, offset: int, length: int) -> bytes:
        descriptor = self._open()
        return b"" if descriptor is None else os.pread(descriptor, length, offset)

    def _open(self) -> int | None:
        if self._descriptor is None:
            self._descriptor = open_log(self.path)
            if self._descriptor is None:
                return None
            self._closing = weakref.finalize(self, close_descriptor, self._descriptor)
        return self._descriptor


def events_of(path: Path, type: str) -> list[Event]:  # noqa: A002
    """All events of one type in a log; read from its end when its `ended` tells how many there are."""
    with LogReader(path) as reader:
        last = reader.last_event()
        if last is None:
            return []
        count = last.events.get(type, 0) if last.events is not None else None
        lines = _FIRST_LINES
        while count != 0:
            start = 0 if count is None else reader.locate_tail(lines)
            found = list(_of_type(reader, start, type))
            if start == 0 or len(found) == count:
                return found
            lines *= _MORE
        return []


def _of_type(reader: LogReader, offset: int, type: str) -> Iterator[Event]:  # noqa: A002
    mark = b'"type":"%s"' % type.encode()
    while chunk := reader.read(offset):
        offset += len(chunk)
        for line in chunk.splitlines():
            if mark in line[:120]:
                yield decode_event(line)
