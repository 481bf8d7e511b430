"""A function as the source of a job: its text and a call of it, when it needs nothing else from here."""

from __future__ import annotations

import builtins
import dis
import inspect
import textwrap
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from mlmagics.errors import BadCell

_SEES = {"__name__", "__builtins__", "__doc__"}


def source_of(function: Callable[..., Any], *, alone: bool = True) -> str:
    """A cell that defines ``function`` and calls it without arguments; its value is the cell's last expression.

    Without ``alone`` other things travel with it, which may be what it needs.

    Raises
    ------
    BadCell
        When the job could not run it: what it needs from here is named.
    """
    if not isinstance(function, FunctionType) or function.__name__ == "<lambda>":
        raise BadCell("submit takes the text of a cell or a function made by def", field="source")
    name = function.__name__
    needed = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if needed:
        raise BadCell(f"{name}() is called without arguments and needs {', '.join(needed)}", field="source")
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise BadCell(f"the source of {name}() cannot be found: submit it as text", field="source") from None
    if source.lstrip().startswith("@") or hasattr(function, "__wrapped__"):
        raise BadCell(
            f"{name}() has a decorator, which the job does not have: submit it as text", field="source"
        )
    missing = sorted(_missing(function) if alone else function.__code__.co_freevars)
    if missing:
        raise BadCell(
            f"{name}() uses {', '.join(missing)} from here, which the job does not have: import or define "
            f"{'it' if len(missing) == 1 else 'them'} inside the function"
            + (", or submit it with send='auto'" if alone else ""),
            field="source",
        )
    call = f"await {name}()" if inspect.iscoroutinefunction(function) else f"{name}()"
    return f"{source.rstrip()}\n\n\n{call}\n"


def _missing(function: FunctionType) -> set[str]:
    # a default value or an annotation may stand for anything; what cannot be found shows itself in the job
    used = {*_globals(function.__code__), *function.__code__.co_freevars}
    return {
        name
        for name in used
        if name != function.__name__ and name not in _SEES and not hasattr(builtins, name)
    }


def _globals(code: CodeType) -> set[str]:
    found = {
        str(step.argval) for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    return found.union(*(_globals(inner) for inner in code.co_consts if isinstance(inner, CodeType)))
