"""What to type when a job missed something that is here: a variable of the notebook, a file beside it. Pure but for :func:`here`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import FunctionType, ModuleType

from cluster_agent.protocol import Event

#: Names that every notebook has.
_OF_IPYTHON = frozenset({"In", "Out", "exit", "get_ipython", "open", "quit"})


@dataclass(frozen=True)
class Here:
    """What is at hand where an error is shown."""

    #: the notebook's variables
    names: Mapping[str, object] = field(default_factory=dict)
    #: whether there is a file of this relative path
    exists: Callable[[str], bool] = lambda _path: False
    #: whether it is a folder
    is_folder: Callable[[str], bool] = lambda _path: False
    #: whether this is a notebook, or IPython in a terminal
    notebook: bool = True


def here() -> Here:
    """What is at hand in this process."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return Here(shell.user_ns if shell is not None else {}, _exists, os.path.isdir, shell is not None)


def hint(error: Event | None, here: Here) -> str:
    """One sentence without its full stop, or nothing: what ``error`` missed is here, and what to type.

    ``error`` is an ``error`` event; its ``name`` is what a NameError missed, its ``path`` the file of an OSError.
    """
    if error is None:
        return ""
    if error.name and error.ename in ("NameError", "UnboundLocalError"):
        return _of_name(error.name, here)
    if error.path and error.ename == "FileNotFoundError":
        return _of_path(error.path, here)
    return ""


def _of_name(name: str, here: Here) -> str:
    if name.startswith("_") or name in _OF_IPYTHON or name not in here.names:
        return ""
    value = here.names[name]
    if isinstance(value, ModuleType):
        module = value.__name__
        line = f"import {module}" if module == name else f"import {module} as {name}"
        return f"{name} is imported in your notebook, not in the job: write {line} into this cell"
    what = f"{name} exists in your notebook, not in the job: define it in this cell"
    if isinstance(value, FunctionType | type):
        return what
    return f"{what}, or write it under project:// and read it there"


def _of_path(path: str, here: Here) -> str:
    plain = path.isprintable() and "://" not in path and not set("'\"\\") & set(path)
    if not plain or path.startswith(("/", "~")) or not here.exists(path):
        return ""
    parts = [part for part in PurePosixPath(path).parts if part != ".."]
    target = "/".join(parts)
    recursive = ", recursive=True" if here.is_folder(path) else ""
    beside = "beside your notebook" if here.notebook else "here"
    return (
        f"{path} exists {beside}, not in the job: put it into the project (import fsspec; "
        f"fsspec.filesystem('project').put('{path}', '{target}'{recursive})) and read project://{target} in the job"
    )


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False
