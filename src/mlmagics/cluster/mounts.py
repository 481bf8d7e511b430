"""Whether the folder of a project on a box is mounted here too."""

from __future__ import annotations

import contextlib
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from mlmagics_job.project import local_folder

if TYPE_CHECKING:
    from cluster_agent.protocol import Project

_MARKER = ".mlmagics-project"


def is_mounted(project: Project) -> bool:
    """Whether the folder that an agent names is here too, and is the same one."""
    if not project.url.startswith("file:///"):
        return False
    folder = local_folder(project.url)
    if not project.marker or folder is None:
        return False
    marker = Path(folder) / _MARKER
    with contextlib.suppress(OSError, ValueError):
        # A path that an agent names may be anything here; only a small plain file is opened.
        status = marker.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_size < 256:
            return marker.read_text("ascii").strip() == project.marker
    return False
