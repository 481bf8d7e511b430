"""How the middle of a log that is over can be left unread, and everything be counted all the same. Pure."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from cluster_agent.protocol import Event

#: Numbers that a cell which shows a log does not draw; they may be left unread as well.
_NUMBERS = {"sample", "metric"}
#: What makes a text longer than what is shown of it.
_FOLDED = ("\r", "\b", "\x1b")


class Account:
    """What has been read of a log."""

    def __init__(self) -> None:
        self.seq = 0
        #: events by type
        self.kinds: Counter[str] = Counter()
        #: bytes of output, and ends of lines in it, by stream
        self.bytes: Counter[str] = Counter()
        self.lines: Counter[str] = Counter()
        #: where the last output went
        self.stream = ""

    @property
    def size(self) -> int:
        """Bytes of output."""
        return self.bytes.total()

    def add(self, event: Event) -> None:
        """Count one more event."""
        if event.seq is None:
            return
        self.seq = event.seq
        self.kinds[event.type] += 1
        if event.type == "output":
            self.stream = event.stream or "stdout"
            size, lines = _measure(event)
            self.bytes[self.stream] += size
            self.lines[self.stream] += lines


@dataclass(frozen=True)
class Bridge:
    """A way over the middle: ``lines`` ends of lines of ``stream`` are left unread, then come ``events``."""

    stream: str
    lines: int
    events: list[Event]


def bridge(read: Account, end: Sequence[Event], lines: int, chars: int) -> Bridge | None:
    """The way from what was ``read`` to the ``end`` of the log, whose last event is ``ended``.

    There is one only when all that is shown of what lies between them is output of one stream, and when the end alone has the last ``lines``
    lines or ``chars`` characters. Then what is shown, and each count, are the same as if all had been read.
    """
    ended = end[-1] if end else None
    first = next((event for event in end if event.type == "output"), None)
    if ended is None or ended.type != "ended" or first is None or (end[0].seq or 0) <= read.seq + 1:
        return None
    stream = first.stream or "stdout"
    if stream != read.stream or not _only_one_stream_between(read, end, ended, stream):
        return None
    rest, after = _behind_first_line(end, stream)
    if rest is None or not _is_enough(rest, stream, lines, chars):
        return None
    return Bridge(stream, _total_lines(ended, end, stream) - read.lines[stream] - after, rest)


def _only_one_stream_between(read: Account, end: Sequence[Event], ended: Event, stream: str) -> bool:
    account = Account()
    for event in end:
        account.add(event)
    kinds = {
        kind
        for kind, count in (ended.events or {}).items()
        if read.kinds[kind] + account.kinds[kind] != count
    }
    # bytes that are in no event cannot be told from those between
    if kinds - {"output", *_NUMBERS} or read.kinds["dropped"] + account.kinds["dropped"]:
        return False
    return all(
        name == stream or read.bytes[name] + account.bytes[name] == count.bytes
        for name, count in (ended.streams or {}).items()
    )


def _behind_first_line(end: Sequence[Event], stream: str) -> tuple[list[Event] | None, int]:
    """``end`` without the rest of the line in whose middle it may begin; and the ends of lines that are left in it."""
    events = list(end)
    for place, event in enumerate(events):
        if event.type != "output" or event.stream != stream:
            continue
        if event.base64 is not None:
            return None, 0
        _line, newline, text = (event.text or "").partition("\n")
        if newline:
            events[place] = msgspec.structs.replace(event, text=text)
            return events, sum(_measure(other)[1] for other in events if other.stream == stream)
        events[place] = msgspec.structs.replace(event, text="")
    return None, 0


def _is_enough(events: Sequence[Event], stream: str, lines: int, chars: int) -> bool:
    texts = [event.text or "" for event in events if event.type == "output" and event.stream == stream]
    if sum(text.count("\n") for text in texts) > lines:
        return True
    return sum(map(len, texts)) > chars and not any(code in text for text in texts for code in _FOLDED)


def _total_lines(ended: Event, end: Sequence[Event], stream: str) -> int:
    """Ends of lines of ``stream`` in the whole log; its own count has a last line without an end as well."""
    count = (ended.streams or {})[stream].lines
    last = next(event for event in reversed(end) if event.type == "output" and event.stream == stream)
    data = _bytes(last)
    return count - (not data.endswith(b"\n"))


def _measure(event: Event) -> tuple[int, int]:
    """Bytes of an output, and ends of lines in it."""
    text = event.text
    if event.base64 is None and text is not None and text.isascii():
        return len(text), text.count("\n")
    data = _bytes(event)
    return len(data), data.count(b"\n")


def _bytes(event: Event) -> bytes:
    if event.base64 is None:
        return (event.text or "").encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(event.base64)
    except binascii.Error:
        return b""
