"""Escape sequences in a job's text: which are kept, and what becomes of the others. Pure.

Colours are kept. Everything else that a terminal would obey goes: titles, links, the clipboard, moves of the
cursor. Text that holds nothing special passes quickly, as jobs may print gigabytes.
"""

from __future__ import annotations

import re
from functools import lru_cache

# Colours need no more; longer ones would only fill the memory.
COLOUR = re.compile(r"\x1b\[[0-9;:]{0,64}m")
_RESET = re.compile(r"\x1b\[[0:;]*m")
# An escape sequence: CSI, then OSC and its like up to their end but never over a line's end, so that lines stay
# lines, then ESC and one character; at last an ESC that begins nothing.
_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-Z\\^-~]|\x1b"
)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\n]*\x1b?|[ -/]*)?")
ERASE = re.compile(r"\x1b\[[0-2]?K")
# Control characters but tab, newline, carriage return, backspace and escape; some terminals obey C1 codes too.
_CONTROLS = re.compile(r"[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]")
_CONTROL_BYTES = bytes(code for code in [*range(32), 127] if code not in b"\t\n\r\b\x1b")
# Characters that turn the direction of what follows; in names of ours they can only mislead.
_TURNS = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
#: an unfinished escape longer than this is no escape
_MAX_HELD = 4096
#: Codes without a reset between them that are remembered.
_MAX_CODES = 16


def plain(text: str) -> str:
    """``text`` without any escape sequence and without control characters but newline and tab."""
    if "\x1b" in text:
        text = _ESCAPE.sub("", text)
    return _without_controls(text).replace("\r", "").replace("\b", "")


def one_line(text: str) -> str:
    """``text`` fit for a line of ours: plain, on one line, in the direction in which it is written."""
    return _TURNS.sub("", plain(text)).replace("\n", " ").replace("\t", " ")


def coloured(text: str) -> str:
    """``text`` with colours as its only escape sequences (erasures of a line are kept for the fold)."""
    if "\x1b" in text and len(COLOUR.findall(text)) != text.count("\x1b"):
        text = _ESCAPE.sub(lambda found: found[0] if _kept(found[0]) else "", text)
    return _without_controls(text)


def shown_text(text: str) -> str:
    """``text`` that is no part of a stream, such as a traceback: with colours as its only escape sequences."""
    return ERASE.sub("", coloured(text)).replace("\r", "").replace("\b", "")


def _kept(escape: str) -> bool:
    return bool(COLOUR.fullmatch(escape) or ERASE.fullmatch(escape))


def _without_controls(text: str) -> str:
    # Deleting from bytes is several times faster than a regular expression's look at each character.
    data = text.encode("utf-8", "surrogatepass")
    if len(data.translate(None, _CONTROL_BYTES)) == len(data) and (text.isascii() or b"\xc2" not in data):
        return text
    return _CONTROLS.sub("", text)


def style_after(style: str, text: str) -> str:
    """The colours that are on after ``text`` when ``style`` was on before it."""
    if "\x1b" not in text:
        return style
    reset = max(text.rfind("\x1b[0m"), text.rfind("\x1b[m"))
    if reset >= 0:
        style, text = "", text[reset:]
    for code in COLOUR.findall(text):
        style = styled(style, code)
    return style


@lru_cache(4096)
def styled(style: str, code: str) -> str:
    if _RESET.fullmatch(code):
        return ""
    # What was switched on again adds nothing; what was on long ago has been replaced since.
    codes = dict.fromkeys([code, *reversed(COLOUR.findall(style))])
    return "".join(reversed(list(codes)[:_MAX_CODES]))


def unfinished(text: str) -> int:
    """Where an escape sequence begins at the end of ``text`` that waits for what follows; its length if none does."""
    start = text.rfind("\x1b", max(0, len(text) - _MAX_HELD))
    if start == len(text) - 1:
        # it may be the first half of what ends another one
        before = text.rfind("\x1b", max(0, start - _MAX_HELD), start)
        start = before if before >= 0 and _UNFINISHED.fullmatch(text, before) else start
    return start if start >= 0 and _UNFINISHED.fullmatch(text, start) else len(text)


class Cleaner:
    """Makes a stream of text fit for a terminal, with colours, or for a file, without."""

    def __init__(self, *, colours: bool) -> None:
        self._clean = coloured if colours else _bare
        self._held = ""

    def feed(self, text: str) -> str:
        """``text`` with carriage returns and, where wanted, colours as all that a terminal obeys."""
        text = self._held + text
        end = unfinished(text)
        self._held = text[end:]
        return self._clean(text[:end])


def _bare(text: str) -> str:
    return _without_controls(_ESCAPE.sub("", text) if "\x1b" in text else text)
