"""The line behind a magic's name, taken apart: words, continuation lines, options. Pure."""

from __future__ import annotations

import argparse
import difflib
import os
import shlex
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from mlmagics.errors import BadValue


class WrongUse(BadValue):
    """A magic's line cannot be understood."""

    code = "wrong_use"


class HelpAskedFor(Exception):
    """``--help`` was among the options."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def joined(line: str, body: str) -> tuple[str, str]:
    r"""The magic's line with the lines that continue it by a ``\`` at their end, and the body without them."""
    while line.rstrip().endswith("\\"):
        following, _, body = body.partition("\n")
        line = f"{line.rstrip()[:-1]} {following}"
    return line.strip(), body


def words(line: str, *, windows: bool = os.name == "nt") -> list[str]:
    """``line`` in words; quotes keep blanks together.

    Raises
    ------
    WrongUse
        When a quote is not closed.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    if windows:
        # there, backslashes are in every path
        lexer.escape = ""
    try:
        return list(lexer)
    except ValueError as error:
        raise WrongUse(f"cannot read {line.strip()!r}: {str(error).lower()}") from None


class LineParser(argparse.ArgumentParser):
    """An argument parser for magics: never prints, never exits, tells the nearest option."""

    def __init__(self, magic: str, description: str, *, usage: str | None = None) -> None:
        super().__init__(
            prog=magic, description=description, usage=usage, add_help=False, allow_abbrev=False,
            formatter_class=_Formatter,
        )  # fmt: skip
        # a help with colours would be a help with escapes in a notebook; the attribute is new in Python 3.14
        self.color = False
        self.add_argument("-h", "--help", action="store_true", help="show this help")

    def read(self, line: str | Sequence[str]) -> argparse.Namespace:
        """The options in ``line``.

        Raises
        ------
        HelpAskedFor
            With the text to show.
        WrongUse
            With one line that says what is wrong.
        """
        given = words(line) if isinstance(line, str) else list(line)
        if any(word in ("-h", "--help") for word in given):
            raise HelpAskedFor(self.format_help())
        found, rest = self.parse_known_args(given)
        if rest:
            self._refuse(rest[0])
        return found

    def options(self) -> dict[str, str]:
        """Every long option with its help, for completion."""
        return {
            option: action.help or ""
            for action in self._actions
            if action.help != argparse.SUPPRESS
            for option in action.option_strings
            if option.startswith("--")
        }

    @property
    def _help(self) -> str:
        # A cell magic alone in a cell is no cell; the line magic of the same name gives the same help.
        return f"{self.prog.replace('%%', '%', 1)} --help"

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found, in our words."""
        message = message.removeprefix("argument ")
        message = message.replace("the following arguments are required", "missing")
        raise WrongUse(f"{self.prog}: {message} ({self._help})")

    def _refuse(self, word: str) -> NoReturn:
        if not word.startswith("-") or word == "-":
            raise WrongUse(f"{self.prog}: {word!r} is one word too many ({self._help})")
        option = word.partition("=")[0]
        raise WrongUse(
            f"{self.prog}: unknown option {option}{nearest(option, self.options())} ({self._help})"
        )


class _Formatter(argparse.HelpFormatter):
    def __init__(self, prog: str, **_settings: Any) -> None:
        super().__init__(prog, max_help_position=26, width=100)


def nearest(word: str, among: Iterable[str]) -> str:
    """``: did you mean X?`` with what is most like ``word``, or nothing."""
    near = difflib.get_close_matches(word, list(among), n=1, cutoff=0.6)
    return f": did you mean {near[0]}?" if near else ""
