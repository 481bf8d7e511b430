"""The difference of one file as the panel shows it."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlmagics.lab.git.celldiff import compare_notebooks
from mlmagics.lab.git.grammar import check_path, shown
from mlmagics.lab.git.hunks import read_hunks, whole
from mlmagics.lab.git.reading import read_blobs, read_working, size_of, size_of_blob
from mlmagics.lab.git.refusals import HasChanged
from mlmagics.lab.git.repository import Repository
from mlmagics.lab.git.stripping import NotANotebook, read_notebook

#: Larger files are told by their sizes.
_MOST_BYTES = 20 << 20
#: Of the text of a difference.
_TEXT_BYTES = 8 << 20
_LINK, _SUBMODULE, _NONE = "120000", "160000", "000000"
#: No program of a repository makes the text, and no submodule is entered.
_FLAGS = ("--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=dirty", "--no-relative")
_SHAPE = ("--unified=3", "--inter-hunk-context=0", "--src-prefix=a/", "--dst-prefix=b/", "--submodule=short")
#: What in the head of a file shows that it is no text, as git decides it.
_HEAD_BYTES = 8000


class _Side(NamedTuple):
    mode: str
    #: zeros where the working copy has it
    oid: str


def difference(repository: Repository, file: str, *, staged: bool, kind: str = "") -> dict[str, Any]:
    """How ``file`` differs: the index from the last commit when ``staged``, else the working copy from the index."""
    check_path(file)
    if kind == "untracked":
        return _untracked(repository, file)
    which = ("--cached",) if staged else ("--ours",) if kind == "conflict" else ()
    raw = repository.git("diff", "--raw", "-z", "--no-abbrev", "--find-renames", *which, *_FLAGS).text
    found = next((item for item in _raw(raw) if item[2] == file), None)
    if found is None:
        return {
            "kind": "text",
            "path": file,
            "hunks": [],
            "truncated": False,
            "note": "nothing differs any more",
        }
    old, new, _, old_path = found
    told: dict[str, Any] = {"path": file}
    if old_path != file:
        told["old_path"] = old_path
    if _SUBMODULE in (old.mode, new.mode):
        commits = [side.oid if side.oid.strip("0") else None for side in (old, new)]
        return {"kind": "submodule", **told, "commits": commits}
    sizes = [_size(repository, old, old_path), _size(repository, new, file)]
    if max(size or 0 for size in sizes) > _MOST_BYTES:
        return {"kind": "too_large", **told, "sizes": sizes}
    if old.mode != new.mode and _NONE not in (old.mode, new.mode):
        told |= {"old_mode": old.mode, "new_mode": new.mode}
    if file.endswith(".ipynb") and kind != "conflict":
        sides = [_content(repository, old, old_path), _content(repository, new, file)]
        book = _notebook(told, sides[0], sides[1])
        if book is not None:
            return book
    paths = [file] if old_path == file else [old_path, file]
    done = repository.git(
        "diff", "--find-renames", *which, *_FLAGS, *_SHAPE, "--", *paths, most_bytes=_TEXT_BYTES
    )
    return _text(told, done.out, sizes, cut=done.cut)


def _untracked(repository: Repository, file: str) -> dict[str, Any]:
    size = size_of(repository.folder, file)
    if size is None or file.endswith("/"):
        raise HasChanged(f"{shown(file)} is not a file any more: look again", paths=[file])
    data = read_working(repository.folder, file, _MOST_BYTES)
    if data is None and size <= _MOST_BYTES:
        raise HasChanged(f"{shown(file)} cannot be read, or lies behind a link", paths=[file])
    if data is None:
        return {"kind": "too_large", "path": file, "sizes": [None, size]}
    if file.endswith(".ipynb"):
        book = _notebook({"path": file}, None, data)
        if book is not None:
            return book
    if b"\0" in data[:_HEAD_BYTES]:
        return {"kind": "binary", "path": file, "sizes": [None, size]}
    hunks, truncated = whole(data)
    return {"kind": "text", "path": file, "hunks": hunks, "truncated": truncated}


def _raw(text: str) -> list[tuple[_Side, _Side, str, str]]:
    """Sides, path and old path of each file."""
    fields = iter(text.split("\0"))
    found = []
    for head in fields:
        if not head.startswith(":"):
            continue
        old_mode, new_mode, old_oid, new_oid, letter = head[1:].split(" ")
        first = next(fields, "")
        path = next(fields, "") if letter[:1] in "RC" else first
        if letter != "U":
            found.append((_Side(old_mode, old_oid), _Side(new_mode, new_oid), path, first))
    return found


def _size(repository: Repository, side: _Side, path: str) -> int | None:
    if side.mode == _NONE:
        return None
    return size_of_blob(repository, side.oid) if side.oid.strip("0") else size_of(repository.folder, path)


def _content(repository: Repository, side: _Side, path: str) -> bytes | None:
    if side.mode == _NONE:
        return None
    if not side.oid.strip("0"):
        return read_working(repository.folder, path, _MOST_BYTES)
    return read_blobs(repository, [side.oid], most_bytes=_MOST_BYTES + 1000).get(side.oid)


def _notebook(told: dict[str, Any], old: bytes | None, new: bytes | None) -> dict[str, Any] | None:
    empty: dict[str, Any] = {"cells": []}
    try:
        books = [empty if data is None else read_notebook(data) for data in (old, new)]
    except NotANotebook:
        return None
    if old is None or new is None:
        # the metadata of a whole file says nothing about a change
        books = [{"cells": book["cells"]} for book in books]
    cells, metadata, truncated = compare_notebooks(*books)
    return {"kind": "notebook", **told, "cells": cells, "metadata": metadata, "truncated": truncated}


def _text(told: dict[str, Any], out: bytes, sizes: list[int | None], *, cut: bool) -> dict[str, Any]:
    head = out[: out.find(b"\n@@ ")] if b"\n@@ " in out else out
    if b"\nBinary files " in head or b"\nGIT binary patch" in head:
        return {"kind": "binary", **told, "sizes": sizes}
    hunks, truncated = read_hunks(out)
    return {"kind": "text", **told, "hunks": hunks, "truncated": truncated or cut}
