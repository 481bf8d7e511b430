"""The one writer of an event log: whoever holds the file's lock (POSIX only)."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

from cluster_agent.folder import FOLDER_VERSION, sync_folder
from cluster_agent.log.format import (
    Piece,
    encode_line,
    incomplete_tail,
    output_bytes,
    parse_head,
    split_output,
)
from cluster_agent.log.lock import Lock, LogTaken
from cluster_agent.log.scan import current_tag, iter_lines, last_line, sound_size
from cluster_agent.protocol import Event, StreamCount, decode_event

__all__ = ["LogClosed", "LogTaken", "LogWriter"]

_REMEMBERED = frozenset({"started", "ended", "recovered"})

_fdatasync = getattr(os, "fdatasync", os.fsync)


class LogClosed(Exception):
    """The log has its `ended` event; nobody writes behind that."""


class _StreamState:
    """What a stream has carried so far, and the bytes at its end that are not a character yet."""

    def __init__(self) -> None:
        self.bytes = 0
        self.newlines = 0
        self.digest = hashlib.sha256()
        self.unfinished_line = False
        self.held = b""
        #: bytes of a call that failed which are in the log or held; its repetition skips them
        self.skip = 0

    def account(self, data: bytes) -> None:
        self.bytes += len(data)
        self.newlines += data.count(b"\n")
        self.digest.update(data)
        self.unfinished_line = not data.endswith(b"\n")

    def count(self) -> StreamCount:
        return StreamCount(
            bytes=self.bytes, lines=self.newlines + self.unfinished_line, sha256=self.digest.hexdigest()
        )


class LogWriter:
    """Appends to a log, one whole line at a time. Not for several threads, but for :meth:`sync`.

    Every method that writes raises OSError when the disk refuses. Whole lines that were written by then
    stay, a torn one is cut off, and the same call with the same arguments goes on where it stopped.
    """

    def __init__(self, path: Path, lock: Lock, tag: str) -> None:
        self.path = path
        self.tag = tag
        self.seq = 0
        #: the first event, and the ones that say that the job was started and how it ended
        self.first: Event | None = None
        self.started: Event | None = None
        self.ended: Event | None = None
        #: something was written since the last sync
        self.unsynced = False
        self._lock = lock
        self._descriptor = lock.descriptor
        #: bytes in the log
        self.size = 0
        self._named = False
        self._events: Counter[str] = Counter()
        self._streams: dict[str, _StreamState] = {}
        #: lines of former writers, up to here, that the counts do not have yet
        self._uncounted = 0
        self._t_offset = 0.0
        self._monotonic = time.monotonic()

    @classmethod
    def take(cls, path: Path, *, tag: str) -> LogWriter:
        """The writer of the log at ``path``, which is made when absent; ``tag`` is for a new log.

        A torn tail is cut off. What the log holds is told by ``tag seq first started ended``.

        Raises
        ------
        LogTaken
            When another process, or another writer of this one, holds the lock.
        """
        writer = cls(path, Lock.take(path), tag)
        try:
            writer._recall()
        except BaseException:
            writer.close()
            raise
        return writer

    def append(self, type: str, **fields: Any) -> int:  # noqa: A002
        """Write one event and return its ``seq``; fields that are None are left out.

        Raises
        ------
        LineTooLong
            When the event does not fit into a line.
        LogClosed
            After ``ended``.
        """
        if self.ended is not None:
            raise LogClosed(f"the log {self.path} has ended with event {self.seq}")
        if self._uncounted:
            self._count_former_lines()
        at, t = self._now()
        if self.seq == 0:
            fields = {"tag": self.tag, "version": FOLDER_VERSION} | fields
        line = encode_line(self.seq + 1, at, t, type, fields)
        self._write(line)
        self.seq += 1
        self._events[type] += 1
        if self.seq == 1 or type in _REMEMBERED:
            self._remember(decode_event(line))
        return self.seq

    def output(self, stream: str, data: bytes) -> None:
        """Write ``data`` of ``stream`` as output events; an incomplete character at its end is held back."""
        state = self._stream(stream)
        if len(data) < state.skip:
            raise ValueError(f"{stream}: a call that failed must be repeated with the same bytes")
        fresh = data[state.skip :] if state.skip else data
        whole = state.held + fresh if state.held else fresh
        tail = incomplete_tail(whole)
        for piece in split_output(whole[:-tail] if tail else whole):
            self._append_piece(stream, state, piece)
            from_held = min(len(piece.data), len(state.held))
            state.held = state.held[from_held:]
            state.skip += len(piece.data) - from_held
        state.held = whole[-tail:] if tail else b""
        state.skip = 0

    def flush_output(self) -> None:
        """Write what is held back, as bytes, since it never became characters."""
        for stream, state in self._streams.items():
            if state.held:
                self._append_piece(stream, state, Piece(state.held, None))
                state.held = b""

    def drop(self, stream: str, data: bytes) -> int:
        """Count ``data`` of ``stream``, and what is held back, without an event; return how many bytes."""
        state = self._stream(stream)
        dropped = state.held + data
        state.held = b""
        state.account(dropped)
        return len(dropped)

    def end(self, **fields: Any) -> None:
        """Close the log for ever with ``ended``, which tells the counts of all that is in it, and sync it."""
        if self.ended is None:
            self.flush_output()
            if self._uncounted:
                self._count_former_lines()
            streams = {name: self._stream(name).count() for name in ("stdout", "stderr")}
            events = self._events + Counter(ended=1)
            self.append("ended", **fields, streams=streams, events=events)
        elif not self.unsynced:
            raise LogClosed(f"the log {self.path} has ended with event {self.seq}")
        self.sync()

    def sync(self) -> None:
        """Return when all that was written before the call is on disk. May run in a thread of its own."""
        self.unsynced = False
        try:
            if not self._named:
                sync_folder(self.path.parent)
                self._named = True
            _fdatasync(self._descriptor)
        except OSError:
            self.unsynced = True
            raise

    def close(self) -> None:
        """Give the lock back."""
        self._lock.give_back()

    def __enter__(self) -> LogWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append_piece(self, stream: str, state: _StreamState, piece: Piece) -> None:
        self.append("output", stream=stream, **piece.fields)
        state.account(piece.data)

    def _stream(self, stream: str) -> _StreamState:
        return self._streams.get(stream) or self._streams.setdefault(stream, _StreamState())

    def _now(self) -> tuple[float, float]:
        if self.seq == 0:
            self._monotonic = time.monotonic()
        return time.time(), self._t_offset + time.monotonic() - self._monotonic

    def _write(self, line: bytes) -> None:
        """Write the whole line, or nothing."""
        written = 0
        self.unsynced = True
        try:
            while written < len(line):
                count = os.write(self._descriptor, line[written:] if written else line)
                if count == 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
                written += count
        except OSError:
            if written:
                os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(line)

    def _read_at(self, offset: int, length: int) -> bytes:
        return os.pread(self._descriptor, length, offset)

    def _recall(self) -> None:
        """Cut a torn tail, and learn what former writers wrote."""
        found = os.fstat(self._descriptor).st_size
        self.size = sound_size(self._read_at, found)
        if self.size != found:
            os.ftruncate(self._descriptor, self.size)
        if self.size == 0:
            return
        self._uncounted = self.size
        self.tag = current_tag(self._read_at, self.size) or self.tag
        for line in iter_lines(self._read_at, self.size):
            head = parse_head(line)
            if self.first is None or (head and head[1] == "started"):
                self._remember(decode_event(line))
            if self.started or (head and head[1] == "output"):
                break
        last = decode_event(last_line(self._read_at, self.size))
        self._remember(last)
        self.seq = last.seq or 0
        self._t_offset = last.t + max(0.0, time.time() - last.at)

    def _remember(self, event: Event) -> None:
        self.first = self.first or event
        if event.type == "started":
            self.started = event
        elif event.type == "ended":
            self.ended = event
        elif event.type == "recovered" and event.tag:
            self.tag = event.tag

    def _count_former_lines(self) -> None:
        for line in iter_lines(self._read_at, self._uncounted):
            event = decode_event(line)
            self._events[event.type] += 1
            if event.type == "output" and event.stream is not None:
                self._stream(event.stream).account(output_bytes(event))
        self._uncounted = 0
