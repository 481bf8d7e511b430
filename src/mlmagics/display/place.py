"""Where a cell's output goes: a notebook that keeps a card alive, a terminal, or a file that nobody watches."""

from __future__ import annotations

import enum
import os
import sys
from collections.abc import Mapping
from typing import Any

from mlmagics.errors import BadValue

#: A cell waits this long for its job's end before it comes back, where somebody watches.
LINGER_S = 2.0


class Place(enum.Enum):
    """Kinds of front ends, by what they can do with output that comes after the cell."""

    #: updates a display in place, also after the cell has come back
    NOTEBOOK = "notebook"
    #: prints; a person sits before it
    TERMINAL = "terminal"
    #: prints; runs cell after cell and then ends (nbclient, papermill, CI)
    HEADLESS = "headless"


def place_of(shell: Any, environ: Mapping[str, str] = os.environ) -> Place:
    """The kind of front end that ``shell`` talks to at this moment."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        at_terminal = type(shell).__name__ == "TerminalInteractiveShell" and sys.stdin.isatty()
        return Place.TERMINAL if at_terminal else Place.HEADLESS
    # nbclient and papermill never let a cell ask for input; every front end with a person does. Variables alone
    # would not do: a papermill that is started from a notebook or from VS Code's terminal inherits them.
    if not getattr(kernel, "_allow_stdin", False):
        return Place.HEADLESS
    alive = (
        "JPY_SESSION_NAME" in environ
        or "__vsc_ipynb_file__" in shell.user_ns
        or any(name.startswith("VSCODE_") for name in environ)
    )
    return Place.NOTEBOOK if alive else Place.HEADLESS


def waiting_s(asked: float | None, place: Place, environ: Mapping[str, str] = os.environ) -> float:
    """How long a training cell waits for its job's end: seconds, ``inf`` for to the end.

    Parameters
    ----------
    asked
        What the cell says; None when it says nothing.

    Raises
    ------
    BadValue
        When ``MLMAGICS_WAIT`` is neither 0 nor 1.
    """
    if asked is not None:
        return asked
    decided = environ.get("MLMAGICS_WAIT", "")
    if decided not in ("", "0", "1"):
        raise BadValue(f"MLMAGICS_WAIT is {decided!r}: set it to 1 (cells wait) or 0 (they do not)")
    if decided:
        return float("inf") if decided == "1" else LINGER_S
    return float("inf") if place is Place.HEADLESS else LINGER_S
