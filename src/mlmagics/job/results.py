"""Values that a job has kept: which there are, and from bytes to Python by their format.

Nothing in them is ever run, but for a pickle, which is read only for who says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
from collections.abc import Callable, Sized
from typing import Any

from cluster_agent.protocol import ResultEntry
from mlmagics.errors import BadValue, UserError
from mlmagics.results import arrays, frames, models, pickled, plain

_PICKLE, _SKOPS = "pickle", "skops"


class NotTrusted(UserError):
    """A result can be read only by running what is in it."""

    code = "not_trusted"


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


def needs_trust(entry: ResultEntry) -> bool:
    """Whether a result is known to be none that everybody reads."""
    return entry.format == _PICKLE


def refuse_pickle(entry: ResultEntry, origin: str) -> None:
    """Nothing, unless reading the result runs what is in it.

    Raises
    ------
    NotTrusted
        With what to type for who trusts it.
    """
    if needs_trust(entry):
        raise NotTrusted(
            f"{entry.name} of {origin} is a {entry.kind}, which only a pickle holds, and reading a pickle runs what "
            f"is in it: if you trust the job: %fetch {origin} {entry.name} --trust"
        )


def decode(
    entry: ResultEntry, data: Any, origin: str, *, trust: bool = False, sha256: str | None = None
) -> Any:
    """The value of a result.

    Parameters
    ----------
    data
        Its bytes; arrays may go on using them.
    origin
        What people call the job.
    trust
        Whether what is in it may run.
    sha256
        Of ``data``, where it is known.

    Raises
    ------
    NotTrusted
        When it would run, and must not.
    UserError
        When ``data`` is not what ``entry`` announces, or its format cannot be read here.
    """
    what = f"{entry.name} of {origin}"
    if len(data) != entry.size or (sha256 or hashlib.sha256(data).hexdigest()) != entry.sha256:
        raise UserError(f"{what} arrived with other bytes than announced: try again")
    if entry.format not in _DECODERS:
        raise UserError(
            f"{what} has the format {entry.format!r}, which this mlmagics does not know: upgrade it here"
        )
    if not trust:
        refuse_pickle(entry, origin)
    try:
        return _DECODERS[entry.format](data, trust)
    except models.NotTrusted as error:
        raise NotTrusted(
            f"{what} is a {entry.kind} that holds {error}, and reading these may run code: if you trust the job: "
            f"%fetch {origin} {entry.name} --trust"
        ) from None
    except ImportError as error:
        raise UserError(f"{what} is a {entry.kind}: to have it here install {error.name or error}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        told = str(error) or type(error).__name__
        raise UserError(f"{what} cannot be read as {entry.format}: {told}") from None


def mapped(path: str, size: int) -> Any:
    """The file ``path`` as memory of one's own, without a copy; None where it is not here, or not that large."""
    with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:  # noqa: PTH123
        found = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        if len(found) == size:
            return found
    return None


def _by(read: Callable[[Any], Any]) -> Callable[[Any, bool], Any]:
    return lambda data, _trust: read(data)


#: By the format that a result was kept in: what reads it, told whether it may run.
_DECODERS: dict[str, Callable[[Any, bool], Any]] = {
    "json": _by(plain.from_json),
    "tagged": _by(plain.from_tagged),
    "npy": _by(arrays.from_npy),
    "npz": _by(arrays.from_npz),
    "arrow": _by(frames.from_arrow),
    "xgboost": _by(models.from_xgboost),
    "lightgbm": _by(models.from_lightgbm),
    "png": _by(models.from_png),
    _SKOPS: lambda data, trust: models.from_skops(data, trust=trust),
    _PICKLE: _by(pickled.from_pickle),
}


def described(value: object) -> str:
    """What ``value`` is, in a few words: ``dict, 3 items``."""
    kind = type(value).__name__
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape and all(isinstance(part, int) for part in shape):
        return f"{kind}, {' x '.join(f'{part:,}' for part in shape)}"
    if isinstance(value, str):
        return f"{kind}, {_counted(value, 'character')}"
    return f"{kind}, {_counted(value, 'item')}" if isinstance(value, Sized) and _has_length(value) else kind


def _has_length(value: Sized) -> bool:
    try:
        return len(value) >= 0
    except Exception:  # noqa: BLE001 - such as a model that is no collection before it is trained
        return False


def _counted(value: Sized, noun: str) -> str:
    return f"1 {noun}" if len(value) == 1 else f"{len(value):,} {noun}s"
