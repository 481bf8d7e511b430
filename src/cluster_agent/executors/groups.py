"""Where the agent may make control groups for its jobs.

Only in a place that was given to it: what others manage is not divided behind their back. ``cluster-agent init
--service`` has the service manager give one (``Delegate=yes``, ``DelegateSubgroup=agent``)::

    .../cluster-agent.service/         ours: no process in it, so that limits can be set below it
        agent/                         the agent, its spares and supervisors
        job-42-6f0c.../                one job
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

_log = logging.getLogger(__name__)
#: The part that the service manager puts the agent into.
SUBGROUP = "agent"
_ROOT = Path("/sys/fs/cgroup")
_CONTROLLERS = ("memory", "pids")


def find_place(setting: str, membership: str | None = None) -> Path | None:
    """The group in which jobs get theirs, made ready; None where there is none.

    Parameters
    ----------
    setting
        ``auto``, ``off``, or the folder of a group, of version 1 or 2, that ops have made for this agent.
    membership
        Content of ``/proc/self/cgroup``, when it is not to be read.

    Raises
    ------
    OSError
        When a folder was given and cannot be used.
    """
    if setting == "off":
        return None
    if setting != "auto":
        _prepare(Path(setting))
        return Path(setting)
    place = _given_place(membership if membership is not None else _membership())
    if place is None:
        return None
    try:
        _prepare(place)
    except OSError as error:
        _log.warning("jobs get no control groups of their own: %s", error)
        return None
    return place


def kill_group(place: Path, nonce: str) -> None:
    """Kill what is left in the group of the start ``nonce``, and remove it if nothing is."""
    for folder in place.glob(f"job-*-{nonce}"):
        try:
            (folder / "cgroup.kill").write_text("1")
        except OSError:
            pass  # an older kernel: its processes are found one by one
        _remove(folder)


def _membership() -> str:
    try:
        return Path("/proc/self/cgroup").read_text()
    except OSError:
        return ""


def _given_place(membership: str) -> Path | None:
    """The group above the agent's own, if that is one that a service manager has made for exactly this."""
    own = next((line[3:] for line in membership.splitlines() if line.startswith("0::")), "")
    folder = _ROOT / own.lstrip("/")
    if folder.name != SUBGROUP or not (folder / "cgroup.procs").exists():
        return None
    return folder.parent


def _prepare(place: Path) -> None:
    """Have limits for the groups in ``place``, and clear away those of jobs that have ended."""
    if not os.access(place / "cgroup.procs", os.W_OK):
        raise PermissionError(f"{place} is no control group that this agent may use")
    if (place / "cgroup.controllers").exists():
        there = (place / "cgroup.controllers").read_text().split()
        wanted = [name for name in _CONTROLLERS if name in there]
        if wanted:
            (place / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in wanted))
    for folder in place.glob("job-*-*"):
        _remove(folder)


def _remove(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        pass  # it has processes
