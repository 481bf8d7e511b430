"""Runs a cell: plain Python by itself, whatever needs IPython's syntax in an IPython shell."""

from __future__ import annotations

import builtins
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any, Optional, Tuple

    from mlmagics_job.state import Job

    #: the statements, and the last expression when it is to be shown
    Codes = Tuple[CodeType, Optional[CodeType]]

_COROUTINE = 0x80  # inspect.CO_COROUTINE; inspect itself is slow to import
_AWAIT = 0x2000  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def run(job: Job) -> int:
    """Run the job's cell and report how it failed, if it did; return its exit code.

    Raises
    ------
    SystemExit
        When the cell ends itself so.
    """
    try:
        _prepare(job)
        codes = None if _is_command(job.source) else _split_by_line(job) or _split_by_tree(job)
        if codes is None:
            return _run_in_shell(job)
        if any("get_ipython" in text for text in job.texts.values()):
            _offer_get_ipython(job)
        return _run_plain(job, codes)
    except SystemExit:
        raise
    except BaseException as error:
        return _failed(job, error)


def _prepare(job: Job) -> None:
    """Have in ``__main__`` what came with the cell."""
    space = job.main.__dict__
    if job.has_inputs:
        from mlmagics_job import inputs

        inputs.take(job)
    job.given = {name: id(value) for name, value in space.items()}


def _failed(job: Job, error: BaseException) -> int:
    from mlmagics_job import errors

    try:
        errors.report(job, error)
    except KeyboardInterrupt:
        return 130
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def _split_by_line(job: Job) -> Codes | None:
    """The code, when the last line is an expression by itself: without trees, which take 1 ms to get ready."""
    head, newline, tail = job.source.rstrip().rpartition("\n")
    try:
        # In this order: what this warns of shall not be said twice when it is no expression.
        last = _compile("\n" * (head + newline).count("\n") + tail, job, "eval")
        return _compile(head + newline, job, "exec"), last
    except (SyntaxError, ValueError):
        return None


def _split_by_tree(job: Job) -> Codes | None:
    """The code; None when only IPython may understand it."""
    import _ast

    try:
        tree: Any = compile(job.source, job.filename, "exec", _AWAIT | _ast.PyCF_ONLY_AST, dont_inherit=True)
    except SyntaxError:
        if looks_like_ipython(job.source):
            return None
        raise
    if tree.body and isinstance(tree.body[-1], _ast.Expr) and not is_muted(job.source, tree.body[-1]):
        last = _ast.Expression(tree.body.pop().value)
        return _compile(tree, job, "exec"), _compile(last, job, "eval")
    return _compile(tree, job, "exec"), None


def _compile(part: Any, job: Job, mode: str) -> CodeType:
    code: CodeType = compile(part, job.filename, mode, _AWAIT, dont_inherit=True)
    return code


def looks_like_ipython(source: str) -> bool:
    """Whether a cell that is no Python has a line that IPython would know, or is one command such as ``pip list``."""
    lines = [line.strip() for line in source.splitlines()]
    if any(line.startswith(("%", "!", "?")) or line.endswith("?") or _assigns(line) for line in lines):
        return True
    word, _, rest = source.strip().partition(" ")
    return "\n" not in rest and _is_name(word) and rest.lstrip()[:1] not in "=([{.,:;+*/<>|&^%@"


def _is_name(word: str) -> bool:
    import keyword

    return word.isidentifier() and not keyword.iskeyword(word)


def _assigns(line: str) -> bool:
    _, equals, value = line.partition("=")
    return bool(equals) and value.lstrip().startswith(("!", "%"))


def _is_command(source: str) -> bool:
    """Whether the cell is one word that means nothing in Python but something in IPython, such as ``ls``."""
    word = source.strip()
    if not _is_name(word) or hasattr(builtins, word):
        return False
    from importlib.util import find_spec

    return find_spec("IPython") is not None


def _run_in_shell(job: Job) -> int:
    shell = job.shell()
    if shell is None:
        from mlmagics_job import errors

        errors.send(job, "ModuleNotFoundError", *_no_ipython(job.source))
        return 1
    failure = shell.run(job.source)
    if isinstance(failure, SystemExit):
        raise failure
    if failure is None:
        return 0
    return 130 if isinstance(failure, KeyboardInterrupt) else 1


def _no_ipython(source: str) -> tuple[str, list[str]]:
    line = next((line for line in source.splitlines() if looks_like_ipython(line)), source)
    text = (
        "%r is IPython syntax, and the Python of this job has no IPython that works: "
        "install it there (%s -m pip install ipython), or write the cell in plain Python"
    ) % (line.strip(), sys.executable)
    return text, ["ModuleNotFoundError: " + text]


def _offer_get_ipython(job: Job) -> None:
    def get_ipython() -> Any:
        shell = job.shell()
        if shell is None:
            raise NameError("name 'get_ipython' is not defined: the Python of this job has no IPython")
        return shell

    builtins.get_ipython = get_ipython  # type: ignore[attr-defined]


def _run_plain(job: Job, codes: Codes) -> int:
    sys.displayhook = _show_result
    space = job.main.__dict__
    if any(code is not None and code.co_flags & _COROUTINE for code in codes):
        import asyncio

        asyncio.run(_await_all(codes, space))
    else:
        statements, last = codes
        exec(statements, space)  # noqa: S102
        if last is not None:
            sys.displayhook(eval(last, space))  # noqa: S307
    if job.has_shell:
        # What waits for the end of a cell, such as the figures of %matplotlib inline.
        job.shell().events.trigger("post_execute")
        return 1 if job.shell().failure else 0
    return 0


async def _await_all(codes: Codes, space: dict[str, Any]) -> None:
    value = None
    for code in codes:
        if code is not None:
            value = eval(code, space)  # noqa: S307
            if code.co_flags & _COROUTINE:
                value = await value
    if codes[1] is not None:
        sys.displayhook(value)


def _show_result(value: object) -> None:
    from mlmagics_job import display

    display.show_result(value)


def is_muted(source: str, last: Any) -> bool:
    """Whether a semicolon follows the last expression, which means: do not show it."""
    lines = source.splitlines()[last.end_lineno - 1 :]
    rest = [lines[0].encode("utf-8")[last.end_col_offset :].decode("utf-8"), *lines[1:]] if lines else []
    bare = "".join(line.partition("#")[0] for line in rest)
    return bare.lstrip(" \t\f)\\").startswith(";")
