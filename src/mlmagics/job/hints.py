"""What to type when a job missed something that is here: a variable of the notebook, a file beside it. Pure."""

from __future__ import annotations

from cluster_agent.protocol import Event
from mlmagics.preflight.here import Here
from mlmagics.preflight.names import OF_IPYTHON
from mlmagics.preflight.paths import is_beside, only_here
from mlmagics.preflight.variables import of_notebook


def hint(error: Event | None, here: Here) -> str:
    """One sentence without its full stop, or nothing: what ``error`` missed is here, and what to type.

    ``error`` is an ``error`` event; its ``name`` is what a NameError missed, its ``path`` the file of an OSError.
    """
    if error is None:
        return ""
    if error.name and error.ename in ("NameError", "UnboundLocalError"):
        return _of_name(error.name, here)
    if error.path and error.ename == "FileNotFoundError":
        return only_here(error.path, here) if is_beside(error.path) and here.exists(error.path) else ""
    return ""


def _of_name(name: str, here: Here) -> str:
    if name.startswith("_") or name in OF_IPYTHON or name == "open" or name not in here.names:
        return ""
    return of_notebook([name], here)[name]
