"""Where the repository of a path is: below the folder that Jupyter serves, or nowhere."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mlmagics.errors import BadValue
from mlmagics.lab.git.grammar import shown
from mlmagics.lab.git.refusals import NoRepository, OutsideRoot


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of a repository."""

    #: without links
    folder: Path
    #: relative to the folder that is served, with slashes; "" when it is that one
    root: str


def find_place(served: Path, path: str) -> Place:
    """The repository that ``path``, relative to the folder ``served``, is in.

    Raises
    ------
    BadValue
        When the path cannot be one.
    OutsideRoot
        When it, or the repository, is not below ``served``.
    NoRepository
        When there is none.
    """
    parts = [part for part in path.split("/") if part]
    if "\x00" in path or any(part in (".", "..") for part in parts):
        raise BadValue(f"{shown(path)!r} is not a path below the folder that Jupyter serves", field="path")
    base = served.resolve()
    folder = _existing(base.joinpath(*parts)).resolve()
    if not folder.is_relative_to(base):
        raise OutsideRoot(f"{shown(path)} leads out of the folder that Jupyter serves", field="path")
    for candidate in (folder, *folder.parents):
        if os.path.lexists(candidate / ".git"):
            break
    else:
        raise NoRepository()
    if not candidate.is_relative_to(base):
        raise OutsideRoot(
            f"the repository begins above the folder that Jupyter serves: start Jupyter in {shown(str(candidate))}",
            field="path",
        )
    relative = candidate.relative_to(base).as_posix()
    return Place(candidate, "" if relative == "." else relative)


def _existing(path: Path) -> Path:
    """The nearest folder of ``path`` that is there."""
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path
