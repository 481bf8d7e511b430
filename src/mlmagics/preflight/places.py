"""Where things stand in the tree of a cell: under which conditions they run, and what stands around them. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_TRY: tuple[type[ast.Try], ...] = (ast.Try, getattr(ast, "TryStar", ast.Try))
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_MAYBE = (ast.If, ast.IfExp, ast.While, *_TRY, ast.BoolOp, ast.Match, *FUNCTIONS)
_SUPPRESSING = frozenset({"suppress", "raises", "assertRaises", "assertRaisesRegex"})
#: exceptions that a handler for the key catches too
NAME_ERRORS = frozenset({"NameError", "UnboundLocalError", "Exception", "BaseException"})
IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
FILE_ERRORS = frozenset(
    {"FileNotFoundError", "OSError", "IOError", "EnvironmentError", "Exception", "BaseException"}
)


class Places:
    """The nodes of a tree, and what is around each of them."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.nodes: list[ast.AST] = list(ast.walk(tree))
        self._parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}
        self._names = {
            (node.id, node.lineno, node.col_offset): node for node in self.nodes if isinstance(node, ast.Name)
        }

    def use(self, name: str, line: int, column: int) -> ast.Name | None:
        """The node of a use of ``name``."""
        return self._names.get((name, line, column))

    def around(self, node: ast.AST | None) -> Iterator[tuple[ast.AST, ast.AST]]:
        """What ``node`` stands in, from the inside out, each with the part of it that leads to ``node``."""
        while node is not None and node in self._parents:
            yield self._parents[node], node
            node = self._parents[node]

    def statement(self, node: ast.AST) -> ast.AST:
        """The statement of the cell itself that ``node`` is a part of."""
        for outer, inside in self.around(node):
            if outer is self.tree:
                return inside
        return node

    def guarded(self, node: ast.AST | None, errors: frozenset[str] = NAME_ERRORS) -> bool:
        """Whether a failure of ``node`` with one of ``errors`` may be meant."""
        for outer, inside in self.around(node):
            if _handles(outer, inside, errors):
                return True
            match outer:
                case ast.With(items=items) if any(_suppresses(item.context_expr) for item in items):
                    return True
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                    return False
        return False

    def conditional(self, node: ast.AST | None) -> bool:
        """Whether a condition decides if ``node`` runs, or if the function around it is made."""
        for outer, inside in self.around(node):
            match outer:
                case ast.If(test=test) | ast.IfExp(test=test) if inside is not test:
                    return True
                case ast.BoolOp(values=values) if inside is not values[0]:
                    return True
                case ast.ExceptHandler() | ast.match_case():
                    return True
        return False

    def deferred(self, node: ast.AST | None) -> bool:
        """Whether ``node`` runs only when somebody calls the function around it."""
        return any(
            isinstance(outer, FUNCTIONS) and inside in _body(outer) for outer, inside in self.around(node)
        )

    def sure(self, use: ast.AST | None, name: str) -> bool:
        """Whether ``use`` runs whenever the cell does, before any line of a loop around it could bind ``name``."""
        if use is None:
            return False
        for outer, inside in self.around(use):
            if isinstance(outer, _MAYBE):
                return False
            looped = isinstance(outer, _LOOPS) and inside is not getattr(outer, "iter", None)
            if looped and any(_is_binding(part, name) for part in ast.walk(outer) if part is not use):
                return False
        return True


def binds(node: ast.AST) -> Iterator[str]:
    """The names that ``node`` itself binds or deletes."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Import(names=names):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in names)
        case ast.ImportFrom(names=names):
            yield from (alias.asname or alias.name for alias in names)
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name


def bound_in(tree: ast.Module) -> Iterator[str]:
    """The names that a cell binds or deletes as its own variables, wherever it does."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield from binds(node)
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            yield from (
                name for part in ast.walk(node) if isinstance(part, ast.Global) for name in part.names
            )
            # what runs now is outside of the body: decorators, defaults, bases
            waiting += [part for part in ast.iter_child_nodes(node) if not isinstance(part, ast.stmt)]
        elif isinstance(node, COMPREHENSIONS):
            yield from (part.target.id for part in ast.walk(node) if isinstance(part, ast.NamedExpr))
        elif not (isinstance(node, ast.AnnAssign) and node.value is None):
            waiting += ast.iter_child_nodes(node)


def _body(function: ast.AST) -> list[ast.AST]:
    if isinstance(function, ast.Lambda):
        return [function.body]
    return list(getattr(function, "body", ()))


def _is_binding(node: ast.AST, name: str) -> bool:
    return not (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Del)) and name in binds(node)


def _handles(outer: ast.AST, inside: ast.AST, errors: frozenset[str]) -> bool:
    if not isinstance(outer, _TRY) or inside not in outer.body:
        return False
    return any(_catches(handler.type, errors) for handler in outer.handlers)


def _catches(caught: ast.expr | None, errors: frozenset[str]) -> bool:
    match caught:
        case None:
            return True
        case ast.Tuple(elts=kinds):
            return any(_catches(kind, errors) for kind in kinds)
        case ast.Name(id=name):
            return name in errors
    return False


def _suppresses(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in _SUPPRESSING
