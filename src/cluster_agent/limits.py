"""How much of the box one person may have: ``[limits]`` of ``agent.toml``.

::

    [limits]                  # everybody
    gpus = 4                  # GPUs that the jobs of one person hold at once
    jobs = 20                 # jobs that run at once
    queued = 200              # jobs that wait
    timeout = "2d"            # longest time limit of a job
    priority = "normal"       # highest priority

    [limits.roles.admin]      # whoever submits with such a token
    [limits.users.ada]        # one person

The most specific line counts. ``"none"`` lifts a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import msgspec

from cluster_agent.protocol import Limits, Priority, Role
from cluster_agent.units import parse_duration

_Changes = Mapping[str, Any]


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} is not a whole number from 0 on")
    return value


def _number(value: object) -> int | None:
    return None if value == "none" else _count(value)


def _jobs(value: object) -> int | None:
    number = _number(value)
    if number == 0:
        raise ValueError("0 would let no job run; a person who may submit nothing has the role viewer")
    return number


def _priority(value: object) -> str:
    if value not in get_args(Priority):
        raise ValueError(f"{value!r} is none of {', '.join(get_args(Priority))}")
    return str(value)


#: What a line of [limits] is called, its field of Limits, and how it is read.
_KEYS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "gpus": ("gpus", _number),
    "jobs": ("jobs", _jobs),
    "queued": ("queued", _count),
    "timeout": ("timeout_s", lambda value: parse_duration(str(value))),
    "priority": ("priority", _priority),
}


@dataclass(frozen=True, kw_only=True)
class LimitTable:
    """The limits of everybody."""

    base: Limits
    everybody: _Changes = field(default_factory=dict)
    roles: Mapping[str, _Changes] = field(default_factory=dict)
    users: Mapping[str, _Changes] = field(default_factory=dict)

    def of(self, user: str, role: Role) -> Limits:
        """The limits of ``user``, who submits with a token of ``role``."""
        first = {"priority": "high"} if role == "admin" else {}
        changes = {**first, **self.everybody, **self.roles.get(role, {}), **self.users.get(user, {})}
        return msgspec.structs.replace(self.base, **changes)


def parse_limits(table: object, *, max_timeout_s: float) -> LimitTable:
    """The limits that the TOML table ``[limits]`` sets.

    Raises
    ------
    ValueError
        Naming the line that cannot be used.
    """
    given = _table(table, "limits")
    nested = {name: _table(given.pop(name, {}), f"limits.{name}") for name in ("roles", "users")}
    for role in nested["roles"]:
        if role not in get_args(Role):
            raise ValueError(f"[limits.roles.{role}]: the roles are {', '.join(get_args(Role))}")
    read = {
        name: {
            key: _changes(_table(rows, f"limits.{name}.{key}"), f"limits.{name}.{key}")
            for key, rows in sub.items()
        }
        for name, sub in nested.items()
    }
    return LimitTable(base=Limits(timeout_s=max_timeout_s), everybody=_changes(given, "limits"), **read)


def _table(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"[{name}] is a table of lines such as gpus = 2")
    return dict(value)


def _changes(table: dict[str, Any], name: str) -> dict[str, Any]:
    changes = {}
    for key, value in table.items():
        if key not in _KEYS:
            raise ValueError(f"[{name}] takes {', '.join(_KEYS)}, not {key!r}")
        field_name, parse = _KEYS[key]
        try:
            changes[field_name] = parse(value)
        except ValueError as error:
            raise ValueError(f"[{name}] {key}: {error}") from None
    return changes
