"""What a submit asks for beside its cell: every option by itself, from what was written to what is sent."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster_agent.protocol import Priority, Submit
from cluster_agent.units import parse_duration, parse_size
from mlmagics.environments.wanted import Wanted, wanted
from mlmagics.errors import BadValue
from mlmagics.job.variables import variable_name
from mlmagics.sending.choosing import constant
from mlmagics.sending.notebook import Send, notebook


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of a submit as they were written; :func:`mlmagics.submit` tells what each means."""

    name: str = ""
    project: str | None = None
    gpus: int | None = None
    cpus: int | None = None
    memory: str | int | None = None
    timeout: str | float | None = None
    grace: str | float | None = None
    priority: Priority = "normal"
    env: Mapping[str, str | None] = field(default_factory=dict)
    fetch: str | Iterable[str] = ()
    send: Send = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    packages: str | Iterable[str] = ()
    runtime: str = ""
    lock: str = ""
    once: bool = False

    def wanted(self, source: str) -> Wanted:
        """What the cell ``source`` needs installed.

        Raises
        ------
        BadValue
            When it or ``packages`` cannot be understood.
        """
        return wanted(source, self.packages)

    def request(self, source: str) -> Submit:
        """The request for the cell ``source`` with these options.

        Raises
        ------
        BadValue
            When one of them is wrong; it names the field.
        """
        return Submit(
            source=source,
            name=self.name,
            project=self.project or "default",
            gpus=_count(self.gpus, "gpus", least=0),
            cpus=_count(self.cpus, "cpus", least=1),
            memory_bytes=_size(self.memory),
            timeout_s=_duration(self.timeout, "timeout"),
            grace_s=_duration(self.grace, "grace"),
            priority=_priority(self.priority),
            env=_variables(self.env),
            fetch=result_names(self.fetch),
            params=parameters(self.params),
            packages=list(self.wanted(source).packages),
            runtime=self.runtime,
            lock=self.lock,
            once=self.once,
        )


def result_names(names: str | Iterable[str], option: str = "fetch") -> list[str]:
    """``names`` as a list, each once: names of variables, or one text with commas between them.

    Raises
    ------
    BadValue
        When one cannot be the name of a variable.
    """
    found: dict[str, None] = {}
    for part in names.split(",") if isinstance(names, str) else names:
        name = variable_name(part.strip())
        if name is None:
            raise BadValue(f"--{option}: {part.strip()!r} cannot be the name of a variable", field=option)
        found[name] = None
    return list(found)


class _FromNotebook:
    """The value of a parameter that the notebook has under the same name."""


FROM_NOTEBOOK = _FromNotebook()


def parameters(params: Mapping[str, Any]) -> dict[str, str]:
    """``params`` as the literals that the job assigns, by name.

    Raises
    ------
    BadValue
        When a name cannot be that of a variable, or a value is no plain constant.
    """
    found = {}
    for key, value in params.items():
        name = variable_name(key)
        if name is None:
            raise BadValue(f"--param: {key!r} cannot be the name of a variable", field="params")
        if value is FROM_NOTEBOOK:
            space, _ = notebook()
            if name not in space:
                raise BadValue(
                    f"--param {name}: there is no {name} here: write --param {name}=VALUE", field="params"
                )
            value = space[name]
        text = constant(value)
        if text is None:
            kind = type(value).__name__
            raise BadValue(
                f"--param {name}: a {kind} is no plain constant (numbers, text, and short lists and dicts of these): "
                f"--send {name} sends any value",
                field="params",
            )
        found[name] = text
    return found


def _count(value: int | None, field: str, *, least: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise BadValue(f"--{field} takes a whole number from {least}, not {value!r}", field=field)
    return value


def _size(value: str | int | None) -> int | None:
    if isinstance(value, str):
        try:
            return parse_size(value)
        except ValueError as error:
            raise BadValue(f"--memory: {error}", field="memory") from None
    return _count(value, "memory", least=1)


def _duration(value: str | float | None, field: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError as error:
            raise BadValue(f"--{field}: {error}", field=field) from None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise BadValue(f"--{field} takes seconds above zero or text such as '8h', not {value!r}", field=field)
    return float(value)


def _priority(value: Priority) -> Priority:
    if value not in ("low", "normal"):
        raise BadValue(f"--priority is low or normal, not {value!r}", field="priority")
    return value


def _variables(env: Mapping[str, str | None]) -> dict[str, str]:
    values = {}
    for name, value in env.items():
        if not name or "=" in name or "\0" in name:
            raise BadValue(f"--env: {name!r} cannot be a variable's name", field="env")
        taken = os.environ.get(name) if value is None else value
        if taken is None:
            raise BadValue(
                f"--env {name}: {name} is not set in this process; set it first (os.environ[{name!r}] = ...)",
                field="env",
            )
        values[name] = taken
    return values
