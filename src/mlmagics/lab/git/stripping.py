"""Notebooks without their outputs, otherwise as they are. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

#: What a run leaves in the metadata of a cell.
_OF_A_RUN = ("execution", "ExecuteTime", "collapsed", "scrolled")
#: Tags and metadata that keep the outputs of a cell, as nbstripout has them.
_KEEPS = ("keep_output", "init_cell")
_INDENT = re.compile(rb"\{\r?\n([ \t]+)\"")


class NotANotebook(ValueError):
    """The file is not a notebook that can be read."""


def read_notebook(data: bytes) -> dict[str, Any]:
    """The notebook in a file.

    Raises
    ------
    NotANotebook
        When it is none, or one of before nbformat 4.
    """
    try:
        book = json.loads(data)
    except (ValueError, RecursionError):
        raise NotANotebook from None
    cells = book.get("cells") if isinstance(book, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise NotANotebook
    return book  # type: ignore[no-any-return]


def stripped(data: bytes) -> bytes:
    """The notebook ``data`` without outputs, execution counts and traces of a run; ``data`` when it has none.

    Raises
    ------
    NotANotebook
        When it is none.
    """
    book = read_notebook(data)
    changed = False
    for cell in book["cells"]:
        changed |= _strip(cell)
    if not changed:
        return data
    found = _INDENT.match(data)
    indent = found[1].decode() if found else 1
    text = json.dumps(book, ensure_ascii=False, indent=indent)
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        # half a character, as programs that cut text leave it behind
        encoded = json.dumps(book, indent=indent).encode()
    return encoded + (b"\n" if data.endswith(b"\n") else b"")


def same_but_outputs(one: bytes, other: bytes) -> bool:
    """Whether two notebooks differ in nothing but what a run leaves behind."""
    try:
        return bool(_bare(one) == _bare(other))
    except NotANotebook:
        return False


def _bare(data: bytes) -> dict[str, Any]:
    book = read_notebook(data)
    for cell in book["cells"]:
        _strip(cell, all_cells=True)
    return book


def _strip(cell: dict[str, Any], *, all_cells: bool = False) -> bool:
    if cell.get("cell_type") != "code" or (_kept(cell) and not all_cells):
        return False
    changed = bool(cell.get("outputs")) or cell.get("execution_count") is not None
    cell["outputs"], cell["execution_count"] = [], None
    metadata = cell.get("metadata")
    if isinstance(metadata, dict):
        for name in _OF_A_RUN:
            changed |= metadata.pop(name, None) is not None
    return changed


def _kept(cell: dict[str, Any]) -> bool:
    metadata = cell.get("metadata")
    if not isinstance(metadata, dict):
        return False
    tags = metadata.get("tags")
    return any(metadata.get(name) is True or (isinstance(tags, list) and name in tags) for name in _KEEPS)
