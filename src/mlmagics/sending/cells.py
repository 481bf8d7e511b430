"""The text of what a notebook has defined: functions and classes, imports, each with the cell that it comes from."""

from __future__ import annotations

import ast
import functools
import linecache
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import Any, cast

from mlmagics.sending.codes import compiled, reads_of

_MAIN = "__main__"
_POSTPONED = "from __future__ import annotations\n"


@dataclass(frozen=True, kw_only=True)
class Definition:
    """Something that travels as source."""

    name: str
    text: str
    #: as tracebacks name it: ``In[4]``
    origin: str
    line: int = 1
    #: the names that it reads when it runs, and those that it reads when it is used
    at_once: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()

    @property
    def reads(self) -> frozenset[str]:
        """All names that it reads."""
        return self.at_once | self.later


def defined(name: str, text: str, origin: str, line: int = 1) -> Definition:
    """The definition ``text``, which is Python, with what it reads."""
    code = compiled(ast.parse(text))
    reads, bodies = reads_of(code) if code is not None else (set(), {})
    later = frozenset().union(*bodies.values())
    return Definition(
        name=name, text=text, origin=origin, line=line, at_once=frozenset(reads), later=later - {name}
    )


@dataclass
class Cells:
    """The cells that have run, and what is known about the files that Python calls them."""

    #: by number, as Python read them; number 0 is none
    texts: Sequence[str] = ()
    #: number by the name of the file that a cell is called
    numbers: Mapping[str, int] = field(default_factory=dict)
    _trees: dict[str, ast.Module | None] = field(default_factory=dict)

    def definition(self, name: str, value: Any) -> Definition | None:
        """The source of the function or class ``value``, which the notebook calls ``name``; None where there is none."""
        if isinstance(value, type):
            return self._of_class(name, value)
        function = _innermost(value)
        if function is None or function.__module__ != _MAIN or function.__code__.co_freevars:
            return None
        code = function.__code__
        text = "".join(linecache.getlines(code.co_filename))
        wanted: type[ast.AST] | tuple[type[ast.AST], ...] = (ast.FunctionDef, ast.AsyncFunctionDef)
        if function.__name__ == "<lambda>":
            wanted = ast.Assign
        elif function.__qualname__ != function.__name__:
            return None
        for node in self._statements(text):
            if not isinstance(node, wanted) or _first_line(node) != _begins(code, node):
                continue
            if _binds(node, name):
                return self._cut(name, text, node, self._origin(code.co_filename), code)
        return None

    def _of_class(self, name: str, value: type) -> Definition | None:
        if value.__module__ != _MAIN or value.__qualname__ != name:
            return None
        for text, origin, code in self._texts_of(value):
            for node in reversed([*self._statements(text)]):
                if isinstance(node, ast.ClassDef) and node.name == name and _has_methods(node, value):
                    return self._cut(name, text, node, origin, code)
        return None

    def _texts_of(self, value: type) -> Iterator[tuple[str, str, CodeType | None]]:
        """Texts in which a class may be defined, the most likely first."""
        for part in vars(value).values():
            function = _innermost(part)
            if function is not None and (lines := linecache.getlines(function.__code__.co_filename)):
                file = function.__code__.co_filename
                yield "".join(lines), self._origin(file), function.__code__
        for number in range(len(self.texts) - 1, 0, -1):
            yield self.texts[number], f"In[{number}]", None
        script = getattr(sys.modules.get(_MAIN), "__file__", None)
        if script:
            yield "".join(linecache.getlines(script)), self._origin(script), None

    def imported(self, name: str, value: Any) -> str:
        """The statement of a cell that has bound ``name`` to ``value`` by an import; empty where there is none."""
        for number in range(len(self.texts) - 1, 0, -1):
            for node in reversed([*_imports(self._tree(self.texts[number]))]):
                for alias in node.names:
                    if (alias.asname or alias.name.partition(".")[0]) == name and _gives(node, alias, value):
                        return _written(node, alias)
        return ""

    def _statements(self, text: str) -> Iterator[ast.stmt]:
        tree = self._tree(text)
        if tree is not None:
            yield from tree.body

    def _tree(self, text: str) -> ast.Module | None:
        if text not in self._trees:
            try:
                self._trees[text] = ast.parse(text)
            except (SyntaxError, ValueError, RecursionError):
                self._trees[text] = None
        return self._trees[text]

    def _origin(self, file: str) -> str:
        number = self.numbers.get(file)
        if number is not None:
            return f"In[{number}]"
        return file.replace("\\", "/").rpartition("/")[2].strip("<>")[:200] or "notebook"

    def _cut(self, name: str, text: str, node: ast.stmt, origin: str, code: CodeType | None) -> Definition:
        first, last = _first_line(node), node.end_lineno or node.lineno
        part = "\n".join(text.split("\n")[first - 1 : last])
        if code is not None and code.co_flags & _postponed():
            # one line less above, so that the numbers of all others stay as they are
            return defined(name, _POSTPONED + part, origin, max(1, first - 1))
        return defined(name, part, origin, first)


