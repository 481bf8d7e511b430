"""What can be told about a cell before anything is sent: that it is empty, too large, or not Python. Pure.

IPython's own syntax is allowed (``%time``, ``!ls``, top-level ``await``): the cell is translated by IPython's
rules first, as the kit does where the job's environment has IPython.
"""

from __future__ import annotations

import ast
import itertools
import warnings

from cluster_agent.protocol import MAX_SOURCE_BYTES
from cluster_agent.units import format_size
from mlmagics.errors import BadCell


def check_source(source: str, *, syntax: bool = True, what: str = "the cell") -> None:
    """Nothing, when the cell can be sent.

    Parameters
    ----------
    source
        The cell without its first magic line.
    syntax
        Whether to look at the syntax too; not where the job's Python is newer than this one.
    what
        What people call the source.

    Raises
    ------
    BadCell
        With the reason; for a syntax error with line and caret as Python shows them.
    """
    if not source.strip():
        advice = ": write the code for the job below its first line" if what == "the cell" else ""
        raise BadCell(f"{what} is empty{advice}", field="source")
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:
        raise BadCell(
            f"{what} has a character that is not valid Unicode (position {error.start})", field="source"
        ) from None
    if size > MAX_SOURCE_BYTES:
        raise BadCell(
            f"{what} has {format_size(size)}, the limit is {format_size(MAX_SOURCE_BYTES)}: "
            "put data into a file under project:// and read it there",
            field="source",
        )
    if syntax:
        _check_syntax(source, what)


def newer_python(theirs: str, ours: tuple[int, int]) -> bool:
    """Whether the version ``theirs`` (such as ``3.13.1``) may know syntax that ``ours`` does not."""
    numbers = theirs.split(".")
    if len(numbers) < 2 or not all(number.isdigit() for number in numbers[:2]):
        return False
    return (int(numbers[0]), int(numbers[1])) > ours


def _check_syntax(source: str, what: str) -> None:
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        with warnings.catch_warnings():
            # an invalid escape is the job's to warn about
            warnings.simplefilter("ignore")
            translated = TransformerManager().transform_cell(source)
            compile(translated, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except SyntaxError as error:
        raise BadCell(_as_python_shows_it(error, source, what), field="source") from None
    except (ValueError, OverflowError, RecursionError, MemoryError) as error:
        # null bytes and nesting without end; Python has no line for these
        raise BadCell(f"{what} is not Python: {error or type(error).__name__}", field="source") from None


def _as_python_shows_it(error: SyntaxError, source: str, what: str) -> str:
    kind = "syntax error" if type(error) is SyntaxError else type(error).__name__
    text = (error.text or "").rstrip("\n")
    place, line = _original_line(source, error.lineno or 1, text)
    first = f"{kind} in line {place} of {what}, nothing was sent: {error.msg}"
    if not line.strip():
        return first
    shown = line.lstrip()
    lines = [first, f"    {shown}"]
    # the caret can be told only where translation has left the line alone
    if error.offset and shown == text.lstrip():
        column = error.offset - 1 - (len(text) - len(text.lstrip()))
        end = error.end_offset if getattr(error, "end_lineno", None) == error.lineno else None
        width = max(1, (end or error.offset + 1) - error.offset)
        lines.append(f"    {' ' * max(0, column)}{'^' * min(width, max(1, len(shown) - column))}")
    return "\n".join(lines)


def _original_line(source: str, number: int, text: str) -> tuple[int, str]:
    """Number and text in ``source`` of what Python calls line ``number``: translation drops leading blank lines."""
    lines = source.split("\n")
    blank = sum(1 for _ in itertools.takewhile(lambda line: not line.strip(), lines))
    start = min(blank + number, len(lines))
    for index in range(start, len(lines) + 1):
        if lines[index - 1].strip() == text.strip():
            return index, lines[index - 1]
    return start, lines[start - 1]
