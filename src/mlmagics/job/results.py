"""Values that a job has kept: from bytes to Python by their format. Nothing in them is ever run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sized
from typing import Any, NoReturn

from cluster_agent.protocol import ResultEntry
from mlmagics.errors import BadValue, UserError


def entry_of(entries: list[ResultEntry], name: str, origin: str) -> ResultEntry:
    """The entry of ``name`` among ``entries``, the results of the job ``origin``; one that was kept.

    Raises
    ------
    BadValue
        When there is none of that name.
    UserError
        When it was not kept, with the reason.
    """
    for entry in entries:
        if entry.name == name:
            if entry.reason is not None:
                raise UserError(not_kept(entry, origin))
            return entry
    kept = ", ".join(entry.name for entry in entries if entry.reason is None)
    raise BadValue(f"{origin} kept no {name!r}; it kept {kept or 'nothing'}", field="name")


def not_kept(entry: ResultEntry, origin: str) -> str:
    """The line for a result that there is not."""
    return f"{entry.name} was not kept by {origin}: {(entry.reason or '').rstrip('.')}"


def decode(entry: ResultEntry, data: bytes, origin: str) -> Any:
    """The value of a result.

    Raises
    ------
    UserError
        When ``data`` is not what ``entry`` announces, or its format is not known here.
    """
    wrong = len(data) != entry.size or (entry.sha256 and hashlib.sha256(data).hexdigest() != entry.sha256)
    if wrong:
        raise UserError(f"{entry.name} of {origin} arrived with other bytes than announced: try again")
    if entry.format not in _DECODERS:
        raise UserError(
            f"{entry.name} of {origin} has the format {entry.format!r}, which this mlmagics does not know: "
            "upgrade it here"
        )
    try:
        return _DECODERS[entry.format](data)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{entry.name} of {origin} cannot be read as {entry.format}: {error}") from None


def _json(data: bytes) -> Any:
    return json.loads(data.decode("utf-8"), parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


#: By the format that a result was kept in.
_DECODERS: dict[str, Callable[[bytes], Any]] = {"json": _json}


def described(value: object) -> str:
    """What ``value`` is, in a few words: ``dict, 3 items``."""
    kind = type(value).__name__
    if isinstance(value, str):
        return f"{kind}, {_counted(value, 'character')}"
    return f"{kind}, {_counted(value, 'item')}" if isinstance(value, Sized) else kind


def _counted(value: Sized, noun: str) -> str:
    return f"1 {noun}" if len(value) == 1 else f"{len(value):,} {noun}s"
