"""What is said about the names that a cell uses and does not define. Pure."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Collection, Iterator
from types import ModuleType

from mlmagics.preflight.finding import Code, Finding, Level
from mlmagics.preflight.held import cells_of, described
from mlmagics.preflight.here import Here
from mlmagics.preflight.names import OF_IPYTHON, Missing

#: what people call modules
_ALIASES = {
    "F": "torch.nn.functional", "alt": "altair", "go": "plotly.graph_objects", "gpd": "geopandas",
    "jnp": "jax.numpy", "lgb": "lightgbm", "np": "numpy", "nx": "networkx", "pa": "pyarrow", "pd": "pandas",
    "pl": "polars", "plt": "matplotlib.pyplot", "px": "plotly.express", "sns": "seaborn", "sp": "scipy",
    "sm": "statsmodels.api", "tf": "tensorflow", "xgb": "xgboost", "xr": "xarray",
}  # fmt: skip
#: the same words before a cell is sent and after its job has failed
_NOT_IN_CELL = "not in the cell"
_PLAIN_MODULES = frozenset({"torch", "numpy", "pandas", "sklearn", "scipy", "xgboost", "lightgbm", "polars"})


def of_notebook(names: Collection[str], here: Here) -> dict[str, str]:
    """The line for each of ``names``, which the notebook has and a cell does not."""
    lines = {}
    cells = cells_of(names, here.cells)
    for name in names:
        value = here.names[name]
        if isinstance(value, ModuleType):
            lines[name] = _imported(name, value.__name__, here)
        else:
            lines[name] = _defined(name, described(value, cells.get(name)), here)
    return lines


def _imported(name: str, module: str, here: Here) -> str:
    line = f"import {module}" if module == name else f"import {module} as {name}"
    return f"{name} is imported in {here.yours}, {_NOT_IN_CELL}: write {line} into it"


def _defined(name: str, what: str, here: Here) -> str:
    return f"{name} is defined in {here.yours} ({what}), {_NOT_IN_CELL}: {here.send(name)}"


def held_names(here: Here) -> set[str]:
    """The names that a person has given in the notebook."""
    return {name for name in here.names if not name.startswith("_") and name not in OF_IPYTHON}


def check_variables(missing: Missing, bound: Collection[str], here: Here) -> Iterator[Finding]:
    """What is said about ``missing``, the names that a cell lacks.

    Parameters
    ----------
    bound
        The names that the cell binds itself.
    """
    ours = held_names(here)
    needed = {*missing.errors, *missing.unsure, *missing.mentioned} & ours
    lines = of_notebook(needed, here)
    for name, uses in missing.errors.items():
        if _comes_by_star(name, missing.stars):
            continue
        sure: Level = "warning" if missing.dynamic else "error"
        if name in ours:
            message = lines[name] if name not in bound else _before(lines[name])
            yield Finding(level=sure, code="name_in_notebook", message=message, name=name, line=uses[0])
        else:
            message = _nowhere(name, {*ours, *bound}, here)
            yield Finding(level=sure, code="name_missing", message=message, name=name, line=uses[0])
    for name, uses in missing.later.items():
        message = f"{name} may be used before the cell has defined it"
        yield Finding(level="warning", code="name_later", message=message, name=name, line=uses[0])
    for name, uses in missing.unsure.items():
        if name in missing.errors or _comes_by_star(name, missing.stars):
            continue
        code: Code = "name_missing"
        message = f"{name} is defined nowhere, where this line needs it"
        if name in ours:
            code, message = "name_in_notebook", lines[name]
        yield Finding(level="warning", code=code, message=message, name=name, line=uses[0])
    for name, uses in missing.mentioned.items():
        if name in ours:
            yield Finding(
                level="warning", code="name_in_notebook", message=lines[name], name=name, line=uses[0]
            )


def _before(line: str) -> str:
    return line.replace(f"{_NOT_IN_CELL}:", "and the cell uses it before it defines its own:", 1)


def _nowhere(name: str, known: set[str], here: Here) -> str:
    first = f"{name} is defined nowhere"
    if here.notebook:
        first += f", neither in the cell nor in {here.yours}"
    module = _ALIASES.get(name) or (
        name if name in sys.stdlib_module_names or name in _PLAIN_MODULES else None
    )
    if module:
        return f"{first}: write import {module}{f' as {name}' if module != name else ''} into it"
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.8)
    return f"{first}: did you mean {near[0]}?" if near else f"{first}: define it, or import it in the cell"


def _comes_by_star(name: str, stars: Collection[str]) -> bool:
    for star in stars:
        module = sys.modules.get(star)
        if module is not None and hasattr(module, name):
            return True
    return False
