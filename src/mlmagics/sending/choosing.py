"""How each name travels, and which other names it takes along.

Functions, classes, imports and plain constants go as source, so that tracebacks and the record stay readable; modules
beside the notebook go as files; every other value goes as data.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from mlmagics.errors import BadValue
from mlmagics.sending.cells import Cells, Definition, defined
from mlmagics.sending.modules import LocalFile, LocalModules, imports_of

_MAX_CONSTANT = 2000
_SCALARS = (type(None), bool, int, float, complex, str, bytes)
_FROM_NOTEBOOK = "notebook"


@dataclass
class Luggage:
    """What travels with one cell; grows with each name that is added.

    Parameters
    ----------
    space
        The notebook's variables.
    cells
        Where their text is.
    local
        The modules beside the notebook.
    """

    space: Mapping[str, Any]
    cells: Cells
    local: LocalModules
    #: by name, in the order in which they were found
    definitions: dict[str, Definition] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    #: names of local modules that something imports
    modules: dict[str, None] = field(default_factory=dict)
    #: by the name of a value, the definitions that must be there before it
    needed_by: dict[str, set[str]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Every name that the job finds."""
        return [*self.definitions, *self.values]

    def refresh(self) -> None:
        """Take the values that the names have now."""
        self.values = {name: self.space[name] for name in self.values}

    def files(self) -> list[LocalFile]:
        """The local modules, with all that they import of each other."""
        return self.local.needed(self.modules)

    def add_source(self, source: str) -> None:
        """Take along the local modules that ``source`` imports."""
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError):
            return
        self.add_modules(imports_of(tree))

    def add_modules(self, modules: Iterable[str]) -> None:
        """Take along those of ``modules`` that are local."""
        self.modules.update((module, None) for module in modules if self.local.has(module))

    def add(self, names: Iterable[str]) -> None:
        """Take along ``names``, and all that they need.

        Raises
        ------
        BadValue
            When there is no such name, or it cannot travel in any way.
        """
        todo = list(names)
        while todo:
            name = todo.pop(0)
            if name in self.definitions or name in self.values:
                continue
            value = self.space[name]
            definition = self._definition(name, value)
            if definition is None:
                self.values[name] = value
                continue
            self.definitions[name] = definition
            self.add_source(definition.text)
            todo += sorted(read for read in definition.reads if self._is_ours(read))

    def can_define(self, name: str, value: Any) -> bool:
        """Whether ``value``, a function or class, is the notebook's ``name`` and can travel as source; it does then."""
        if self.space.get(name) is not value:
            return False
        if name not in self.definitions:
            if self.cells.definition(name, value) is None:
                return False
            self.values.pop(name, None)
            self.add([name])
        return True

    def order(self) -> list[str]:
        """All names, each behind those that must be there when it is made."""
        found: dict[str, None] = {}
        visiting: set[str] = set()

        def visit(name: str) -> None:
            if name in found or name in visiting:
                return
            visiting.add(name)
            for before in sorted(self.before(name)):
                visit(before)
            found[name] = None

        for name in self.names:
            visit(name)
        return list(found)

    def before(self, name: str) -> set[str]:
        if name in self.values:
            return self.needed_by.get(name, set())
        # what runs while it is defined, such as a decorator, may use all that it reads
        needed, todo = set(), [read for read in self.definitions[name].at_once if read in self._all()]
        while todo:
            one = todo.pop()
            if one in needed or one == name:
                continue
            needed.add(one)
            if one in self.definitions:
                todo += [read for read in self.definitions[one].reads if read in self._all()]
        return needed

    def _all(self) -> set[str]:
        return {*self.definitions, *self.values}

    def _is_ours(self, name: str) -> bool:
        return name in self.space and not name.startswith("__") and name not in _OF_IPYTHON

    def _definition(self, name: str, value: Any) -> Definition | None:
        """The source by which ``value`` travels; None when it travels as data."""
        if isinstance(value, ModuleType):
            return self._of_module(name, value)
        found = self.cells.definition(name, value)
        if found is not None:
            return found
        statement = self.cells.imported(name, value) or _import_of(name, value)
        if statement:
            return defined(name, statement, _FROM_NOTEBOOK)
        if isinstance(value, type) and value.__module__ == "__main__" and value.__name__ != name:
            other = value.__name__
            if self.space.get(other) is value:
                return defined(name, f"{name} = {other}", _FROM_NOTEBOOK)
        text = constant(value)
        return defined(name, f"{name} = {text}", _FROM_NOTEBOOK) if text is not None else None

    def _of_module(self, name: str, module: ModuleType) -> Definition:
        full = module.__name__
        if full == "__main__" or sys.modules.get(full) is not module:
            raise BadValue(f"{name} is a module that cannot be imported by its name ({full})", field="send")
        statement = self.cells.imported(name, module)
        if not statement:
            statement = f"import {full}" if full == name else f"import {full} as {name}"
        self.add_modules([full])
        more = [f"import {inner}" for inner in sorted(self._submodules(name, full))]
        return defined(name, "\n".join([statement, *more]), _FROM_NOTEBOOK)

    def _submodules(self, name: str, full: str) -> set[str]:
        """Modules within the package ``full`` that were imported by their whole name: ``import a.b``."""
        if name != full:
            return set()
        return {
            alias.name
            for text in self.cells.texts
            for alias in _plain_imports(text)
            if alias.name.startswith(f"{full}.") and not alias.asname
        }


#: What every shell has, and no job needs of the notebook's.
_OF_IPYTHON = frozenset({"In", "Out", "exit", "quit", "get_ipython", "open", "display"})


def _plain_imports(text: str) -> list[ast.alias]:
    if "import" not in text:
        return []
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return []
    return [alias for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]


def _import_of(name: str, value: Any) -> str:
    """The import of a function or class by what it says of itself; empty when that is not where it is."""
    if not isinstance(value, type | FunctionType | BuiltinFunctionType) and not hasattr(value, "__wrapped__"):
        return ""
    module, inner = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    if module in (None, "__main__", "builtins") or not inner.isidentifier():
        return ""
    if getattr(sys.modules.get(module), inner, None) is not value:
        return ""
    return f"from {module} import {inner}" + ("" if inner == name else f" as {name}")


def constant(value: Any) -> str | None:
    """The literal that stands for ``value``; None when it has none, or a long one."""
    if not _is_plain(value, 0):
        return None
    text = _literal(value)
    if len(text) > _MAX_CONSTANT:
        return None
    try:
        return text if _literal(ast.literal_eval(text)) == text else None
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _literal(value: Any) -> str:
    """As ``repr``, but the same for equal sets in every process."""
    kind = type(value)
    if kind is set and value:
        return f"{{{', '.join(sorted(map(_literal, value)))}}}"
    if kind is dict:
        return f"{{{', '.join(f'{_literal(key)}: {_literal(part)}' for key, part in value.items())}}}"
    if kind is list:
        return f"[{', '.join(map(_literal, value))}]"
    if kind is tuple:
        return f"({', '.join(map(_literal, value))}{',' * (len(value) == 1)})"
    return repr(value)


def _is_plain(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind in _SCALARS:
        return not (kind is str and len(value) > _MAX_CONSTANT)
    if depth > 20 or kind not in (tuple, list, dict, set) or len(value) > _MAX_CONSTANT:
        return False
    parts = [*value, *value.values()] if kind is dict else value
    return bool(value or kind is not set) and all(_is_plain(part, depth + 1) for part in parts)
