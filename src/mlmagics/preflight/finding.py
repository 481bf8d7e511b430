"""One thing that is told about a cell before it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning"]
Code = Literal[
    "name_in_notebook",
    "name_missing",
    "name_later",
    "module_here",
    "module_missing",
    "module_version",
    "colab",
    "file_here",
    "project_missing",
    "no_project_path",
    "no_file",
    "no_keyboard",
    "past_output",
    "python_too_old",
    "never_there",
    "value_skew",
    "agent_version",
    "secret",
]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is wrong with a cell, or may be, in one line with what to type."""

    #: an error surely ends the job, so the cell is not sent; a warning may be right
    level: Level
    #: for programs
    code: Code
    message: str
    #: what it is about: a name, a module, a path
    name: str = ""
    #: the first line of the cell that it is about; 0 for none
    line: int = 0

    @property
    def told(self) -> str:
        """The line that people read."""
        return f"line {self.line}: {self.message}" if self.line else self.message
