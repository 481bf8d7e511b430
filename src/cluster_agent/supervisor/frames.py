"""What the kit says on the control channel, and the events that become of it. Pure.

The kit runs inside the job, so everything in a frame is somebody else's: types are checked, sizes bounded.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec

from cluster_agent.protocol import MAX_LINE_BYTES
from cluster_agent.supervisor.results import ResultFrame

#: A line has room for the head (seq, at, t, type) beside the fields.
_ROOM = MAX_LINE_BYTES - 1024
_TEXT_LENGTH = 10_000
_NAME_LENGTH = 1_000
_TRACEBACK_ENDS = 40
_TRACEBACK_LENGTH = 2_000
#: Kinds of data in one display; each may become a blob.
MAX_KINDS = 100
#: Objects within objects: whoever reads the log must be able to take them apart, however deep its own calls are.
MAX_DEPTH = 100


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One packet of the kit; which fields count goes by its type."""

    type: str
    #: the kit waits until this is recorded
    ack: bool = False
    data: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    display_id: str | None = None
    update: bool = False
    result: bool = False
    wait: bool = False
    ename: str = ""
    evalue: str = ""
    traceback: list[str] = []
    #: what a NameError missed, and the file of an OSError
    name: str = ""
    path: str = ""
    values: dict[str, Any] = {}
    step: float | None = None


class _Head(msgspec.Struct, frozen=True):
    type: str


_decode = msgspec.json.Decoder(Frame).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_result = msgspec.json.Decoder(ResultFrame).decode
_encode = msgspec.json.encode


def decode_frame(payload: bytes) -> Frame | ResultFrame | None:
    """The frame in ``payload``; None when it is none. NaN and lone surrogates are taken as Python writes them."""
    try:
        if _decode_head(payload).type == "result":
            return _decode_result(payload)  # its value stays as it is, however large
        return _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return msgspec.convert(json.loads(payload), Frame)
    except (ValueError, RecursionError, msgspec.ValidationError):
        return None


def refusal(frame: Frame) -> str | None:
    """Why a frame cannot be recorded; None for most."""
    if len(frame.data) > MAX_KINDS:
        return f"a display with {len(frame.data)} kinds of data: more than {MAX_KINDS}"
    if _is_too_deep([frame.data, frame.metadata, frame.values]):
        return f"a {frame.type[:20]} with more than {MAX_DEPTH} objects within each other"
    return None


def _is_too_deep(level: list[Any]) -> bool:
    for _ in range(MAX_DEPTH):
        level = [
            item
            for outer in level
            for item in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(item, (dict, list))
        ]
        if not level:
            return False
    return True


def event_fields(frame: Frame) -> dict[str, Any] | None:
    """Fields of the event that a frame becomes; None for types that are not known here."""
    if frame.type == "display":
        return {
            "data": frame.data,
            "metadata": frame.metadata or None,
            "display_id": frame.display_id,
            "update": frame.update or None,
            "result": frame.result or None,
        }
    if frame.type == "error":
        return {
            "ename": frame.ename,
            "evalue": frame.evalue,
            "traceback": frame.traceback,
            "name": frame.name[:_NAME_LENGTH] or None,
            "path": frame.path[:_NAME_LENGTH] or None,
        }
    if frame.type == "clear":
        return {"wait": frame.wait or None}
    if frame.type == "metric":
        return {"values": frame.values, "step": frame.step}
    return None


def shrink_display(fields: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A display that fits into a line, and the bytes of the blobs that its biggest items have become.

    A blob holds the item as the bundle had it: the string's UTF-8 (base64 text stays base64 text), or the
    JSON of any other value.
    """
    data = dict(fields["data"])
    sizes = {mime: len(_encode(_sound(value))) for mime, value in data.items()}
    room = _ROOM - len(_encode(_sound({**fields, "data": {}})))
    blobs: dict[str, bytes] = {}
    names: dict[str, str] = {}
    while sizes and sum(sizes.values()) + sum(len(mime) + 80 for mime in (*sizes, *names)) > room:
        mime = max(sizes, key=sizes.__getitem__)
        del sizes[mime]
        value = _sound(data.pop(mime))
        content = value.encode() if isinstance(value, str) else _encode(value)
        names[mime] = hashlib.sha256(content).hexdigest()
        blobs[names[mime]] = content
    return {**fields, "data": data, "blobs": names or None}, blobs


def shrink_error(fields: dict[str, Any]) -> dict[str, Any]:
    """An error that fits into a line: long texts and the middle of a long traceback are left out, and say so."""
    lines = [_cut(line, _TRACEBACK_LENGTH) for line in fields["traceback"]]
    if len(lines) > 2 * _TRACEBACK_ENDS:
        left_out = len(lines) - 2 * _TRACEBACK_ENDS
        lines = [*lines[:_TRACEBACK_ENDS], f"... {left_out} parts left out ...", *lines[-_TRACEBACK_ENDS:]]
    return {
        **fields,
        "ename": _cut(fields["ename"], 200),
        "evalue": _cut(fields["evalue"], _TEXT_LENGTH),
        "traceback": lines,
    }


def _cut(text: str, length: int) -> str:
    """``text`` without its middle when it is long."""
    if len(text) <= length:
        return text
    half = length // 2
    return f"{text[:half]} ... {len(text) - 2 * half} characters left out ... {text[-half:]}"


def _sound(value: Any) -> Any:
    """``value`` with lone surrogates as question marks, which JSON in UTF-8 cannot hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_sound(key): _sound(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_sound(item) for item in value]
    return value