def cells_of(shell: Any) -> Cells:
    """The cells of an IPython shell; none without one."""
    if shell is None:
        return Cells()
    numbers = dict(getattr(shell.compile, "_filename_map", {}))
    return Cells(shell.history_manager.input_hist_parsed, numbers)


def _innermost(value: Any) -> FunctionType | None:
    """The function that ``value`` is, or wraps."""
    for _ in range(20):
        kind = type(value)
        if issubclass(kind, FunctionType):
            inner = value.__dict__.get("__wrapped__")
            if inner is None or (value.__module__ == _MAIN and not value.__code__.co_freevars):
                return cast(FunctionType, value)
            value = inner
        elif issubclass(kind, staticmethod | classmethod):
            value = value.__func__
        elif issubclass(kind, property | functools.cached_property):
            value = value.fget if issubclass(kind, property) else value.func
        else:
            held = getattr(value, "__dict__", None)
            value = held.get("__wrapped__") if isinstance(held, dict) else None
            if value is None:
                return None
    return None


def _first_line(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", [])
    return int(min([node.lineno, *(decorator.lineno for decorator in decorators)]))


def _begins(code: CodeType, node: ast.stmt) -> int:
    # of a lambda Python tells the line in which itself begins
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
        return code.co_firstlineno - node.value.lineno + node.lineno
    return code.co_firstlineno


def _binds(node: ast.stmt, name: str) -> bool:
    if isinstance(node, ast.Assign):
        targets = [target.id for target in node.targets if isinstance(target, ast.Name)]
        return targets == [name] and isinstance(node.value, ast.Lambda)
    return getattr(node, "name", None) == name


def _has_methods(node: ast.ClassDef, value: type) -> bool:
    """Whether the class in the text has the methods of ``value``, so that it is not an older one of the same name."""
    written = {part.name for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)}
    return all(name in vars(value) or name.startswith("__") for name in written)


def _imports(tree: ast.Module | None) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, "level", 0):
            yield node


def _gives(node: ast.Import | ast.ImportFrom, alias: ast.alias, value: Any) -> bool:
    if isinstance(node, ast.Import):
        module = alias.name if alias.asname else alias.name.partition(".")[0]
        return sys.modules.get(module) is value
    origin = sys.modules.get(node.module or "")
    inner = sys.modules.get(f"{node.module}.{alias.name}")
    return inner is value or (origin is not None and vars(origin).get(alias.name) is value)


def _written(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    named = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
    if isinstance(node, ast.Import):
        return f"import {named if alias.asname else alias.name.partition('.')[0]}"
    return f"from {node.module} import {named}"


def _postponed() -> int:
    import __future__

    return int(__future__.annotations.compiler_flag)
