"""What may stand at the end of a half-written line, by the parser that will read it. Pure."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mlmagics.magics.words import LineParser

#: What a value is, by how help calls it; of others there is nothing to complete.
_KINDS = {
    "JOB": "job",
    "RESULT": "result",
    "NAME": "cluster",
    "PROJECT": "project",
    "RUNTIME": "runtime",
    "S": "state",
    "KEY[=VALUE]": "variable",
    "OPTION": "option",
    "FILE": "file",
    "DIR": "file",
    "F": "file",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """The end of a line: what is typed of a word, and what the word may be."""

    typed: str
    #: ``option job result cluster project runtime state variable file``, or empty
    kinds: tuple[str, ...]
    #: what else it may be
    choices: tuple[str, ...] = ()
    #: words before it that are neither options nor their values
    positional: tuple[str, ...] = ()


def slot_of(parser: LineParser, text: str) -> Slot:
    """The slot at the end of ``text``, the part of a line behind what ``parser`` is for."""
    # quotes may be open here: what stands in them is no word that could be completed
    *before, typed = re.split(r"\s+", text.lstrip())
    taking, positional = _walk(parser, before)
    if taking is not None and not (taking.nargs in ("?", "*") and typed.startswith("-")):
        slot = _value(taking, typed, positional)
        if slot.kinds or slot.choices or taking.nargs is None:
            return slot
    option, equals, value = typed.partition("=")
    if equals and (action := parser.option(option)) is not None:
        return _value(action, value, positional)
    if typed.startswith("-"):
        return Slot(typed=typed, kinds=(), choices=_options(parser, before), positional=positional)
    action = _next_positional(parser, len(positional))
    if action is not None:
        return _value(action, typed, positional)
    return Slot(typed=typed, kinds=(), choices=_options(parser, before), positional=positional)


def _walk(parser: LineParser, before: Sequence[str]) -> tuple[argparse.Action | None, tuple[str, ...]]:
    """The option that the next word is a value of, and the words that are no part of an option."""
    taking: argparse.Action | None = None
    positional = []
    for word in before:
        action = parser.option(word)
        if action is not None:
            taking = None if "=" in word or action.nargs == 0 else action
        elif taking is not None:
            taking = taking if taking.nargs == "*" else None
        elif not word.startswith("-"):
            positional.append(word)
    return taking, tuple(positional)


def _next_positional(parser: LineParser, given: int) -> argparse.Action | None:
    actions = [action for action in parser.actions() if not action.option_strings]
    for action in actions:
        if given == 0 or action.nargs in ("*", "+"):
            return action
        given -= 1
    return None


def _value(action: argparse.Action, typed: str, positional: tuple[str, ...]) -> Slot:
    kind = _KINDS.get(str(action.metavar), "")
    # a list is written with commas
    last = typed.rpartition(",")[2] if kind == "state" else typed
    return Slot(
        typed=last,
        kinds=(kind,) if kind else (),
        choices=tuple(map(str, action.choices or ())),
        positional=positional,
    )


def _options(parser: LineParser, before: Sequence[str]) -> tuple[str, ...]:
    """The long options that may still come."""
    gone: list[argparse.Action] = []
    for word in before:
        action = parser.option(word)
        if action is not None and not isinstance(action.default, list):
            gone += [action, *parser.excluded_by(action)]
    return tuple(
        form
        for action in parser.actions()
        if action not in gone
        for form in action.option_strings
        if form.startswith("--")
    )
