"""What is in force between the jobs of one agent, from its settings and from what the machine has to offer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cluster_agent.isolation import levels, probing
from cluster_agent.isolation.box import Box
from cluster_agent.isolation.ids import Ids
from cluster_agent.isolation.levels import BWRAP, CGROUP, PROCESS, USER, Found
from cluster_agent.isolation.people import Keeper, People, find_keeper
from cluster_agent.isolation.rights import Rights

_PASSABLE, _READABLE = 0o711, 0o755
#: As ``/tmp``: all may write there, and delete what is their own.
SHARED = 0o1777


@dataclass(frozen=True, kw_only=True, slots=True)
class InForce:
    """What keeps jobs apart."""

    levels: tuple[str, ...] = (PROCESS,)
    #: at level ``user``
    people: People | None = None
    #: control group in which each job gets one of its own
    place: Path | None = None
    #: path of bwrap, at that level
    bwrap: str = ""
    network: bool = True
    #: why there is not more
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def keeper(self) -> Keeper | None:
        """Whom logs belong to, where that is not the agent's user."""
        return self.people.keeper if self.people is not None else None

    def ids(self, user: str) -> Ids | None:
        """The ids of jobs of ``user``; None where that is the agent's user. Raises as :meth:`People.ids`."""
        return self.people.ids(user) if self.people is not None else None

    def rights(self, user: str) -> Rights | None:
        """With what rights the agent acts on files for ``user``; None: with its own."""
        ids = self.ids(user)
        return Rights.of(ids) if ids is not None else None

    def box(self, home: Path, project: Path, people: Path | None = None) -> Box | None:
        """The box of a job with this project; ``people`` is the folder of the socket for people."""
        if not self.bwrap:
            return None
        return Box(program=self.bwrap, home=home, project=project, people=people, network=self.network)


def find(
    asked: tuple[str, ...],
    *,
    home: Path,
    python: str,
    keeper_name: str,
    names: Mapping[str, str],
    place: Path | None,
    network: bool,
    own: bool,
) -> InForce:
    """What is in force. Blocking: things are tried.

    Parameters
    ----------
    asked
        Levels that must be; none: what can be had by itself.
    python
        Interpreter of the jobs.
    keeper_name
        Unix user that supervisors act as at level ``user``.
    names
        Unix users by the names that people have here, where these differ.
    place
        Control group in which jobs may get theirs.
    own
        The agent is one person's own.

    Raises
    ------
    levels.CannotIsolate
        When a level that was asked for cannot be had.
    """
    missing = {}
    keeper = None
    if USER in asked or not asked:
        keeper = find_keeper(keeper_name)
        reason = (
            "this agent is one person's own"
            if own
            else probing.why_no_users(keeper_name, keeper, home, python)
        )
        if reason:
            missing[USER], keeper = reason, None
    else:
        missing[USER] = "it was not asked for"
    if keeper is not None and place is not None:
        probing.give_group(place, keeper)
    if reason := probing.why_no_group(place, keeper):
        missing[CGROUP] = reason
    missing[BWRAP] = probing.why_no_box(keeper) if BWRAP in asked else "it was not asked for"
    if not missing[BWRAP]:
        del missing[BWRAP]
    chosen = levels.choose(asked, Found(missing=missing))
    return InForce(
        levels=chosen,
        people=People(keeper, names) if keeper is not None and USER in chosen else None,
        place=place if CGROUP in chosen else None,
        bwrap=(shutil.which("bwrap") or "") if BWRAP in chosen else "",
        network=network,
        missing=missing,
    )


def open_for_users(home: Path, passable: Collection[Path]) -> None:
    """Let the users of jobs pass through the home to what is theirs, and close all else in it to them."""
    with os.scandir(home) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                os.chmod(entry.path, entry.stat().st_mode & 0o700)  # noqa: PTH101 - as it was found
    for folder in passable:
        folder.mkdir(mode=0o700, exist_ok=True)
    for folder in (home, *passable):
        folder.chmod(_PASSABLE)


def open_project(root: Path) -> None:
    """Let all users into a project's folder that an agent has made for its own user, when that was all there were."""
    if root.stat().st_uid == os.geteuid() and not root.stat().st_mode & 0o077:
        root.chmod(SHARED)


def open_kit(kit: Path) -> None:
    """Let everybody read the job's side, which holds no secret."""
    kit.parent.chmod(_PASSABLE)
    for folder, _, files in os.walk(kit):
        Path(folder).chmod(_READABLE)
        for name in files:
            Path(folder, name).chmod(0o644)
