"""What is at hand where a cell is written: the notebook's variables and cells, the files beside it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Here:
    """What is at hand where a cell is sent, or an error is shown."""

    #: the notebook's variables
    names: Mapping[str, object] = field(default_factory=dict)
    #: whether there is a file of this relative path
    exists: Callable[[str], bool] = lambda _path: False
    #: whether it is a folder
    is_folder: Callable[[str], bool] = lambda _path: False
    #: whether this is a notebook, or IPython in a terminal
    notebook: bool = True
    #: the notebook's cells as they were run: ``In [4]`` is number 4
    cells: Sequence[str] = ()
    #: whether there is a module of this name beside the notebook
    has_module: Callable[[str], bool] = lambda _name: False

    @property
    def yours(self) -> str:
        """What the variables belong to, for messages."""
        return "your notebook" if self.notebook else "your program"

    def send(self, name: str) -> str:
        """What to add so that ``name`` travels, for messages."""
        return f"add --send {name}" if self.notebook else f"add send=['{name}']"

    @property
    def beside(self) -> str:
        """Where the files are, for messages."""
        return "beside your notebook" if self.notebook else "here"


def here() -> Here:
    """What is at hand in this process."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return Here({}, _exists, os.path.isdir, notebook=False)
    return Here(shell.user_ns, _exists, os.path.isdir, True, shell.history_manager.input_hist_raw)


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False
