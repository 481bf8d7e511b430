"""The names that a cell uses and does not define: found by pyflakes and by Python's own symbol table. Pure.

Each of the two is wrong in its own way, so only what both report is an error:

- both say that a name is bound nowhere: it is missing;
- only pyflakes does, and the name is bound somewhere: it is used before, or after a ``del``. That is right in
  ``df = df.dropna()`` and wrong for a variable that is carried round a loop, hence a warning, and an error only where
  the notebook has the name, the use runs in any case, and no loop brings the value;
- a use inside ``try`` or ``suppress()`` may be meant to fail, and a name that the notebook has not either and that is
  used under conditions only may never be needed (``if PY2: unicode``): a warning;
- code that binds names in ways that cannot be seen (``import *``, ``exec``, ``globals()``) is *dynamic*: nothing
  about it is sure.
"""

from __future__ import annotations

import ast
import builtins
import symtable
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from mlmagics.preflight.places import Places, binds, bound_in
from mlmagics.preflight.reading import Cell, Lines, read

#: what a job has that Python has not
OF_IPYTHON = frozenset(
    {"In", "Out", "_", "__", "___", "_dh", "_ih", "_oh", "display", "exit", "get_ipython", "quit"}
)
_BUILTINS = frozenset(dir(builtins)) | {
    *("BaseExceptionGroup", "EncodingWarning", "ExceptionGroup", "PythonFinalizationError", "WindowsError"),
    *("_IncompleteInputError", "aiter", "anext"),
}
#: calls after which any name may be bound
_BINDING_CALLS = frozenset({"exec", "globals", "locals"})
_BINDING_DECORATORS = frozenset({"global_enum"})
_BINDING_CALLS_WITHOUT_ARGUMENTS = frozenset({"dir", "vars"})
_BINDING_MODULES = frozenset({"__main__", "builtins"})

_LATER_ANNOTATIONS = sys.version_info >= (3, 14)


@dataclass(frozen=True)
class Missing:
    """Names and the lines of the cell that use them, each sorted."""

    #: bound nowhere in the cell
    errors: Lines = field(default_factory=dict)
    #: bound in the cell, but not where they are used, as far as can be told
    later: Lines = field(default_factory=dict)
    #: bound nowhere, but used where that may be expected or never happen
    unsure: Lines = field(default_factory=dict)
    #: meant by a text that IPython or pandas reads, and bound nowhere
    mentioned: Lines = field(default_factory=dict)
    #: modules of which ``import *`` takes everything
    stars: tuple[str, ...] = ()
    #: whether names may come from where nobody can see: then nothing above is sure
    dynamic: bool = False


