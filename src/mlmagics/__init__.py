"""Run a notebook cell on a GPU box with one line, and never lose its output.

In a notebook: ``%load_ext mlmagics``, then cells that begin with ``%%local`` or ``%%NAME``. The same from
Python: :func:`submit` and the other names below.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from cluster_agent import __version__

if TYPE_CHECKING:
    #: the job that this process submitted last; the one it looked at last where it has submitted none
    last: Job | None

    from mlmagics.api import Job as Job
    from mlmagics.api import attachments as attachments
    from mlmagics.api import cancel as cancel
    from mlmagics.api import jobs as jobs
    from mlmagics.api import logs as logs
    from mlmagics.api import plan as plan
    from mlmagics.api import submit as submit
    from mlmagics.api import wait as wait
    from mlmagics_job.metrics import log as log

__all__ = [
    "Job",
    "__version__",
    "attachments",
    "cancel",
    "jobs",
    "last",
    "load_ipython_extension",
    "log",
    "logs",
    "plan",
    "project",
    "submit",
    "unload_ipython_extension",
    "wait",
]

# Imported on first use: a job's interpreter, a terminal's start and `%load_ext` need none of it at once.
_ELSEWHERE = {
    **dict.fromkeys(
        ("Job", "attachments", "cancel", "jobs", "logs", "plan", "submit", "wait"), "mlmagics.api"
    ),
    "log": "mlmagics_job.metrics",
}


def __getattr__(name: str) -> Any:
    if name == "last":
        # another one after each submit, so never kept
        return importlib.import_module("mlmagics.cluster.session").current().last
    if name == "project":
        value: Any = importlib.import_module("mlmagics.storage")
    elif name in _ELSEWHERE:
        value = getattr(importlib.import_module(_ELSEWHERE[name]), name)
    else:
        raise AttributeError(f"module 'mlmagics' has no attribute {name!r}")
    globals()[name] = value
    return value


def load_ipython_extension(shell: Any) -> None:
    """Register the magics; what ``%load_ext mlmagics`` calls."""
    from mlmagics.magics import registry as magics

    magics.load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Take the magics back; what ``%unload_ext mlmagics`` calls. Jobs go on."""
    from mlmagics.magics import registry as magics

    magics.unload(shell)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Where ``jupyter-builder develop`` finds the sidebar; it looks in this package only."""
    return [{"src": "lab/labextension", "dest": "mlmagics-lab"}]
