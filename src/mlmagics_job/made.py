"""What a cell has made: the variables that hold data. Imports nothing, for most jobs only ask whether there are any."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mlmagics_job.state import Job

#: builtin types whose values are code, or what runs it
_CODE = frozenset(
    (
        "module",
        "function",
        "builtin_function_or_method",
        "method",
        "generator",
        "coroutine",
        "async_generator",
    )
)


def made_here(job: Job) -> list[str]:
    """Names of the variables that the cell has made."""
    given, other = job.given, {*job.fetch, *_counters(job.source), "In", "Out"}
    return [
        name
        for name, value in job.main.__dict__.items()
        if not name.startswith("_") and name not in other and given.get(name) != id(value) and _is_data(value)
    ]


def _counters(source: str) -> set[str]:
    """What only loops have set: where a loop has stopped is no result."""
    lines = [line.strip() for line in source.splitlines()]
    heads = [line[4:].partition(" in ")[0] for line in lines if line.startswith("for ")]
    names = {name.strip(" ()*") for head in heads for name in head.split(",")}
    return {name for name in names if not any(line.startswith((name + " =", name + "=")) for line in lines)}


def _is_data(value: Any) -> bool:
    kind = type(value)
    return not (issubclass(kind, type) or (kind.__module__ == "builtins" and kind.__name__ in _CODE))