def missing_names(
    source: str, *, held: Collection[str] = (), later_annotations: bool = _LATER_ANNOTATIONS
) -> Missing:
    """What ``source``, a cell or a module, uses and does not define; nothing when it cannot be read as Python.

    Parameters
    ----------
    held
        The names that the notebook has. One that the cell binds only after it has used it is an error then.
    later_annotations
        Whether the Python that runs the cell leaves annotations unevaluated, as 3.14 does.
    """
    try:
        cell = read(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Missing(dynamic=True)
    return missing_in(cell, held=held, later_annotations=later_annotations)


def missing_in(
    cell: Cell,
    places: Places | None = None,
    *,
    held: Collection[str] = (),
    known: Collection[str] = (),
    later_annotations: bool = _LATER_ANNOTATIONS,
) -> Missing:
    """As :func:`missing_names`, of a cell that has been read and that finds the names ``known`` bound."""
    places = places or Places(cell.tree)
    bound = set(bound_in(cell.tree))
    reported = [use for use in _reported(cell.tree) if use[0] not in known]
    found = _Found(cell, places, bound, held)
    if reported:
        found.sort(reported, _unbound_globals(cell, bound, later_annotations))
    stars = [
        "." * node.level + (node.module or "")
        for node in places.nodes
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
    ]
    return Missing(
        errors=_lines(found.errors),
        later=_lines(found.later),
        unsure=_lines(found.unsure),
        mentioned=_mentioned(cell, places, bound | set(known)),
        stars=tuple(dict.fromkeys(stars)),
        dynamic=cell.dynamic or bool(stars) or any(_binds_unseen(node) for node in places.nodes),
    )


@dataclass
class _Found:
    """Sorts what pyflakes reports."""

    cell: Cell
    places: Places
    bound: set[str]
    held: Collection[str]
    errors: dict[str, set[int]] = field(default_factory=dict)
    later: dict[str, set[int]] = field(default_factory=dict)
    unsure: dict[str, set[int]] = field(default_factory=dict)

    def sort(self, reported: Iterable[tuple[str, int, int]], unbound: set[str]) -> None:
        doubtful = self._conditional(reported)
        for name, line, column in reported:
            if name not in unbound and name not in self.bound:
                continue
            use = self.places.use(name, line, column)
            if name in doubtful or self.places.guarded(use):
                kind = self.unsure
            elif name in unbound or (name in self.held and self.places.sure(use, name)):
                kind = self.errors
            else:
                kind = self.later
            kind.setdefault(name, set()).add(line + self.cell.above)

    def _conditional(self, reported: Iterable[tuple[str, int, int]]) -> set[str]:
        """The names that the notebook has not and that no use needs for sure."""
        needed = {
            name for name, *place in reported if not self.places.conditional(self.places.use(name, *place))
        }
        return {name for name, *_ in reported} - needed - self.bound - set(self.held)


def _mentioned(cell: Cell, places: Places, bound: set[str]) -> Lines:
    if not cell.mentioned:
        return {}
    anywhere = bound | {name for node in places.nodes for name in binds(node)}
    anywhere |= {node.arg for node in places.nodes if isinstance(node, ast.arg)}
    return {
        name: lines for name, lines in cell.mentioned.items() if name not in anywhere and not _known(name)
    }


def _reported(tree: ast.Module) -> list[tuple[str, int, int]]:
    """Name, line and column of each use that pyflakes knows no binding for."""
    from mlmagics.preflight.flakes import CellChecker, messages

    undefined = messages.UndefinedName, messages.ImportStarUsage
    checker = CellChecker(tree, builtins=OF_IPYTHON)
    return [
        (message.message_args[0], message.lineno, message.col)
        for message in checker.messages
        if isinstance(message, undefined) and not _known(message.message_args[0])
    ]


def _known(name: str) -> bool:
    return (
        name in _BUILTINS
        or name in OF_IPYTHON
        or (name.startswith("__") and name.endswith("__"))
        or is_past(name)
    )


def is_past(name: str) -> bool:
    """Whether IPython gives the name to an earlier input or output, such as ``_i`` or ``_12``."""
    return name.startswith("_") and name.lstrip("_").lstrip("i").strip("0123456789") == ""


def _unbound_globals(cell: Cell, bound: set[str], later_annotations: bool) -> set[str]:
    """The global names that Python's symbol table knows uses of, but not those in ``bound``."""
    text = cell.text
    if later_annotations and any(isinstance(node, _ANNOTATED) for node in ast.walk(cell.tree)):
        text = ast.unparse(_WithoutAnnotations().visit(ast.parse(text)))
    try:
        waiting = [symtable.symtable(text, "cell", "exec")]
    except (SyntaxError, ValueError, RecursionError):
        return set()
    found: set[str] = set()
    while waiting:
        table = waiting.pop()
        top = table.get_type() == "module"
        found.update(
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_referenced() and (top or symbol.is_global())
        )
        waiting += table.get_children()
    return found - bound


_ANNOTATED = (ast.arg, ast.AnnAssign, ast.FunctionDef, ast.AsyncFunctionDef)


class _WithoutAnnotations(ast.NodeTransformer):
    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(value=None)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)


def _binds_unseen(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name), args=args):
            return name in _BINDING_CALLS or (name in _BINDING_CALLS_WITHOUT_ARGUMENTS and not args)
        case ast.Call(func=ast.Attribute(attr="_convert_")):
            return True
        case ast.ClassDef(decorator_list=decorators):
            return any(isinstance(part, ast.Name) and part.id in _BINDING_DECORATORS for part in decorators)
        case ast.Import(names=names):
            return any(alias.name in _BINDING_MODULES for alias in names)
        case ast.ImportFrom(module=module):
            return module in _BINDING_MODULES
        case ast.Subscript(value=ast.Attribute(value=ast.Name(id="sys"), attr="modules"), slice=which):
            return isinstance(which, ast.Name) or (
                isinstance(which, ast.Constant) and which.value == "__main__"
            )
        case ast.Attribute(attr="push" | "user_ns" | "user_global_ns" | "run_cell" | "ex"):
            return _asks_ipython(node.value)
    return False


def _asks_ipython(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "get_ipython"


def _lines(found: dict[str, set[int]]) -> Lines:
    return {name: tuple(sorted(lines)) for name, lines in found.items()}
