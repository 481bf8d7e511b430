"""The variables that the job was asked to keep: their values as JSON, or why they cannot be kept."""

from __future__ import annotations

import sys

from mlmagics_job.channel import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mlmagics_job.state import Job

#: The supervisor reads no longer frames.
_MAX_BYTES = 2**26
#: Lists and dicts within each other; readers take them apart by recursion.
_MAX_DEPTH = 100
#: Python itself reads no longer ones from text.
_MAX_INT_BITS = 13_000
_SCALARS = frozenset((type(None), bool, int, float, str))
_KEPT = "only None, True, False, numbers, text, and lists and dicts of these can be kept"


class _Refused(Exception):
    """A value cannot be kept: ``why``, and its ``place`` as the author would write it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
        self.place = ""


class _TooLarge(Exception):
    """A value has more bytes than can be sent."""


def send_all(job: Job) -> None:
    """Send each variable that was asked for: a name without a value that can be kept loses no other."""
    space = job.main.__dict__
    for name in job.fetch:
        try:
            job.send(_frame(name, space))
        except Exception as error:
            reason = "its value could not be sent: %s: %s" % (type(error).__name__, error)
            job.send({"type": "result", "name": name, "reason": reason})


def _frame(name: str, space: dict[str, Any]) -> dict[str, Any]:
    if name not in space:
        return {"type": "result", "name": name, "reason": "the cell made no variable of this name"}
    value = space[name]
    frame: dict[str, Any] = {"type": "result", "name": name, "kind": "%.200s" % type(value).__name__}
    try:
        kept = {**frame, "format": "json", "data": {"application/json": _plain(value, 0, [_MAX_BYTES])}}
        if len(encode({**kept, "ack": True})) > _MAX_BYTES:
            raise _TooLarge
        return kept
    except _Refused as refused:
        return {**frame, "reason": "%s%.80s %s" % (name, refused.place, refused.why)}
    except _TooLarge:
        return {
            **frame,
            "reason": "%s has more than 64 MiB as JSON: write it to a file of the project" % name,
        }


def _plain(value: Any, depth: int, room: list[int]) -> Any:
    """``value`` in types that JSON has, exactly.

    ``room`` has the bytes that are left: a list that holds itself many times over may grow without end.

    Raises
    ------
    _Refused
        When it holds something that JSON cannot.
    _TooLarge
        When there is not enough room.
    """
    kind = type(value)
    room[0] -= len(value) if kind is str else 2
    if room[0] < 0:
        raise _TooLarge
    if kind in _SCALARS:
        fault = _fault(value)
        if fault is not None:
            raise _Refused(fault)
        return value
    if kind in (list, tuple) or _is_dict(kind):
        if depth >= _MAX_DEPTH:
            raise _Refused("lies within %d lists and dicts, which is too deep" % depth)
        return (_plain_dict if _is_dict(kind) else _plain_list)(value, depth, room)
    if _is_numpy_scalar(value) and type(value.item()) in _SCALARS:
        return _plain(value.item(), depth, room)
    raise _Refused("is of type %s; %s: %s" % (kind.__name__, _KEPT, _advice(kind)))


def _plain_list(value: Any, depth: int, room: list[int]) -> list[Any]:
    found: list[Any] = []
    try:
        for item in value:
            found.append(_plain(item, depth + 1, room))
    except _Refused as refused:
        refused.place = "[%d]%s" % (len(found), refused.place)
        raise
    return found


def _plain_dict(value: Any, depth: int, room: list[int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in value.items():
        if type(key) is not str or not _is_unicode(key):
            raise _Refused("has the key %.100r; only text can be a key in what is kept" % (key,))
        try:
            found[key] = _plain(item, depth + 1, room)
        except _Refused as refused:
            refused.place = "[%r]%s" % (key, refused.place)
            raise
    return found


def _fault(value: Any) -> str | None:
    """Why JSON cannot hold a scalar; None for nearly all."""
    kind = type(value)
    if kind is float and value - value != 0:
        return "is %r, which JSON has no number for" % value
    if kind is int and value.bit_length() > _MAX_INT_BITS:
        return "is an integer of more than 3,900 digits"
    if kind is str and not _is_unicode(value):
        return "has half of a surrogate pair, which is no Unicode text"
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_dict(kind: type) -> bool:
    # Those of the standard library that are equal to a plain one.
    return kind is dict or (issubclass(kind, dict) and kind.__module__ == "collections")


def _is_numpy_scalar(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.generic)


def _advice(kind: type) -> str:
    if hasattr(kind, "to_parquet"):
        return "write it with to_parquet('project://NAME.parquet')"
    if hasattr(kind, "tolist"):
        return "give its tolist() a name and ask for that"
    return "write it to a file of the project"
