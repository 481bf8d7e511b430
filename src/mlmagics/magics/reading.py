"""Which names a cell reads, told before it runs: its own, and those of the functions that it uses. Pure.

Code objects answer it: a compiled scope says exactly which of its names are global. What a cell sets for certain
before it reads it is not read. A function's body counts when something reads the function's name.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from types import FunctionType, MethodType
from typing import Any

from mlmagics.sending.codes import all_reads, compiled, reads_of, stored

#: Magics that run the code in their line, or cell, without asking the transformers of the shell.
_RUN_CODE = ("prun", "lprun", "mprun", "memit")
_SHELL_CALLS = ("run_line_magic", "run_cell_magic", "system", "getoutput")
_EXPANDED = re.compile(r"\{([^{}]*)\}|\$(\w+)")
_WORD = re.compile(r"[^\W\d]\w*")


def names_read(tree: ast.Module, space: Mapping[str, Any], wanted: Collection[str]) -> set[str]:
    """Those of ``wanted`` that ``tree`` may read before it has set them.

    Parameters
    ----------
    tree
        A cell as IPython has translated it.
    space
        The namespace that it will run in, where functions of earlier cells are found.
    wanted
        The names that matter.
    """
    reader = _Reader(space, wanted)
    reader.block(tree.body, set())
    return reader.found


def names_deleted(tree: ast.Module) -> set[str]:
    """The names that ``tree`` deletes by ``del``."""
    return {
        target.id
        for statement in ast.walk(tree)
        if isinstance(statement, ast.Delete)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


class _Reader:
    """Walks a cell in the order in which it runs; ``known`` holds the names that are set for certain so far."""

    def __init__(self, space: Mapping[str, Any], wanted: Collection[str]) -> None:
        self.found: set[str] = set()
        self._space = space
        self._wanted = wanted
        #: what the bodies of functions and classes of this cell read
        self._bodies: dict[str, set[str]] = {}

    def block(self, statements: Sequence[ast.stmt], known: set[str]) -> set[str]:
        """What is known after ``statements``."""
        for statement in statements:
            known = self._statement(statement, known)
        return known

    def _statement(self, node: ast.stmt, known: set[str]) -> set[str]:
        branches: Callable[..., set[str]] | None = getattr(self, f"_{type(node).__name__.lower()}", None)
        if branches is not None:
            return branches(node, known)
        self._whole(ast.Module([node], type_ignores=[]), node, known)
        return known | stored(ast.Module([node], type_ignores=[]))

    def _if(self, node: ast.If, known: set[str]) -> set[str]:
        self._expression(node.test, known)
        return self.block(node.body, known) & self.block(node.orelse, known)

    def _while(self, node: ast.While, known: set[str]) -> set[str]:
        self._expression(node.test, known)
        self.block(node.body, known)
        self.block(node.orelse, known)
        return known

    def _for(self, node: ast.For | ast.AsyncFor, known: set[str]) -> set[str]:
        self._expression(node.iter, known)
        self.block(node.body, known | self._target(node.target, known))
        self.block(node.orelse, known)
        return known

    _asyncfor = _for

    def _with(self, node: ast.With | ast.AsyncWith, known: set[str]) -> set[str]:
        for item in node.items:
            self._expression(item.context_expr, known)
            if item.optional_vars is not None:
                known = known | self._target(item.optional_vars, known)
        return self.block(node.body, known)

    _asyncwith = _with

    def _try(self, node: ast.Try, known: set[str]) -> set[str]:
        ends = [self.block(node.orelse, self.block(node.body, known))]
        for handler in node.handlers:
            if handler.type is not None:
                self._expression(handler.type, known)
            ends.append(self.block(handler.body, known | {handler.name or ""}) - {handler.name or ""})
        return self.block(node.finalbody, set.intersection(*ends))

    _trystar = _try

    def _target(self, target: ast.expr, known: set[str]) -> set[str]:
        for part in ast.walk(target):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
                self._read(part.id, known)
        return {
            part.id
            for part in ast.walk(target)
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
        }

    def _expression(self, node: ast.expr, known: set[str]) -> None:
        self._whole(ast.Expression(node), node, known)

    def _whole(self, part: ast.Module | ast.Expression, node: ast.AST, known: set[str]) -> None:
        code = compiled(part)
        if code is None:
            return
        reads, bodies = reads_of(code)
        # what decorates a function may call it at once
        for inner in ast.walk(node):
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                reads |= bodies.get(inner.name, set()) if inner.decorator_list else set()
        self._bodies.update(bodies)
        for name in reads | _read_by_magics(node):
            self._read(name, known)

    def _read(self, name: str, known: set[str]) -> None:
        todo, seen = [name], {name}
        while todo:
            one = todo.pop()
            if one in self._wanted and one not in known:
                self.found.add(one)
            if one in self._bodies:
                more = self._bodies[one]
            elif one in known:
                more = set()
            else:
                more = _reads_of_value(self._space.get(one), self._space)
            todo += more - seen
            seen |= more


def _reads_of_value(value: Any, space: Mapping[str, Any]) -> set[str]:
    """The names in ``space`` that using ``value`` may read: as a function, a class, or an object of one."""
    found: set[str] = set()
    todo, seen = [value], set()
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        # not isinstance, which may run code of the object
        kind = type(one)
        if issubclass(kind, FunctionType):
            if one.__globals__ is space:
                found |= all_reads(one.__code__)
            todo.append(one.__dict__.get("__wrapped__"))
        elif issubclass(kind, MethodType):
            todo += [one.__func__, type(one.__self__)]
        elif issubclass(kind, functools.partial):
            todo += [one.func, *one.args, *one.keywords.values()]
        elif issubclass(kind, staticmethod | classmethod):
            todo.append(one.__func__)
        elif issubclass(kind, property):
            todo += [one.fget, one.fset, one.fdel]
        elif issubclass(kind, type):
            todo += [part for base in _ours(one) for part in vars(base).values()]
        elif one is not None:
            todo += [kind, *_wrapped(one)]
    return found


def _ours(kind: type) -> list[type]:
    """The classes among the bases of ``kind`` that a cell has made: the code of the others is in modules."""
    return [base for base in type.mro(kind) if vars(base).get("__module__") == "__main__"]


def _wrapped(value: Any) -> list[Any]:
    # such as what functools.lru_cache makes; looked up without running code of the object
    inner = inspect.getattr_static(value, "__wrapped__", None)
    return [inner] if isinstance(inner, FunctionType) else []


def _read_by_magics(node: ast.AST) -> set[str]:
    """Names in the text that magics and ``!`` get: expanded as ``{name}`` or ``$name``, or run as code."""
    found: set[str] = set()
    for call in ast.walk(node):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
            continue
        texts = [
            arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
        ]
        if call.func.attr not in _SHELL_CALLS or not texts:
            continue
        if call.func.attr.startswith("run_"):
            name, *texts = texts
            if name in _RUN_CODE:
                found.update(word for text in texts for word in _WORD.findall(text))
            del texts[1:]
        for text in texts:
            for braced, word in _EXPANDED.findall(text):
                found.update(_WORD.findall(braced or word))
    return found
