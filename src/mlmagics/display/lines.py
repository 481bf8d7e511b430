"""A job's text as a person sees it: carriage returns folded, colours kept, other escapes gone. Pure."""

from __future__ import annotations

import re

#: a line without an end is cut into pieces of this many characters
MAX_LINE = 2**16

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
# An escape sequence: CSI, OSC and friends up to their end, or ESC and one character.
_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\)|\x1b[ -/]*[0-Z\\^-~]", re.DOTALL
)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)?\Z")
_ERASE = re.compile(r"\x1b\[[0-2]?K")
# Control characters but tab, newline, carriage return, backspace and escape; some terminals obey C1 codes too.
_CONTROLS = re.compile(r"[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]")
_MOVES = re.compile(r"[\r\b]|\x1b\[[0-2]?K")
_TOKEN = re.compile(r"\x1b\[[0-9;:]*m|\x1b\[[0-2]?K|.", re.DOTALL)
#: an unfinished escape longer than this is no escape
_MAX_HELD = 4096


def plain(text: str) -> str:
    """``text`` without any escape sequence and without control characters but newline and tab."""
    return _CONTROLS.sub("", _ESCAPE.sub("", text)).replace("\r", "").replace("\b", "").replace("\x1b", "")


def coloured(text: str) -> str:
    """``text`` with colours as its only escape sequences (erasures of a line are kept for the fold)."""
    if "\x1b" in text:
        text = _ESCAPE.sub(lambda found: found[0] if _kept(found[0]) else "", text)
        text = re.sub(r"\x1b(?!\[)", "", text)
    return _CONTROLS.sub("", text)


def _kept(escape: str) -> bool:
    return bool(_COLOUR.fullmatch(escape) or _ERASE.fullmatch(escape))


class Line:
    """One line of a terminal: what is written after a carriage return overwrites."""

    def __init__(self, style: str = "") -> None:
        self._cells: list[tuple[str, str]] = []
        self._column = 0
        self._start = style
        #: the colours that are on at its end
        self.style = style
        #: whether it was ever overwritten, as progress bars do
        self.volatile = False

    def __len__(self) -> int:
        return len(self._cells)

    def write(self, text: str) -> None:
        """Put ``text``, which has no newline, where the line's column stands."""
        for piece in _TOKEN.findall(text):
            if len(piece) > 1:
                self._escape(piece)
            elif piece == "\r":
                self._column, self.volatile = 0, True
            elif piece == "\b":
                self._column, self.volatile = max(0, self._column - 1), True
            else:
                self._cells[self._column : self._column + 1] = [(piece, self.style)]
                self._column += 1

    def _escape(self, piece: str) -> None:
        if piece.endswith("m"):
            self.style = style_after(self.style, piece)
        elif piece == "\x1b[2K":
            # A terminal leaves the column where it is; programs that erase a line go home as well.
            self._cells, self._column, self.volatile = [], 0, True
        elif piece in ("\x1b[K", "\x1b[0K"):
            del self._cells[self._column :]
            self.volatile = True

    def __str__(self) -> str:
        shown, style = [], self._start
        for character, wanted in [*self._cells, ("", self.style)]:
            if wanted != style:
                shown.append(("\x1b[0m" if style else "") + wanted)
                style = wanted
            shown.append(character)
        return "".join(shown)


def style_after(style: str, text: str) -> str:
    """The colours that are on after ``text`` when ``style`` was on before it."""
    for code in _COLOUR.findall(text):
        style = "" if re.fullmatch(r"\x1b\[[0:;]*m", code) else style + code
    # What was switched on again and again without a reset adds nothing.
    return "".join(dict.fromkeys(_COLOUR.findall(style)))


class Fold:
    """Text that grows, as whole lines plus the line that is still being written."""

    def __init__(self) -> None:
        self._held = ""
        self._style = ""
        self._text = ""
        self._line: Line | None = None

    @property
    def current(self) -> str:
        """The line that has no end yet."""
        return str(self._line) if self._line is not None else self._text

    @property
    def volatile(self) -> bool:
        """Whether the line without an end is one that gets overwritten, as progress bars are."""
        return self._line is not None and self._line.volatile

    def feed(self, text: str) -> list[str]:
        """The lines that ``text`` completes, each with its newline (a cut piece of a huge line has none)."""
        parts = self._whole(self._held + text).split("\n")
        done: list[str] = []
        for part in parts[:-1]:
            self._write(part.removesuffix("\r"), done)
            done.append(self._take() + "\n")
        self._write(parts[-1], done)
        return done

    def finish(self) -> str:
        """The line without an end; the fold is empty afterwards."""
        self._held = ""
        return self._take()

    def _whole(self, text: str) -> str:
        # An escape sequence that is not whole waits for what follows.
        unfinished = _UNFINISHED.search(text)
        keep = unfinished.start() if unfinished else len(text)
        if len(text) - keep > _MAX_HELD:
            keep = len(text)
        self._held = text[keep:]
        return coloured(text[:keep])

    def _take(self) -> str:
        taken = self.current
        if "\x1b" in taken:
            self._style = style_after(self._style, taken) if self._line is None else self._line.style
        self._text, self._line = "", None
        return taken

    def _write(self, part: str, done: list[str]) -> None:
        for start in range(0, max(len(part), 1), MAX_LINE):
            self._put(part[start : start + MAX_LINE])
            if len(self._line if self._line is not None else self._text) >= MAX_LINE:
                done.append(self._take())

    def _put(self, part: str) -> None:
        if self._line is None and not _MOVES.search(part):
            self._text += part
            return
        if self._line is None:
            self._line = Line(self._style)
            self._line.write(self._text)
            self._text = ""
        self._line.write(part)
