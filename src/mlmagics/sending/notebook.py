"""From ``--send`` to luggage: the names that were asked for, or those that the cell uses and the notebook has."""

from __future__ import annotations

import ast
import difflib
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from mlmagics.errors import BadValue
from mlmagics.job.variables import variable_name
from mlmagics.preflight.names import missing_names
from mlmagics.preflight.reading import read
from mlmagics.sending.cells import Cells, cells_of
from mlmagics.sending.choosing import Luggage
from mlmagics.sending.modules import imports_of, local_modules

AUTO = "auto"
#: What a caller may say: names, ``auto``, or values by name.
Send = str | Iterable[str] | Mapping[str, Any]


def luggage_for(source: str, send: Send, given: Iterable[str] = ()) -> Luggage:
    """What travels with the cell ``source``.

    Parameters
    ----------
    send
        Names of the notebook's variables, as a list or with commas; ``auto`` for those that the cell uses and does
        not define; or values by their names.
    given
        Names that the job has in any case.

    Raises
    ------
    BadValue
        When there is no variable of a name, or it cannot travel.
    """
    space, cells = notebook()
    named = dict(send) if isinstance(send, Mapping) else {}
    luggage = Luggage({**space, **named} if named else space, cells, local_modules())
    if named:
        luggage.add(_checked(named))
    elif send == AUTO:
        luggage.add_modules(_imported(source))
        luggage.add(name for name in _used(source, luggage.space) if name not in set(given))
    elif send:
        names = send.split(",") if isinstance(send, str) else list(send)
        wanted = _checked(names)
        modules = [name for name in wanted if name not in luggage.space and luggage.local.has(name)]
        luggage.add_modules(modules)
        wanted = [name for name in wanted if name not in modules]
        for name in wanted:
            if name not in luggage.space:
                raise BadValue(f"--send {name}: {_nowhere(name, luggage.space)}", field="send")
        luggage.add(wanted)
    return luggage


def notebook() -> tuple[Mapping[str, Any], Cells]:
    """The variables of this notebook, or program, and its cells."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None:
        return shell.user_ns, cells_of(shell)
    return vars(sys.modules["__main__"]), Cells()


def _checked(names: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    for part in names:
        name = variable_name(part.strip())
        if name is None:
            raise BadValue(f"--send: {part.strip()!r} cannot be the name of a variable", field="send")
        found[name] = None
    return list(found)


def _nowhere(name: str, space: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, [known for known in space if not known.startswith("_")], n=1)
    return f"there is no {name} here" + (f": did you mean {near[0]}?" if near else "")


def _used(source: str, space: Mapping[str, Any]) -> list[str]:
    """The names that ``source`` uses, does not define, and finds in ``space``."""
    missing = missing_names(source, held=set(space))
    found = {**missing.errors, **missing.unsure, **missing.mentioned, **missing.later}
    return [name for name in found if name in space and variable_name(name) is not None]


def _imported(source: str) -> list[str]:
    try:
        tree: ast.AST = read(source).tree
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [*imports_of(tree)]
