"""Finding lines in a log: its ends, its last lines, the one behind a cursor. Pure, over any ``pread``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from cluster_agent.log.format import parse_head
from cluster_agent.protocol import MAX_LINE_BYTES, Event, decode_event

#: ``read_at(offset, length)``: up to ``length`` bytes of the file, fewer only at its end, as ``pread`` does.
ReadAt = Callable[[int, int], bytes]

_READ_BYTES = 65536


def whole_size(read_at: ReadAt, size: int) -> int:
    """Where the last whole line within the first ``size`` bytes ends: ``size`` without a torn tail."""
    return _line_start(read_at, size, 0)


def sound_size(read_at: ReadAt, size: int) -> int:
    """Where the last sound line ends: also drops lines at the end that a crash of the machine spoilt."""
    end = whole_size(read_at, size)
    while end:
        start = _line_start(read_at, end - 1, 0)
        line = read_at(start, end - start)
        if parse_head(line) and _decodes(line):
            return end
        end = start
    return 0


def _decodes(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def current_tag(read_at: ReadAt, end: int) -> str | None:
    """The tag in force: that of the first line, or of the ``recovered`` event among the last few lines."""
    for event in reversed(last_events(read_at, end, 8)):
        if event.type == "recovered" and event.tag:
            return event.tag
    first = read_at(0, _line_end(read_at, 0, end))
    return decode_event(first).tag if first else None


def last_events(read_at: ReadAt, end: int, count: int) -> list[Event]:
    """The last ``count`` events before ``end``, the end of a line; oldest first."""
    start = offset_of_last(read_at, end, count)
    return [decode_event(line) for line in read_at(start, end - start).splitlines()]


def iter_lines(read_at: ReadAt, end: int, start: int = 0) -> Iterator[bytes]:
    """The lines between two starts of lines, with their newlines, read a MiB at a time."""
    rest = b""
    while start < end:
        block = read_at(start, min(MAX_LINE_BYTES, end - start))
        if not block:
            return
        start += len(block)
        lines = (rest + block).splitlines(keepends=True)
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        yield from lines


def last_line(read_at: ReadAt, end: int) -> bytes:
    """The line that ends at ``end``; empty when ``end`` is 0."""
    start = offset_of_last(read_at, end, 1)
    return read_at(start, end - start)


def offset_of_last(read_at: ReadAt, end: int, count: int) -> int:
    """Where the last ``count`` lines before ``end``, the end of a line, begin; 0 when there are fewer."""
    position = end
    while count > 0 and position > 0:
        low = max(0, position - _READ_BYTES)
        block = read_at(low, position - low)
        found = len(block) - 1 if position == end else len(block)
        while count > 0:
            found = block.rfind(b"\n", 0, found)
            if found < 0:
                break
            count -= 1
            if count == 0:
                return low + found + 1
        position = low
    return 0 if count else end


def find_after(read_at: ReadAt, end: int, seq: int) -> int:
    """Where the first line with a greater ``seq`` begins; ``end``, the end of a line, when there is none.

    Raises
    ------
    ValueError
        When the file is not a log.
    """
    low, high = 0, end
    while low < high:
        start = _line_start(read_at, (low + high) // 2, low)
        head = parse_head(read_at(start, 128))
        if head is None:
            raise ValueError(f"there is no line of an event log at byte {start}")
        if head[0] <= seq:
            low = _line_end(read_at, start, high)
        else:
            high = start
    return low


def _line_start(read_at: ReadAt, before: int, floor: int) -> int:
    """The greatest start of a line that is at most ``before``: after the last newline before it."""
    while before > floor:
        low = max(floor, before - _READ_BYTES)
        found = read_at(low, before - low).rfind(b"\n")
        if found >= 0:
            return low + found + 1
        before = low
    return floor


def _line_end(read_at: ReadAt, start: int, ceiling: int) -> int:
    while start < ceiling:
        block = read_at(start, min(_READ_BYTES, ceiling - start))
        found = block.find(b"\n")
        if found >= 0:
            return start + found + 1
        start += len(block)
    return ceiling
