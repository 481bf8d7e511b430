"""A job's text as a person sees it: carriage returns folded, colours kept, other escapes gone. Pure.

Jobs may print gigabytes, so text that holds nothing special passes in blocks of many lines, and only what
needs a closer look is taken apart.
"""

from __future__ import annotations

import re
from itertools import groupby

from mlmagics.display.escapes import ERASE, coloured, style_after, styled, unfinished
from mlmagics.display.escapes import plain as plain

#: a line without an end is cut into pieces of this many characters
MAX_LINE = 2**16

_TOKEN = re.compile(r"\x1b\[[0-9;:]{0,64}m|\x1b\[[0-2]?K|[\r\b]|[^\x1b\r\b]+")


class Line:
    """One line of a terminal: what is written after a carriage return overwrites."""

    def __init__(self, style: str = "") -> None:
        self._characters: list[str] = []
        self._styles: list[str] = []
        self._column = 0
        self._start = style
        #: the colours that are on at its end
        self.style = style
        #: whether it was ever overwritten, as progress bars do
        self.volatile = False

    def __len__(self) -> int:
        return len(self._characters)

    def write(self, text: str) -> None:
        """Put ``text``, which has no newline, where the line's column stands."""
        for piece in _TOKEN.findall(_without_overwritten(text)):
            if piece[0] == "\x1b":
                self._escape(piece)
            elif piece == "\r":
                self._column, self.volatile = 0, True
            elif piece == "\b":
                self._column, self.volatile = max(0, self._column - 1), True
            else:
                end = self._column + len(piece)
                self._characters[self._column : end] = piece
                self._styles[self._column : end] = [self.style] * len(piece)
                self._column = end

    def _escape(self, piece: str) -> None:
        if piece[-1] == "m":
            self.style = styled(self.style, piece)
        elif piece == "\x1b[2K":
            # A terminal leaves the column where it is; programs that erase a line go home as well.
            self._characters, self._styles = [], []
            self._column, self.volatile = 0, True
        elif piece in ("\x1b[K", "\x1b[0K"):
            del self._characters[self._column :]
            del self._styles[self._column :]
            self.volatile = True

    def __str__(self) -> str:
        shown, style, start = [], self._start, 0
        for wanted, run in groupby([*self._styles, self.style]):
            if wanted != style:
                shown.append(("\x1b[0m" if style else "") + wanted)
                style = wanted
            end = start + len(list(run))
            shown.append("".join(self._characters[start:end]))
            start = end
        return "".join(shown)


def _only_returns(line: str) -> bool:
    return "\x1b" not in line and "\b" not in line


def _overlaid(line: str) -> str:
    """What is left of a whole line in which nothing but carriage returns goes back."""
    shown = ""
    for state in reversed(line.split("\r")):
        if len(state) > len(shown):
            shown += state[len(shown) :]
    return shown


def _without_overwritten(text: str) -> str:
    """``text`` without what later parts of it overwrite; floods of a bar's states come down to the last one."""
    if "\r" not in text or not _only_returns(text):
        return text
    first, *states = text.split("\r")
    kept: list[str] = []
    longest = -1
    for state in reversed(states):
        if len(state) > longest:
            kept.append(state)
            longest = len(state)
    return "\r".join([first, *reversed(kept)])


class Fold:
    """Text that grows, as finished blocks plus the line that is still being written."""

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
        return self._held.startswith("\r") or (self._line is not None and self._line.volatile)

    def feed(self, text: str) -> list[str]:
        """What ``text`` completes: blocks of whole lines, and pieces of a huge line, which have no newline.

        However the same text is cut into calls, lines and pieces are the same.
        """
        if self._held:
            text, self._held = self._held + text, ""
        if "\x1b" in text:
            end = unfinished(text)
            text, self._held = text[:end], text[end:]
        text = coloured(text)
        if "\r" in text:
            if text[-1] == "\r":
                # it may be half of a line's end
                text, self._held = text[:-1], "\r" + self._held
            text = text.replace("\r\n", "\n")
        done: list[str] = []
        if self._line is not None:
            # only the line that is taken apart already is, not what follows it
            end = text.find("\n") + 1 or len(text)
            done, text = self._add_moving(text[:end]), text[end:]
        return done + (self._add_moving(text) if _moves(text) else self._add(text))

    def finish(self) -> str:
        """The line without an end; the fold is empty afterwards."""
        self._held = ""
        return self._take()

    def _add(self, text: str) -> list[str]:
        end = text.rfind("\n") + 1
        if not end:
            self._text += text
        else:
            lines, self._text = self._text + text[:end], text[end:]
            self._style = style_after(self._style, lines)
        done = _blocks(lines) if end else []
        while len(self._text) > MAX_LINE:
            done.append(self._text[:MAX_LINE])
            self._text = self._text[MAX_LINE:]
            self._style = style_after(self._style, done[-1])
        return done

    def _add_moving(self, text: str) -> list[str]:
        done: list[str] = []
        whole: list[str] = []
        parts = text.split("\n")
        for number, part in enumerate(parts):
            if number:
                whole.append(self._take() + "\n")
            if self._line is None and not _moves(part):
                self._text += part
                continue
            if self._line is None and number < len(parts) - 1 and _only_returns(self._text + part):
                self._text = _overlaid(self._text + part)
                continue
            if self._line is None:
                self._line = Line(self._style)
                self._line.write(self._text)
                self._text = ""
            self._line.write(part)
            if len(self._line) > MAX_LINE:
                done += [*_blocks("".join(whole)), self._take()]
                whole = []
        return [*done, *_blocks("".join(whole))]

    def _take(self) -> str:
        taken = self.current
        self._style = style_after(self._style, taken) if self._line is None else self._line.style
        self._text, self._line = "", None
        return taken


def _moves(text: str) -> bool:
    """Whether anything in ``text`` goes back on its line."""
    return "\r" in text or "\b" in text or ("\x1b" in text and ERASE.search(text) is not None)


def _blocks(lines: str) -> list[str]:
    """``lines``, whole ones, in blocks; those that are too long in pieces of their own."""
    done, start, position = [], 0, 0
    while len(lines) - position > MAX_LINE:
        end = lines.rfind("\n", position, position + MAX_LINE + 1) + 1
        if end:
            position = end
            continue
        if position > start:
            done.append(lines[start:position])
        start = position + MAX_LINE
        done.append(lines[position:start])
        position = start
    return [*done, lines[start:]] if start < len(lines) else done
