"""Text of a job within a budget: its first part, a gap that is counted, its last part. Pure.

What is kept depends on the text alone, not on how it came in pieces or when: so a cell that watched the job,
its card, and ``%logs`` weeks later show the same.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from mlmagics.display.lines import Fold


@dataclass(frozen=True)
class Limits:
    """How much of a text is kept."""

    lines: int
    chars: int


class Room:
    """What is left of a cell's budget for the first parts of its texts. Once something does not fit, nothing does."""

    def __init__(self, limits: Limits) -> None:
        self._lines = limits.lines
        self._chars = limits.chars
        self.full = False

    def take(self, block: str) -> int:
        """How many characters of ``block`` fit: whole lines of it."""
        if self.full:
            return 0
        lines = block.count("\n")
        if lines <= self._lines and len(block) <= self._chars:
            self._lines -= lines
            self._chars -= len(block)
            return len(block)
        self.full = True
        end = block.rfind("\n", 0, self._chars) + 1
        if block.count("\n", 0, end) > self._lines:
            end = sum(len(line) + 1 for line in block.split("\n", self._lines)[:-1])
        return end


class Tail:
    """The end of a text that grows, and how much came before it."""

    def __init__(self, limits: Limits) -> None:
        #: ends of lines that are here
        self.lines = 0
        #: ends of lines that are gone
        self.lines_gone = 0
        #: bytes of the line whose end is still there that are gone
        self.bytes_gone = 0
        self._limits = limits
        self._blocks: deque[str] = deque()
        self._chars = 0

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def __str__(self) -> str:
        return "".join(self._blocks)

    def add(self, block: str) -> None:
        """Append ``block``; what cannot be part of the tail any more goes."""
        self._blocks.append(block)
        self._chars += len(block)
        self.lines += block.count("\n")
        while len(self._blocks) > 1:
            first = self._blocks[0]
            lines = first.count("\n")
            # one more of each than is shown, so that it can be seen whether the tail begins with a whole line
            if self._chars - len(first) <= self._limits.chars and self.lines - lines <= self._limits.lines:
                return
            self._blocks.popleft()
            self._gone(first, lines)

    def skip(self, lines: int) -> None:
        """Take note of ``lines`` ends of lines that nobody has read, behind all that is here."""
        for block in self._blocks:
            self._gone(block, block.count("\n"))
        self._blocks.clear()
        self.lines_gone += lines
        self.bytes_gone = 0

    def trim(self, limits: Limits) -> None:
        """Keep the last part within ``limits``: whole lines, unless the very last one is longer than that."""
        text = str(self)
        start = _start(text, limits)
        if start:
            self._gone(text[:start], text.count("\n", 0, start))
        self._blocks = deque([text[start:]] if start < len(text) else [])

    def _gone(self, block: str, lines: int) -> None:
        self._chars -= len(block)
        self.lines -= lines
        self.lines_gone += lines
        end = block.rfind("\n") + 1
        rest = len(block[end:].encode("utf-8", "surrogatepass"))
        self.bytes_gone = rest if end else self.bytes_gone + rest


def _start(text: str, limits: Limits) -> int:
    """Where the last part of ``text`` begins that is within ``limits``."""
    by_chars = max(0, len(text) - limits.chars)
    if by_chars and text[by_chars - 1] != "\n":
        line = text.find("\n", by_chars) + 1
        by_chars = line if 0 < line < len(text) else by_chars
    by_lines = len(text) - text.endswith("\n")
    for _ in range(limits.lines):
        by_lines = text.rfind("\n", 0, by_lines)
        if by_lines < 0:
            break
    return max(by_chars, by_lines + 1)


class Text:
    """Consecutive output in the log's order.

    Parameters
    ----------
    stream
        Where it is shown: ``stdout`` or ``stderr``.
    room
        What the cell has left for first parts.
    limits
        For the last part.
    """

    def __init__(self, stream: str, room: Room, limits: Limits) -> None:
        self.stream = stream
        #: the first part: blocks of lines
        self.head: list[str] = []
        #: nothing more comes
        self.closed = False
        self._room = room
        self._tail = Tail(limits)
        self._folds: dict[str, Fold] = {}
        self._last = stream

    @property
    def current(self) -> str:
        """The line that has no end yet."""
        fold = self._folds.get(self._last)
        return fold.current if fold else ""

    @property
    def volatile(self) -> bool:
        """Whether the line without an end is one that gets overwritten, as progress bars are."""
        fold = self._folds.get(self._last)
        return fold is not None and fold.volatile

    @property
    def overflows(self) -> bool:
        """Whether there is more than the first part."""
        return bool(self._tail) or self.left_out > 0

    @property
    def tail(self) -> list[str]:
        """The last part, as it is so far."""
        return [str(self._tail)] if self._tail else []

    @property
    def lines_beyond(self) -> int:
        """Lines behind the first part, be they kept or not."""
        return self._tail.lines_gone + self._tail.lines

    @property
    def left_out(self) -> int:
        """Lines between the first and the last part."""
        return self._tail.lines_gone

    @property
    def left_out_bytes(self) -> int:
        """Bytes that are missing at the start of the last part's first line."""
        return self._tail.bytes_gone

    def feed(self, stream: str, text: str) -> None:
        """Take more of what ``stream`` says; lines of two streams do not mix."""
        fold = self._folds.get(stream)
        if fold is None:
            fold = self._folds[stream] = Fold()
        self._last = stream
        for block in fold.feed(text):
            self._add(block)

    def skip(self, lines: int) -> None:
        """Take note of ``lines`` ends of lines that were not read."""
        for fold in self._folds.values():
            fold.finish()
        self._tail.skip(lines)

    def close(self, limits: Limits) -> None:
        """Say that nothing more comes, and keep ``limits`` of the last part."""
        rests = [rest for rest in (fold.finish() for fold in self._folds.values()) if rest]
        for number, rest in enumerate(rests, 1):
            self._add(rest if number == len(rests) else rest + "\n")
        self._tail.trim(limits)
        self.closed = True

    def last_lines(self, count: int) -> list[str]:
        """The last ``count`` lines, the unfinished one included, without their newlines."""
        found = self.current.split("\n") if self.current else []
        # the first part is no neighbour of the last one where something between them is gone
        for block in [*self.tail, *(reversed(self.head) if not self.left_out else ())]:
            if len(found) >= count:
                break
            # one split more, as an empty string follows the last newline
            lines = block.rsplit("\n", count + 1)
            found = [*(lines[:-1] if lines[-1] == "" else lines), *found]
        return found[-count:]

    def _add(self, block: str) -> None:
        fits = self._room.take(block)
        if fits:
            self.head.append(block[:fits])
        if fits < len(block):
            self._tail.add(block[fits:])
