r"""How a pickled value travels: what pickle wrote, then each large buffer by itself, so that it is never copied.

::

    MLMVAL1\n | length of the head | head, JSON | pickle | buffer | buffer ...

The pickle and the buffers begin at multiples of 64 bytes, so that a file which is mapped serves as memory of arrays.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Tuple

    Parts = Tuple[Dict[str, Any], memoryview, List[memoryview]]

MAGIC = b"MLMVAL1\n"
_ALIGN = 64
_LENGTH_BYTES = 8


class NotPacked(ValueError):
    """The bytes are not those of a packed value."""


def pieces(info: dict[str, Any], pickled: bytes, buffers: list[Any]) -> Iterator[Any]:
    """The bytes of a packed value, in pieces; ``info`` says how it was made."""
    views = [memoryview(pickled)] + [memoryview(buffer).cast("B") for buffer in buffers]
    head = json.dumps({"info": info, "sizes": [view.nbytes for view in views]}, sort_keys=True).encode()
    start = MAGIC + len(head).to_bytes(_LENGTH_BYTES, "little") + head
    yield start + bytes(-len(start) % _ALIGN)
    for number, view in enumerate(views, 1):
        if view.nbytes:
            yield view
        if number < len(views):
            yield bytes(-view.nbytes % _ALIGN)


def taken_apart(data: Any) -> Parts:
    """The info, the pickle and the buffers in ``data``; views, not copies.

    Raises
    ------
    NotPacked
        When ``data`` is not a packed value, or not all of one.
    """
    view = memoryview(data).cast("B")
    first = len(MAGIC) + _LENGTH_BYTES
    if bytes(view[: len(MAGIC)]) != MAGIC:
        raise NotPacked("it does not begin as a packed value does")
    end = first + int.from_bytes(view[len(MAGIC) : first], "little")
    try:
        head = json.loads(bytes(view[first:end]).decode("ascii"))
        info, sizes = head["info"], head["sizes"]
        if not isinstance(info, dict) or not all(type(size) is int and size >= 0 for size in sizes):
            raise NotPacked("its head is damaged")
    except (ValueError, KeyError, TypeError):
        raise NotPacked("its head is damaged") from None
    parts = []
    for size in sizes:
        start = end + -end % _ALIGN
        end = start + size
        parts.append(view[start:end])
    if not parts or end > view.nbytes:
        raise NotPacked("a part of it is missing")
    return info, parts[0], parts[1:]
