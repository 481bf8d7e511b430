"""What compiled code reads: a compiled scope says exactly which of its names are global. Pure."""

from __future__ import annotations

import ast
import dis
import functools
import inspect
from collections.abc import Iterator, Sequence
from types import CodeType

_READS = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")
_STORES = ("STORE_NAME", "STORE_GLOBAL", "DELETE_NAME", "DELETE_GLOBAL")


def compiled(part: ast.Module | ast.Expression) -> CodeType | None:
    """The code of a part of a cell; None where it means nothing by itself."""
    mode = "eval" if isinstance(part, ast.Expression) else "exec"
    try:
        code: CodeType = compile(part, "cell", mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError):
        # such as a break, which is none outside its loop; what is wrong with the whole cell is told when it runs
        return None
    return code


def stored(part: ast.Module) -> set[str]:
    """The names that a part of a cell sets or deletes."""
    code = compiled(part)
    return set(_names(code, _STORES)) if code is not None else set()


def _names(code: CodeType, operations: Sequence[str]) -> Iterator[str]:
    for step in dis.get_instructions(code):
        if step.opname in operations:
            yield str(step.argval)


def reads_of(code: CodeType) -> tuple[set[str], dict[str, set[str]]]:
    """The names that ``code`` reads at once, and those that the bodies of functions in it read when called."""
    reads = set(_names(code, _READS))
    bodies: dict[str, set[str]] = {}
    for inner in _inner(code):
        if inner.co_name == "__annotate__":
            continue
        if inner.co_flags & inspect.CO_OPTIMIZED and not inner.co_name.startswith("<"):
            bodies.setdefault(inner.co_name, set()).update(all_reads(inner))
        else:
            # a class body runs at once; so, as a rule, do lambdas and comprehensions
            more, methods = reads_of(inner)
            reads |= more
            if inner.co_name.startswith("<"):
                bodies.update(methods)
            else:
                bodies.setdefault(inner.co_name, set()).update(*methods.values())
    return reads, bodies


@functools.lru_cache(4096)
def all_reads(code: CodeType) -> frozenset[str]:
    """The names that ``code`` reads, with all functions in it."""
    return frozenset(_names(code, _READS)).union(*(all_reads(inner) for inner in _inner(code)))


def _inner(code: CodeType) -> Iterator[CodeType]:
    return (constant for constant in code.co_consts if isinstance(constant, CodeType))
