"""What has to be written so that a cell shows what a view holds: the difference to what was written before. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlmagics.display.clock import clock
from mlmagics.display.escapes import plain
from mlmagics.display.text import Text
from mlmagics.display.view import Failure, Shown, View


@dataclass(frozen=True)
class Write:
    """Text for one of the cell's streams."""

    text: str
    stream: str = "stdout"


@dataclass(frozen=True)
class Rest:
    """What of a text is beyond the first part: how much is left out, and its end.

    As long as it is not ``final`` it changes with the job; ``place`` is the text's number among the view's items.
    ``note`` is a line that tells what is left out; empty when nothing is.
    """

    place: int
    note: str
    text: str
    final: bool


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


Change = Write | Rest | Show | Update | Clear | Raised

#: of a text that goes on, so many last lines are shown meanwhile
_LIVE_LINES = 10
_LIVE_CHARS = 300


class Changes:
    """Turns a growing view into writes that never take anything back but by clear and update.

    Parameters
    ----------
    ref
        Names the job in the note about lines that are left out.
    redraw
        Whether a line that has no end yet is shown, and overwritten by carriage returns as it grows. Where
        nobody looks (papermill), only what such a line ends as is written.
    """

    def __init__(self, ref: str, *, redraw: bool) -> None:
        self._ref = ref
        self._redraw = redraw
        self._generation = 0
        self._restart()

    def _restart(self) -> None:
        self._place = 0
        self._written = 0
        self._partial = ""
        self._shown: dict[int, Shown] = {}
        #: something else than displays was written
        self._mixed = False

    def since_last(self, view: View) -> Iterator[Change]:
        """All changes since the last call. Whoever stops in between gets the others the next time."""
        if view.generation != self._generation:
            self._generation = view.generation
            yield from self._cleared(view)
        # In turns, so that a flood of one kind does not keep the other from being seen.
        waiting = [self._items(view), self._updates(view)]
        while waiting:
            changes = waiting.pop(0)
            change = next(changes, None)
            if change is not None:
                waiting.append(changes)
                self._mixed = self._mixed or not isinstance(change, Show | Update)
                yield change

    def _cleared(self, view: View) -> Iterator[Change]:
        """A clear, but where new displays take the places of the old ones, as the frames of a film do."""
        old, new = len(self._shown), view.items
        if not self._mixed and len(new) >= old and all(isinstance(item, Shown) for item in new[:old]):
            return
        self._restart()
        yield Clear()

    def _updates(self, view: View) -> Iterator[Change]:
        for place, shown in list(self._shown.items()):
            now = view.items[place]
            if now is not shown and isinstance(now, Shown):
                # to the end of the line: the next call begins with others
                del self._shown[place]
                self._shown[place] = now
                yield Update(place, now)

    def _items(self, view: View) -> Iterator[Change]:
        while self._place < len(view.items):
            place, item = self._place, view.items[self._place]
            if isinstance(item, Text):
                yield from self._text(place, item)
                if not item.closed:
                    return
                if self._place != place:
                    continue
            self._place, self._written, self._partial = place + 1, 0, ""
            if isinstance(item, Shown):
                self._shown[place] = item
                yield Show(place, item)
            elif not isinstance(item, Text):
                yield Raised(item)

    def _text(self, place: int, item: Text) -> Iterator[Change]:
        new = "".join(item.head[self._written :])
        current = item.current if self._redraw and not item.overflows else ""
        if new or current != self._partial:
            text = self._over_partial(new + current)
            self._written, self._partial = len(item.head), current
            if text:
                yield Write(text, item.stream)
        if item.overflows:
            if item.closed:
                self._place, self._written, self._partial = place + 1, 0, ""
            yield _rest(place, item, self._ref)

    def _over_partial(self, text: str) -> str:
        """``text``, whose first line takes the place of the unfinished line that was written before."""
        if text.startswith(self._partial):
            return text[len(self._partial) :]
        line, newline, rest = text.partition("\n")
        blank = " " * max(0, len(plain(self._partial)) - len(plain(line)))
        home = "" if text else "\r"
        return f"\r{line}{blank}{home}{newline}{rest}"


def _rest(place: int, item: Text, ref: str) -> Rest:
    if item.closed:
        return Rest(place, gap_note(item.left_out, ref, item.left_out_bytes), "".join(item.tail), final=True)
    last = [line[:_LIVE_CHARS] for line in item.last_lines(min(_LIVE_LINES, item.lines_beyond + 1))]
    beyond = "1 more line" if item.lines_beyond == 1 else f"{item.lines_beyond:,} more lines"
    note = f"... {beyond}, as of {clock()}; the last of it:\n"
    return Rest(place, note, "\n".join(last) + "\n", final=False)


def rest_text(item: Text, ref: str) -> str:
    """What is shown of the closed ``item`` behind its first part: a line about what is left out, and its last part."""
    note = gap_note(item.left_out, ref, item.left_out_bytes)
    begin = "\n" if note and item.head and not item.head[-1].endswith("\n") else ""
    return begin + note + "".join(item.tail)


def gap_note(lines: int, ref: str, part: int = 0) -> str:
    """The line that stands for ``lines`` that are left out, and ``part`` bytes of one; empty for nothing."""
    gone = [f"{lines:,} line{'s' if lines != 1 else ''}"] if lines else []
    gone += [f"{part:,} bytes of {'the next' if lines else 'a line'}"] if part else []
    return f"... {' and '.join(gone)} left out; all of it: %logs {ref} --save FILE\n" if gone else ""
