"""What a cell imports and calls, by full names: ``pd.read_csv`` is ``pandas.read_csv``. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

from mlmagics.preflight.places import Places, binds
from mlmagics.preflight.reading import Cell


@dataclass(frozen=True)
class Import:
    """A module that the cell imports."""

    #: such as ``sklearn.metrics``
    module: str
    node: ast.stmt

    @property
    def root(self) -> str:
        """The name by which it is found."""
        return self.module.partition(".")[0]


@dataclass(frozen=True)
class Literal:
    """A text in the cell."""

    text: str
    #: whether it is all of the text, and not its beginning
    whole: bool


class Calls:
    """The imports and calls of a cell.

    Parameters
    ----------
    namespace
        The notebook's variables: a module among them that the cell uses is known by its name there.
    """

    def __init__(self, cell: Cell, places: Places, namespace: Mapping[str, object]) -> None:
        self.cell = cell
        self.places = places
        self._namespace = namespace

    @cached_property
    def imports(self) -> list[Import]:
        """In the order of the cell, without relative ones."""
        found = []
        for node in self.places.nodes:
            if isinstance(node, ast.Import):
                found += [Import(alias.name, node) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                if node.module == "google":
                    found += [Import(f"google.{alias.name}", node) for alias in node.names]
                else:
                    found.append(Import(node.module, node))
        return sorted(found, key=lambda item: item.node.lineno)

    @cached_property
    def named(self) -> list[tuple[str, ast.Call]]:
        """Full name and node of each call; ``.method`` where nobody knows of what."""
        calls = [node for node in self.places.nodes if isinstance(node, ast.Call)]
        return [(name, node) for node in calls if (name := self.full_name(node.func))]

    def full_name(self, node: ast.expr) -> str:
        """What ``node`` names: ``pandas.read_csv``, ``open``, ``.fit`` of something unknown; empty for others."""
        match node:
            case ast.Name(id=name):
                return self._roots.get(name, "")
            case ast.Attribute(value=value, attr=attribute):
                outer = self.full_name(value)
                return f"{outer}.{attribute}" if outer and not outer.startswith(".") else f".{attribute}"
        return ""

    def literal(self, node: ast.expr | None) -> Literal | None:
        """The text that ``node`` is, or begins with."""
        match node:
            case ast.Constant(value=str(text)):
                return Literal(text, True)
            case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
                return Literal(text, False)
            case ast.BinOp(left=left, op=ast.Add()):
                start = self.literal(left)
                return start and Literal(start.text, False)
            case ast.Name(id=name) if name in self._texts:
                return self.literal(self._texts[name])
        return None

    @cached_property
    def _roots(self) -> dict[str, str]:
        """What each name stands for: a builtin, or what was imported under it; nothing for all others."""
        imported: dict[str, str] = {}
        own: set[str] = set()
        for node in self.places.nodes:
            match node:
                case ast.Import(names=names):
                    for alias in names:
                        root = alias.name.partition(".")[0]
                        imported[alias.asname or root] = alias.name if alias.asname else root
                case ast.ImportFrom(module=str(module), names=names, level=0):
                    imported |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in names}
                case ast.arg(arg=name):
                    own.add(name)
                case _:
                    own.update(binds(node))
        import builtins

        here = {
            name: value.__name__ for name, value in self._namespace.items() if isinstance(value, ModuleType)
        }
        known = {name: name for name in dir(builtins)} | here | imported
        return {name: full for name, full in known.items() if name not in own}

    @cached_property
    def _texts(self) -> dict[str, ast.expr]:
        """The values of names that the cell binds once, by a plain assignment of its own."""
        bound: dict[str, int] = {}
        for node in self.places.nodes:
            for name in binds(node):
                bound[name] = bound.get(name, 0) + 1
        return {name: value for name, value in self._assigned() if bound.get(name) == 1}

    def _assigned(self) -> Iterator[tuple[str, ast.expr]]:
        for statement in self.places.tree.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant() | ast.JoinedStr() as value):
                    yield name, value


def argument(call: ast.Call, position: int, *keywords: str) -> ast.expr | None:
    """The argument of ``call`` at ``position``, or by one of ``keywords``."""
    for keyword in call.keywords:
        if keyword.arg in keywords:
            return keyword.value
    if position < len(call.args) and not any(
        isinstance(arg, ast.Starred) for arg in call.args[: position + 1]
    ):
        return call.args[position]
    return None
