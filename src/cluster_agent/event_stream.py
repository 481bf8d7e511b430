"""Events out of the chunks of a connection: whole lines only, in order, none twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import msgspec

from cluster_agent.protocol import MAX_LINE_BYTES, Cursor, Event, decode_event


class NotEvents(Exception):
    """What came in is not a stream of events; the message goes on ``it answers ...``."""


class _Head(msgspec.Struct, frozen=True):
    """What every event has, whatever a newer agent put into its other fields."""

    type: str
    seq: int | None = None
    at: float = 0.0
    t: float = 0.0


class Hook:
    """Where another thread hangs up on a stream that is followed: it ends at once, silently."""

    def __init__(self) -> None:
        self._down = threading.Event()
        self._lock = threading.Lock()
        self._break: Callable[[], None] | None = None

    def hung_up(self) -> bool:
        """Whether nobody wants more."""
        return self._down.is_set()

    def hang_up(self) -> None:
        """End the stream, and let no other one begin."""
        self._down.set()
        with self._lock:
            if self._break is not None:
                self._break()

    @contextmanager
    def on(self, break_off: Callable[[], None]) -> Iterator[None]:
        """While this lasts, ``break_off`` is how the present connection is ended; later it may be another's."""
        with self._lock:
            self._break = break_off
        try:
            if self.hung_up():
                break_off()
            yield
        finally:
            with self._lock:
                self._break = None

    def wait(self, seconds: float) -> None:
        """Return after ``seconds``, or when somebody hangs up."""
        self._down.wait(seconds)


class EventStream:
    """Iterates over the events that ``chunks`` carry, up to ``ended`` or the end of the chunks.

    Parameters
    ----------
    chunks
        The bytes of NDJSON lines, cut anywhere.
    tag
        Tag of the log that they come from.
    after
        ``seq`` of the last event seen before; None when the first one may have any.
    """

    def __init__(self, chunks: Iterable[bytes], *, tag: str, after: int | None) -> None:
        self.tag = tag
        #: of the last event that was given out
        self.seq = after
        #: the log's last event has come
        self.ended = False
        #: the chunks ended within a line, which nobody sees
        self.half_line = False
        self._chunks = chunks

    @property
    def cursor(self) -> Cursor | None:
        """Where to go on; None as long as no event tells."""
        return None if self.seq is None else Cursor(tag=self.tag, seq=self.seq)

    def __iter__(self) -> Iterator[Event]:
        for line in self._lines():
            event = _decode(line)
            if event.seq is not None and not self._is_next(event):
                continue
            self.ended = event.type == "ended"
            yield event
            if self.ended:
                return

    def _is_next(self, event: Event) -> bool:
        assert event.seq is not None
        if self.seq is not None and event.seq <= self.seq:
            return False
        if self.seq is not None and event.seq > self.seq + 1:
            raise NotEvents(f"with event {event.seq} after event {self.seq}")
        self.seq = event.seq
        if event.type == "recovered" and event.tag:
            self.tag = event.tag
        return True

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        for chunk in self._chunks:
            *lines, rest = (rest + chunk).split(b"\n") if rest else chunk.split(b"\n")
            yield from lines
            if len(rest) > MAX_LINE_BYTES:
                raise NotEvents("with a line of more than 1 MiB")
        self.half_line = bool(rest)


def _decode(line: bytes) -> Event:
    try:
        return decode_event(line)
    except msgspec.ValidationError:
        # a field has a value that is not known here, such as a new state: the event counts all the same
        try:
            head = msgspec.json.decode(line, type=_Head)
        except msgspec.ValidationError as error:
            raise NotEvents(f"with JSON that is no event ({error})") from None
        return Event(type=head.type, seq=head.seq, at=head.at, t=head.t)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NotEvents("with a line that is not JSON") from None
