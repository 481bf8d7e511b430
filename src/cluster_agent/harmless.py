"""Text that somebody else wrote, fit for a line of ours: nothing that a terminal or a log would obey. Pure."""

from __future__ import annotations


def harmless(text: str, most: int | None = None) -> str:
    r"""``text`` on one line, with what cannot be printed as it would stand in Python (``\x1b``, ``\u202e``).

    That is control characters, ends of lines, characters that turn the direction of what follows, and halves of
    characters. Of a text longer than ``most`` the rest is left out, and the line says so.
    """
    cut = most is not None and len(text) > most
    shown = text if text.isprintable() else "".join(map(_shown, text[:most] if cut else text))
    return f"{shown[:most]}..." if cut else shown


def _shown(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
