"""Levels of isolation: which were asked for, which can be had, which are in force. Pure.

==========  ====================================================================================================
``process`` jobs run as the agent's unix user: one trust domain
``user``    each person's jobs run as the unix user of that person; their logs are another's, and none is root
``cgroup``  each job has a control group: exact limits of memory and processes
``bwrap``   each job sees a system of its own: /tmp, processes, only the devices of its GPUs, and may write only the
            project and its own folder
==========  ====================================================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

PROCESS, USER, CGROUP, BWRAP = "process", "user", "cgroup", "bwrap"
LEVELS = (PROCESS, USER, CGROUP, BWRAP)
AUTO = "auto"
#: Taken by itself where it can be had; the others change what a job sees.
_BY_ITSELF = (USER, CGROUP)


class CannotIsolate(Exception):
    """A level that was asked for cannot be had; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a machine has to offer: for each level that cannot be had why, and what to do."""

    missing: Mapping[str, str] = field(default_factory=dict)


def parse(text: str) -> tuple[str, ...] | None:
    """The levels that a setting names; None for ``auto``: what can be had by itself.

    Raises
    ------
    ValueError
        When one of them is none.
    """
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if names == (AUTO,):
        return None
    unknown = [name for name in names if name not in LEVELS]
    if unknown or not names:
        raise ValueError(f"{', '.join(unknown) or repr(text)}: auto, or some of {', '.join(LEVELS)}")
    if PROCESS in names and USER in names:
        raise ValueError(
            "process and user exclude each other: jobs run as the agent's user, or as their people's"
        )
    return tuple(name for name in LEVELS if name in names)


def choose(asked: tuple[str, ...], found: Found) -> tuple[str, ...]:
    """The levels in force, of weakest first; the first is ``process`` or ``user``.

    Raises
    ------
    CannotIsolate
        When one that was asked for cannot be had.
    """
    for level in asked:
        if level in found.missing:
            raise CannotIsolate(f"--isolation {level} cannot be had: {found.missing[level]}")
    wanted = asked or tuple(_BY_ITSELF)
    # what the setting for control groups has brought holds whatever else was asked for
    taken = [
        level for level in LEVELS[1:] if level not in found.missing and (level in wanted or level == CGROUP)
    ]
    return tuple(taken) if USER in taken else (PROCESS, *taken)


def sentence(levels: Collection[str]) -> str:
    """What the levels in force mean, for ``cluster-agent status``."""
    first = (
        "jobs run as the unix users of their people"
        if USER in levels
        else "all jobs run as one unix user, which is one trust domain"
    )
    more = [
        *(["each in a control group"] if CGROUP in levels else []),
        *(["each in a system of its own"] if BWRAP in levels else []),
    ]
    return ", ".join([first, *more])
