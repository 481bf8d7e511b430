"""Where an option of a training cell comes from: the cell, this notebook, this person, or the agent. Pure.

Each level is kept as the words that one would write in a cell (``--gpus=2``), in their order; the nearer level wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlmagics.magics.words import LineParser, Taken, WrongUse, long_form, nearest

#: What a level is called in a table.
NOTEBOOK, PERSON, AGENT = "this notebook", "mlmagics config", "the agent"


@dataclass(frozen=True, kw_only=True, slots=True)
class Default:
    """One option that needs not be written in a cell."""

    taken: Taken
    #: ``this notebook`` or ``mlmagics config``
    origin: str


def over(parser: LineParser, below: Sequence[str], above: Sequence[str]) -> list[str]:
    """The words of both levels, without those of ``below`` that ``above`` decides otherwise."""
    return [taken.word for taken in {**_by_key(parser, below), **_by_key(parser, above)}.values()]


def inherited(parser: LineParser, cell: Sequence[str], defaults: Sequence[str]) -> list[Taken]:
    """What of ``defaults`` holds for a cell with the options ``cell``."""
    decided = _by_key(parser, cell)
    return [taken for key, taken in _by_key(parser, defaults).items() if key not in decided]


def with_origins(parser: LineParser, person: Sequence[str], notebook: Sequence[str]) -> list[Default]:
    """The defaults in force, each with its level."""
    levels = ((PERSON, person), (NOTEBOOK, notebook))
    found = {
        key: Default(taken=taken, origin=origin)
        for origin, words in levels
        for key, taken in _by_key(parser, words).items()
    }
    return [*found.values()]


def without(parser: LineParser, level: Sequence[str], names: Iterable[str], magic: str) -> list[str]:
    """The words of ``level`` but those of the options ``names``, with or without their dashes.

    Raises
    ------
    WrongUse
        When a name is no option; nothing is left out then.
    """
    gone = set()
    for name in names:
        action = parser.option(f"--{name.lstrip('-')}")
        if action is None:
            known = [option.lstrip("-") for option in parser.options()]
            near = nearest(name.lstrip("-"), known)
            raise WrongUse(
                f"{magic} --reset: {name!r} is not an option{near} (choose from {', '.join(known)})"
            )
        gone |= {long_form(other) for other in parser.excluded_by(action) or [action]}
    return [taken.word for taken in parser.taken(level) if taken.option not in gone]


def _by_key(parser: LineParser, words: Sequence[str]) -> dict[str, Taken]:
    return {_key(parser, taken): taken for taken in parser.taken(words)}


def _key(parser: LineParser, taken: Taken) -> str:
    """What two options that decide the same have in common."""
    action = parser.option(taken.option)
    if action is not None and isinstance(action.default, list):
        # one that may be repeated, such as --env: each variable by itself
        return f"{taken.option} {(taken.value or '').partition('=')[0]}"
    excluded = parser.excluded_by(action) if action is not None else []
    return long_form(excluded[0]) if excluded else taken.option
