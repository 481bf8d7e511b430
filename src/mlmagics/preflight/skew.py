"""Syntax that the Python of a job is too old for. Pure."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator

from mlmagics.preflight.finding import Finding
from mlmagics.preflight.reading import Cell
from mlmagics.preflight.target import Target

_FSTRINGS = (3, 12)
_OLDEST = (3, 7)
_SINCE = re.compile(r"(?:is|are) only supported in Python (3\.\d+) and (?:greater|later)", re.IGNORECASE)


def check_skew(cell: Cell, target: Target) -> Iterator[Finding]:
    """What is said about syntax that is newer than the Python that runs the cell."""
    theirs = target.version
    if theirs is None or not _OLDEST <= theirs < sys.version_info[:2]:
        return
    try:
        ast.parse(cell.text, feature_version=theirs)
    except SyntaxError as error:
        since = _SINCE.search(error.msg)
        yield _finding(
            target,
            error.msg[0].lower() + error.msg[1:],
            since[1] if since else "",
            (error.lineno or 1) + cell.above,
        )
        return
    if cell.plain is not None and theirs < _FSTRINGS <= sys.version_info[:2]:
        line = _newer_fstring(cell.plain)
        if line:
            yield _finding(
                target,
                "such an f-string is only supported in Python 3.12 and greater",
                "3.12",
                line + cell.above,
            )


def _finding(target: Target, what: str, since: str, line: int) -> Finding:
    advice = (
        f"write it in an older way, or choose a runtime with Python {since} (--runtime)"
        if since
        else "write it in an older way"
    )
    return Finding(
        level="error",
        code="python_too_old",
        message=f"{what}, and {target.cluster} runs Python {target.python}: {advice}",
        name=target.python,
        line=line,
    )


def _newer_fstring(text: str) -> int:
    """The line of an f-string that only Python 3.12 understands; 0 without one."""
    start, end = getattr(tokenize, "FSTRING_START", -1), getattr(tokenize, "FSTRING_END", -1)
    open_quotes: list[str] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == end and open_quotes:
                open_quotes.pop()
                continue
            quote = token.string.lstrip("rRbBfFuU")[:3] if token.type in (start, tokenize.STRING) else ""
            quote = quote if quote in ('"""', "'''") else quote[:1]
            if open_quotes and _is_newer(token, quote, open_quotes):
                return token.start[0]
            if token.type == start:
                open_quotes.append(quote)
    except (tokenize.TokenError, SyntaxError):
        return 0
    return 0


def _is_newer(token: tokenize.TokenInfo, quote: str, open_quotes: list[str]) -> bool:
    if token.type == tokenize.COMMENT:
        return True
    if quote:
        return (
            any(
                outer[0] in token.string if len(outer) == 1 else outer in token.string
                for outer in open_quotes
            )
            or "\\" in token.string
        )
    return token.type in (tokenize.NL, tokenize.NEWLINE) and any(len(outer) == 1 for outer in open_quotes)
