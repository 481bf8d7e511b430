"""Values as bytes: cloudpickle with large buffers apart, and definitions of the notebook by their names.

A function or class that travels as source is not pickled but named, so that the job has one of it and not two.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import cloudpickle

from mlmagics.errors import BadValue
from mlmagics.sending.choosing import Luggage
from mlmagics_job.packing import pieces
from mlmagics_job.pickles import about

#: For finding what cannot be pickled.
_PATIENCE_S = 3.0
_MAX_TRIES = 500
_MAX_DEPTH = 20


_PLAIN = (type(None), type(Ellipsis), type(NotImplemented))


class CannotTravel(BadValue):
    """A value cannot be pickled."""

    code = "cannot_travel"


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A value, or a file, on its way: its bytes, in pieces that are no copies of it."""

    name: str
    kind: str
    pieces: Iterable[Any]
    size: int
    sha256: str
    #: modules that its classes and functions come from
    modules: frozenset[str] = frozenset()
    #: whether it holds code of the notebook, which only the same Python can load
    has_code: bool = False


def packed(name: str, value: Any, luggage: Luggage) -> Packed:
    """``value`` ready to travel; what it needs of the notebook is added to ``luggage``.

    Raises
    ------
    CannotTravel
        Naming the part that cannot be pickled.
    """
    buffers: list[memoryview] = []
    try:
        data, pickler = _pickled(value, luggage, buffers)
    except Exception as error:  # noqa: BLE001 - classes raise what they like when they are pickled
        raise CannotTravel(_blame(name, value, luggage, error), field="send") from None
    luggage.needed_by[name] = pickler.definitions
    luggage.add_modules(pickler.modules)
    parts = tuple(pieces(about(cloudpickle), data, buffers))
    plain = whole(name, type(value).__name__[:200], parts)
    return dataclasses.replace(plain, modules=frozenset(pickler.modules), has_code=pickler.has_code)


def whole(name: str, kind: str, parts: tuple[Any, ...]) -> Packed:
    """The bytes ``parts`` under their hash."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    size = sum(memoryview(part).nbytes for part in parts)
    return Packed(name=name, kind=kind, pieces=parts, size=size, sha256=digest.hexdigest())


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Cloudpickle's, but for what travels as source."""

    def __init__(self, file: Any, luggage: Luggage, buffers: list[memoryview] | None) -> None:
        def aside(buffer: Any) -> bool:
            try:
                view = buffer.raw()
            except BufferError:
                return True
            if buffers is not None:
                buffers.append(view)
            return False

        super().__init__(file, protocol=5, buffer_callback=aside)
        self._luggage = luggage
        #: names of definitions that it refers to
        self.definitions: set[str] = set()
        self.modules: set[str] = set()
        self.has_code = False

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, type | FunctionType):
            module = getattr(obj, "__module__", None) or ""
            if module != "__main__":
                self.modules.add(module)
            elif self._is_defined(obj):
                return obj.__qualname__
        reduced = super().reducer_override(obj)
        if reduced is not NotImplemented and isinstance(obj, type | FunctionType):
            # the types of singletons are reduced as well, and hold none
            self.has_code |= not any(obj is kind for kind in _PLAIN)
        return reduced

    def _is_defined(self, obj: Any) -> bool:
        """Whether the job has ``obj`` by its name, as the notebook has."""
        first, *inner = obj.__qualname__.split(".")
        outer = vars(sys.modules["__main__"]).get(first)
        found = outer
        for part in inner:
            found = getattr(found, part, None)
        if found is not obj or outer is None or not self._luggage.can_define(first, outer):
            return False
        self.definitions.add(first)
        return True


def _pickled(value: Any, luggage: Luggage, buffers: list[memoryview] | None) -> tuple[bytes, _Pickler]:
    file = io.BytesIO()
    pickler = _Pickler(file, luggage, buffers)
    pickler.dump(value)
    return file.getvalue(), pickler


def _blame(name: str, value: Any, luggage: Luggage, error: Exception) -> str:
    """One line that names the part which cannot be pickled."""
    path, part = _culprit(name, value, luggage)
    kind = f"{type(part).__module__}.{type(part).__qualname__}".removeprefix("builtins.").removeprefix(
        "__main__."
    )
    told = " ".join(str(error).split())[:200]
    if path == name:
        return (
            f"{name} cannot be sent: a {kind} cannot be pickled ({told}). Make it in the cell that needs it, or "
            f"leave {name} out of --send"
        )
    return (
        f"{name} cannot be sent: {path} is a {kind}, which cannot be pickled ({told}). Leave that out of {name}, or "
        "make it in the cell that needs it"
    )


def _culprit(name: str, value: Any, luggage: Luggage) -> tuple[str, Any]:
    """The smallest part of ``value`` that is found which cannot be pickled, and how it is reached."""
    give_up, tries = time.monotonic() + _PATIENCE_S, 0
    path = name
    for _ in range(_MAX_DEPTH):
        for label, part in _parts(value):
            tries += 1
            if tries > _MAX_TRIES or time.monotonic() > give_up:
                return path, value
            if _fails(part, luggage):
                path, value = path + label, part
                break
        else:
            break
    return path, value


def _fails(value: Any, luggage: Luggage) -> bool:
    try:
        _pickled(value, luggage, None)
    except Exception:  # noqa: BLE001 - as above
        return True
    return False


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    kind = type(value)
    if issubclass(kind, dict):
        yield from ((f"[{key!r:.60}]", part) for key, part in [*value.items()])
    elif issubclass(kind, list | tuple):
        yield from ((f"[{number}]", part) for number, part in enumerate([*value]))
    elif issubclass(kind, set | frozenset):
        yield from (("{...}", part) for part in [*value])
    elif issubclass(kind, FunctionType):
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=False)
        yield from ((f" -> {name}", cell.cell_contents) for name, cell in cells)
        names = [name for name in value.__code__.co_names if name in value.__globals__]
        yield from ((f" -> {name}", value.__globals__[name]) for name in names)
    held = getattr(value, "__dict__", None)
    if isinstance(held, dict) and not issubclass(kind, type | FunctionType):
        yield from ((f".{name}", part) for name, part in [*held.items()])
    for base in kind.__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                yield f".{name}", getattr(value, name)
