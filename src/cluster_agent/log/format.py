r"""What the bytes of an event log mean; pure, for whoever writes or reads one.

A log is a file of JSON lines, at most 1 MiB each, newline included::

    {"seq":1,"at":1767225600.0,"t":0.0,"type":"started","tag":"9f2c01ab","version":1,...}
    {"seq":2,"at":1767225600.1,"t":0.1,"type":"output","stream":"stdout","text":"step 1\n"}

``seq`` is the first key and counts from 1 without a gap, so that a cursor is found by bisection of the file
itself. The first line says the log's tag; a later ``recovered`` line may give it another. What follows the
last newline is a torn tail: it was never served, and whoever next holds the log's lock cuts it off.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from cluster_agent.protocol import MAX_LINE_BYTES, Event, encode

#: Bytes that become one output event at most: even six times as long in JSON, they fit into a line.
#: Larger events are not faster to write, and what reads live should not wait for a whole MiB.
MAX_OUTPUT_BYTES = 65536
#: Bytes around an invalid one that are told as base64 too, at most.
_BLOCK_BYTES = 4096
_HEAD = re.compile(rb'\{"seq":(\d{1,15}),"at":[-+.\deE]+,"t":[-+.\deE]+,"type":"(\w+)"')
_RESERVED = frozenset({"seq", "at", "t", "type"})


class LineTooLong(ValueError):
    """An event does not fit into a line: its big parts belong into blobs."""


def encode_line(seq: int, at: float, t: float, type: str, fields: Mapping[str, Any]) -> bytes:  # noqa: A002
    """The line for one event; fields that are None are left out, lone surrogates become ``?``.

    Raises
    ------
    LineTooLong
        When it would have more than 1 MiB.
    ValueError
        When a field has a name of the head, or raw JSON in it has line breaks.
    """
    if not _RESERVED.isdisjoint(fields):
        taken = ", ".join(sorted(_RESERVED & set(fields)))
        raise ValueError(f"{taken}: set by the log itself, not to be given with {type!r}")
    record: dict[str, Any] = {"seq": seq, "at": round(at, 6), "t": round(t, 6), "type": type}
    record.update((name, value) for name, value in fields.items() if value is not None)
    try:
        line = encode(record)
    except UnicodeEncodeError:
        line = encode(_encodable(record))
    if len(line) >= MAX_LINE_BYTES:
        raise LineTooLong(f"an event of type {type!r} would be a line of {len(line)} bytes, beyond 1 MiB")
    if b"\n" in line:
        raise ValueError(f"raw JSON in a field of {type!r} has line breaks")
    return line + b"\n"


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encodable(item) for item in value]
    return value


def incomplete_tail(data: bytes) -> int:
    """How many bytes at the end of ``data``, at most 3, begin a character that is not all there."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            needed = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2
            return back if needed > back and 0xC2 <= byte < 0xF5 else 0
    return 0


class Piece(NamedTuple):
    """Output for one event: the bytes, and the same as text where they are UTF-8."""

    data: bytes
    text: str | None

    @property
    def fields(self) -> dict[str, str]:
        """What the event says beside its stream."""
        if self.text is not None:
            return {"text": self.text}
        return {"base64": base64.b64encode(self.data).decode("ascii")}


def split_output(data: bytes) -> Iterator[Piece]:
    """``data`` in pieces for one event each, complete and in order.

    Valid UTF-8 becomes text of whole characters; an invalid byte and up to 4 KiB around it become base64.
    """
    start = 0
    while start < len(data):
        end = min(start + MAX_OUTPUT_BYTES, len(data))
        block = data if end - start == len(data) else data[start:end]
        if end < len(data) and (tail := incomplete_tail(block)):
            block = block[:-tail]
        start += len(block)
        text = _as_text(block)
        if text is None:
            yield from _mixed_pieces(block)
        else:
            yield Piece(block, text)


def _mixed_pieces(data: bytes) -> Iterator[Piece]:
    """Runs of valid and of invalid blocks, each block a few lines long."""
    run, run_is_text = b"", True
    start = 0
    while start < len(data):
        block = data[start : start + _BLOCK_BYTES]
        if start + _BLOCK_BYTES < len(data):
            newline = block.rfind(b"\n") + 1
            block = block[: newline or _BLOCK_BYTES - incomplete_tail(block)]
        start += len(block)
        is_text = _as_text(block) is not None
        if run and is_text != run_is_text:
            yield Piece(run, _as_text(run))
            run = b""
        run += block
        run_is_text = is_text
    yield Piece(run, _as_text(run))


def _as_text(block: bytes) -> str | None:
    try:
        return block.decode()
    except UnicodeDecodeError:
        return None


def output_bytes(event: Event) -> bytes:
    """The bytes that an output event stands for."""
    return base64.b64decode(event.base64) if event.base64 is not None else (event.text or "").encode()


def parse_head(line: bytes) -> tuple[int, str] | None:
    """``seq`` and type of a line, from its first bytes; None when this is no line of a log."""
    match = _HEAD.match(line)
    return (int(match[1]), match[2].decode("ascii")) if match else None
