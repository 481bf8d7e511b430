"""The project as a notebook sees it: ``project://`` and :func:`path`, as in a job.

The current project is the one of ``PROJECT_URL`` (so it is in jobs), else that of the cluster chosen by
``%attachments use``, else that of the only attachment, else ``local``'s when nothing is attached. Where this
machine mounts the project's folder it is used directly; otherwise its files come through the agent.
"""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any

from mlmagics.cluster.mounts import is_mounted
from mlmagics_job import project as job_project
from mlmagics_job.filesystem import ProjectFileSystem as JobProjectFileSystem
from mlmagics_job.project import NoProjectError

# A job that has mlmagics comes here too; what speaks HTTP is imported where an agent is asked.
if TYPE_CHECKING:
    from cluster_agent.client import AgentClient
    from cluster_agent.protocol import Info, Project
    from mlmagics.cluster.session import Session

__all__ = ["NoProjectError", "ProjectFileSystem", "current_root", "open", "path"]

_AGENT = "agent://"
#: Root by client: a client is made anew when its attachment changes.
_roots: weakref.WeakKeyDictionary[AgentClient, str] = weakref.WeakKeyDictionary()


def current_root() -> str:
    """URL of the root of the current project; ``agent://CLUSTER/PROJECT`` where it is not mounted here.

    Raises
    ------
    NoProjectError
        When several clusters are attached and none was chosen.
    UserError
        When the cluster cannot be asked.
    """
    if os.environ.get("PROJECT_URL"):
        return job_project.root_url()
    from mlmagics.cluster import session

    here = session.current()
    cluster = _current_cluster(here)
    client = here.client(cluster)
    if client not in _roots:
        with session.told(cluster):
            found = _choose(client.info(), cluster)
        _roots[client] = found.url if is_mounted(found) else f"{_AGENT}{cluster}/{found.name}"
    return _roots[client]


def _current_cluster(here: Session) -> str:
    if here.used is not None:
        return here.used
    attached = here.store.all()
    known = list(attached)
    # Two names of one agent have one project.
    if len({attachment.agent_id or name for name, attachment in attached.items()}) > 1:
        raise NoProjectError(
            f"several clusters are attached, each with a project of its own: choose one of {', '.join(known)}"
            f" with %attachments use NAME"
        )
    return known[0] if known else "local"


def _choose(info: Info, cluster: str) -> Project:
    by_name = {project.name: project for project in info.projects}
    if len(by_name) == 1:
        return info.projects[0]
    if "default" in by_name:
        return by_name["default"]
    told = ", ".join(by_name) or "none"
    raise NoProjectError(f"{cluster} has no project 'default' for you (it has: {told}); set PROJECT_URL")


class ProjectFileSystem(JobProjectFileSystem):
    """The files of the current project, for everything that speaks fsspec."""

    @classmethod
    def current_root(cls) -> str:
        """The root in force when none is given."""
        return current_root()

    @classmethod
    def open_base(cls, root: str) -> tuple[Any, str]:
        """The file system that holds the root's files, and the root's path in it."""
        if not root.startswith(_AGENT):
            found: tuple[Any, str] = super().open_base(root)
            return found
        from mlmagics.agent_files import AgentFileSystem
        from mlmagics.cluster.session import current

        cluster, _, name = root.removeprefix(_AGENT).partition("/")
        return AgentFileSystem(cluster, name, lambda: current().client(cluster)), ""


def _filesystem(root: str) -> ProjectFileSystem:
    return ProjectFileSystem(root=root)


_project = job_project.Project(current_root, _filesystem)
path = _project.path
open = _project.open  # noqa: A001
