"""The line behind a magic's name, taken apart: words, continuation lines, options. Pure."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shlex
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from mlmagics.errors import BadValue

#: Help fits a terminal of 80 columns.
_WIDTH = 80
_LABEL_WIDTH = 24


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """One option of a line as it was written."""

    #: its first long form, such as ``--timeout``
    option: str
    #: None for one without a value
    value: str | None

    @property
    def word(self) -> str:
        """The option and its value in one word, as it may be written again."""
        return self.option if self.value is None else f"{self.option}={self.value}"


class LineParser(argparse.ArgumentParser):
    """An argument parser for magics: never prints, never exits, tells the nearest option.

    Parameters
    ----------
    magic
        How the line begins, such as ``%logs``.
    description
        What it does, in one or two sentences.
    examples
        Whole lines for the end of the help, which is one screen.
    hint
        What to say of an option that is like none of its own.
    """

    def __init__(
        self,
        magic: str,
        description: str,
        *,
        usage: str | None = None,
        examples: Sequence[str] = (),
        hint: str = "",
    ) -> None:
        super().__init__(prog=magic, description=description, usage=usage, add_help=False, allow_abbrev=False)
        self.examples = examples
        self.hint = hint
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

    def actions(self) -> list[argparse.Action]:
        """Everything that it takes, but help."""
        return [
            action for action in self._actions if action.help != argparse.SUPPRESS and action.dest != "help"
        ]

    def options(self) -> dict[str, str]:
        """Every long option with its help."""
        return {
            option: action.help or ""
            for action in self.actions()
            for option in action.option_strings
            if option.startswith("--")
        }

    def option(self, word: str) -> argparse.Action | None:
        """What takes the option that ``word`` is, or begins with before its ``=``."""
        return self._option_string_actions.get(word.partition("=")[0]) if word.startswith("-") else None

    def taken(self, given: Sequence[str]) -> list[Taken]:
        """The options among the words ``given``, which :meth:`read` has accepted, in their order."""
        found, index = [], 0
        while index < len(given):
            action, written = self.option(given[index]), given[index]
            index += 1
            if action is None:
                continue
            value = written.partition("=")[2] if "=" in written else None
            follows = given[index] if index < len(given) else None
            may_follow = action.nargs is None or (action.nargs == "?" and not str(follows).startswith("-"))
            if value is None and follows is not None and may_follow:
                value, index = follows, index + 1
            found.append(Taken(option=long_form(action), value=value))
        return found

    def excluded_by(self, action: argparse.Action) -> list[argparse.Action]:
        """What cannot be given together with ``action``; itself is among them where anything is."""
        groups = [group._group_actions for group in self._mutually_exclusive_groups]  # noqa: SLF001
        return next((group for group in groups if action in group), [])

    @property
    def _help(self) -> str:
        # A cell magic alone in a cell is no cell; the line magic of the same name gives the same help.
        return f"{self.prog.replace('%%', '%', 1)} --help"

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found, in our words."""
        message = re.sub(r"\bargument (-[-\w/]+)", lambda match: _one_form(match[1]), message)
        message = message.removeprefix("argument ")
        message = message.replace("the following arguments are required", "missing")
        raise WrongUse(f"{self.prog}: {message} ({self._help})")

    def _refuse(self, word: str) -> NoReturn:
        if not word.startswith("-") or word == "-":
            raise WrongUse(f"{self.prog}: {word!r} is one word too many ({self._help})")
        option = word.partition("=")[0]
        advice = nearest(option, self.options()) or (f": {self.hint}" if self.hint else "")
        raise WrongUse(f"{self.prog}: unknown option {option}{advice} ({self._help})")

    def format_usage(self) -> str:
        """One line: the words that it takes, and whether there are options."""
        if self.usage is not None:
            return f"usage: {self.usage.replace('%(prog)s', self.prog)}\n"
        taken = [_positional(action) for action in self.actions() if not action.option_strings]
        optional = ["[options]"] if self.options() else []
        return " ".join(["usage:", self.prog, *taken, *optional]) + "\n"

    def format_help(self) -> str:
        """One screen: how it is written, what it does, what it takes, examples."""
        rows = [(_label(action), action.help or "") for action in self.actions()]
        width = min(_LABEL_WIDTH, max((len(label) for label, _ in rows), default=0) + 2)
        lines = [self.format_usage().rstrip(), *textwrap.wrap(self.description or "", _WIDTH), ""]
        for label, told in rows:
            lines += _row(label, told, width)
        if self.examples:
            lines += ["", "Examples:", *(f"  {example}" for example in self.examples)]
        return "\n".join(lines) + "\n"


def _row(label: str, told: str, width: int) -> list[str]:
    first, *more = textwrap.wrap(told, _WIDTH - 2 - width) or [""]
    indent = " " * (width + 2)
    if len(label) >= width:
        return [f"  {label}", *(f"{indent}{line}" for line in (first, *more))]
    return [f"  {label.ljust(width)}{first}".rstrip(), *(f"{indent}{line}" for line in more)]


def _label(action: argparse.Action) -> str:
    if not action.option_strings:
        return str(action.metavar or action.dest)
    value = action.metavar or ("|".join(action.choices) if action.choices else action.dest.upper())
    takes = "" if action.nargs == 0 else f" [{value}]" if action.nargs == "?" else f" {value}"
    return ", ".join(action.option_strings) + takes


def _positional(action: argparse.Action) -> str:
    name = str(action.metavar or ("|".join(action.choices) if action.choices else action.dest))
    return {"?": f"[{name}]", "*": f"[{name} ...]", "+": f"{name} ..."}.get(str(action.nargs), name)


def long_form(action: argparse.Action) -> str:
    """The first long form of an option."""
    return next((form for form in action.option_strings if form.startswith("--")), action.option_strings[0])


def _one_form(forms: str) -> str:
    """Of ``-w/--wait`` or ``--timeout/--time`` the one to tell."""
    return next((form for form in forms.split("/") if form.startswith("--")), forms)


def nearest(word: str, among: Iterable[str]) -> str:
    """``: did you mean X?`` with what is most like ``word``, or nothing."""
    near = difflib.get_close_matches(word, list(among), n=1, cutoff=0.6)
    return f": did you mean {near[0]}?" if near else ""
