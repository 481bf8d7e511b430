"""Whether a restart of the agent would take its jobs along."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

#: First processes of containers, which end with what they have begun.
_ENDS_WITH_ITS_CHILD = frozenset({"tini", "docker-init", "dumb-init", "catatonit", "podman-init"})


def survives_restart(
    *,
    pid: int | None = None,
    parent: int | None = None,
    first: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> bool:
    """Whether jobs outlive this agent as it was started: not under a unit that kills its whole group.

    A first process of a container takes everything along, and so does the init of one that has begun nothing but
    this agent; so does a systemd unit without ``KillMode=process``, which the unit of ``cluster-agent init
    --service`` has and announces here. The parameters are what is looked up unless told.
    """
    if (os.getpid() if pid is None else pid) == 1:
        return False
    begun_by_first = (os.getppid() if parent is None else parent) == 1
    if begun_by_first and (_first_process() if first is None else first) in _ENDS_WITH_ITS_CHILD:
        return False
    return "INVOCATION_ID" not in environ or environ.get("CLUSTER_AGENT_KILL_MODE") == "process"


def _first_process() -> str:
    try:
        return Path("/proc/1/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
