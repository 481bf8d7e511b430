"""What has to be written so that a cell shows what a view holds: the difference to what was written before. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlmagics.display.lines import plain
from mlmagics.display.view import Failure, Shown, Text, View

#: lines of a gap's end that are shown when the text goes on after a display
_LAST_LINES = 20


@dataclass(frozen=True)
class Write:
    """Text for the cell's stream."""

    text: str


@dataclass(frozen=True)
class Show:
    """A new display; ``place`` is its number among the view's items."""

    place: int
    shown: Shown


@dataclass(frozen=True)
class Update:
    """A display that was shown before has a new content."""

    place: int
    shown: Shown


@dataclass(frozen=True)
class Clear:
    """All that was written so far is void."""


@dataclass(frozen=True)
class Raised:
    """The exception that ended the job's cell."""

    failure: Failure


Change = Write | Show | Update | Clear | Raised


class Changes:
    """Turns a growing view into writes that never take anything back but by clear and update.

    Parameters
    ----------
    ref
        Names the job in the note about lines that are left out.
    redraw
        Whether a line that is being overwritten is shown in between, by carriage returns. Where nobody looks
        (papermill), only what such a line ends as is written.
    """

    def __init__(self, ref: str, *, redraw: bool) -> None:
        self._ref = ref
        self._redraw = redraw
        self._restart(0)

    def _restart(self, generation: int) -> None:
        self._generation = generation
        self._place = 0
        self._written = 0
        self._partial = ""
        self._shown: dict[int, Shown] = {}

    def since_last(self, view: View) -> Iterator[Change]:
        """All changes since the last call."""
        if view.generation != self._generation:
            self._restart(view.generation)
            yield Clear()
        for place, shown in self._shown.items():
            now = view.items[place]
            if now is not shown and isinstance(now, Shown):
                self._shown[place] = now
                yield Update(place, now)
        while self._place < len(view.items):
            item = view.items[self._place]
            if isinstance(item, Text):
                text = self._text(item, whole=view.done)
                if text:
                    yield Write(text)
                if not item.closed:
                    return
            elif isinstance(item, Shown):
                self._shown[self._place] = item
                yield Show(self._place, item)
            else:
                yield Raised(item)
            self._place += 1
            self._written, self._partial = 0, ""

    def _text(self, item: Text, *, whole: bool) -> str:
        new = "".join(item.head[self._written :])
        self._written = len(item.head)
        if item.closed:
            new += _rest(item, self._ref, whole=whole)
            return self._over_partial(new) if new else ""
        current = "" if item.tail or item.left_out else item.current
        if item.fold.volatile and not self._redraw:
            current = ""
        if not new and current == self._partial:
            return ""
        text = self._over_partial(new + current)
        self._partial = current
        return text

    def _over_partial(self, text: str) -> str:
        """``text``, whose first line takes the place of the unfinished line that was written before."""
        if text.startswith(self._partial):
            return text[len(self._partial) :]
        line, newline, rest = text.partition("\n")
        blank = " " * max(0, len(plain(self._partial)) - len(plain(line)))
        return f"\r{line}{blank}{newline}{rest}"


def _rest(item: Text, ref: str, *, whole: bool) -> str:
    # While the job goes on, each display would bring a tail of its own: a short one will do.
    tail = list(item.tail) if whole else list(item.tail)[-_LAST_LINES:]
    left_out = item.left_out + len(item.tail) - len(tail)
    return (gap_note(left_out, ref) if left_out else "") + "".join(tail)


def gap_note(lines: int, ref: str) -> str:
    """The line that stands for lines left out."""
    return f"... {lines:,} lines left out; all of it: %logs {ref} --save FILE\n"
