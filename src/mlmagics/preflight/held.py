"""What the notebook has under a name: which cell defined it, of what kind it is, how large. Pure; runs no code of values."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from cluster_agent.units import format_size
from mlmagics.preflight.places import bound_in
from mlmagics.preflight.reading import read

#: kinds whose own size is all of it
_PLAIN = (bool, int, float, complex, str, bytes, bytearray)
#: attributes that tell the size of what these libraries make, without computing anything
_SIZED_BY = {"numpy": "nbytes", "torch": "nbytes", "cupy": "nbytes", "pyarrow": "nbytes", "xarray": "nbytes"}


def kind_of(value: object) -> str:
    """The kind of ``value`` in a word: ``function``, ``class``, ``module``, or the name of its type."""
    if isinstance(value, ModuleType):
        return "module"
    if isinstance(value, FunctionType | BuiltinFunctionType):
        return "function"
    return "class" if isinstance(value, type) else type(value).__name__


def size_of(value: object) -> int | None:
    """The bytes of ``value`` where that is known without looking at all of it."""
    library = type(value).__module__.partition(".")[0]
    found: Any = None
    if isinstance(value, _PLAIN):
        found = sys.getsizeof(value)
    elif library in _SIZED_BY:
        found = getattr(value, _SIZED_BY[library], None)
    elif library == "pandas" and type(value).__name__ in ("DataFrame", "Series"):
        measured: Any = value
        found = measured.memory_usage(index=True, deep=False)
        found = found if type(value).__name__ == "Series" else found.sum()
    elif library == "polars" and type(value).__name__ in ("DataFrame", "Series"):
        sized: Any = value
        found = sized.estimated_size()
    return int(found) if isinstance(found, int) or hasattr(found, "__index__") else None


def cells_of(names: Collection[str], cells: Sequence[str]) -> dict[str, int]:
    """The number of the cell that bound each of ``names`` last, where one did.

    Parameters
    ----------
    cells
        The notebook's cells as they were run: ``In [4]`` is number 4.
    """
    found: dict[str, int] = {}
    for number in range(len(cells) - 1, 0, -1):
        wanted = [name for name in names if name not in found and name in cells[number]]
        if not wanted:
            continue
        try:
            bound = set(bound_in(read(cells[number]).tree))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        found |= {name: number for name in wanted if name in bound}
        if len(found) == len(names):
            break
    return found


def described(value: object, cell: int | None) -> str:
    """Where and what ``value`` is, such as ``In [4], DataFrame, 12 MiB``."""
    size = size_of(value)
    parts = [f"In [{cell}]" if cell else "", kind_of(value), format_size(size) if size is not None else ""]
    return ", ".join(part for part in parts if part)
