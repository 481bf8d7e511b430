"""What a job's events add up to: outputs in order, state, progress. Pure; knows no notebook and no network."""

from __future__ import annotations

import base64
import binascii
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from cluster_agent.protocol import DONE, Event, State, word
from mlmagics.display.lines import Fold


@dataclass(frozen=True)
class Budget:
    """How much of a job's text is kept for showing; the rest stays with the agent."""

    head_lines: int = 4000
    head_chars: int = 800_000
    tail_lines: int = 1000
    tail_chars: int = 200_000
    displays: int = 500


@dataclass(eq=False)
class Text:
    """Consecutive output of both streams, in the log's order: first lines, a gap, last lines."""

    head: list[str] = field(default_factory=list)
    left_out: int = 0
    tail: deque[str] = field(default_factory=deque)
    fold: Fold = field(default_factory=Fold)
    closed: bool = False

    @property
    def current(self) -> str:
        """The line that has no end yet."""
        return self.fold.current


@dataclass(frozen=True)
class Shown:
    """Something displayed: MIME bundle; ``blobs`` names what is too big for the log by its sha256."""

    data: dict[str, Any]
    metadata: dict[str, Any]
    blobs: dict[str, str]
    display_id: str | None
    result: bool


@dataclass(frozen=True)
class Failure:
    """The exception that ended the cell; ``traceback`` holds its coloured lines."""

    ename: str
    evalue: str
    traceback: list[str]


@dataclass(frozen=True)
class LeftFile:
    """A file that the job left in its working folder."""

    path: str
    size: int


Item = Text | Shown | Failure


class View:
    """A job as its events tell it, grown one event at a time."""

    def __init__(self, state: State = State.QUEUED, budget: Budget | None = None) -> None:
        self.state = state
        self.stopping = False
        self.position: int | None = None
        self.waiting_for: str | None = None
        #: what the agent says about the present, such as a disk that refuses
        self.message: str | None = None
        self.items: list[Item] = []
        #: grows with each clear_output: what was shown before is void
        self.generation = 0
        self.lines = 0
        self.left_out = 0
        self.displays_left_out = 0
        self.dropped_bytes = 0
        self.error: Event | None = None
        self.metric: dict[str, Any] = {}
        self.files: list[LeftFile] = []
        self.started_at: float | None = None
        self.ended: Event | None = None
        #: wall clock of the last line that came, stored or not
        self.as_of = 0.0
        self._budget = budget or Budget()
        self._head_lines = self._head_chars = 0
        self._tail: deque[Text] = deque()
        self._tail_lines = self._tail_chars = 0
        self._clear_next = False
        self._displays = 0

    @property
    def word(self) -> str:
        """The word that people see for the state."""
        return word(self.state, stopping=self.stopping)

    @property
    def done(self) -> bool:
        """Whether the job has ended and everything it showed is here."""
        return self.ended is not None

    def feed(self, event: Event) -> None:
        """Take one more event; types that are not known change nothing."""
        self.as_of = max(self.as_of, event.at)
        take = getattr(self, f"_on_{event.type}", None)
        if take is not None:
            take(event)

    def last_lines(self, count: int) -> list[str]:
        """The last ``count`` lines of text, the unfinished one included, without their newlines."""
        found: list[str] = []
        for item in reversed(self.items):
            if isinstance(item, Text):
                found.extend(line.removesuffix("\n") for line in _backwards(item))
                if len(found) >= count:
                    break
        return found[count - 1 :: -1] if len(found) >= count else found[::-1]

    def close(self) -> None:
        """Say that no more text joins the last item, as the end of a stream does."""
        if self.items and isinstance(self.items[-1], Text) and not self.items[-1].closed:
            text = self.items[-1]
            text.closed = True
            last = text.fold.finish()
            if last:
                self._add_line(text, last)

    def _on_queue(self, event: Event) -> None:
        if self.state is State.QUEUED:
            self.state = event.state or self.state
            self.position, self.waiting_for = event.position, event.waiting_for

    def _on_heartbeat(self, event: Event) -> None:
        self.message = event.message

    def _on_preparing(self, event: Event) -> None:
        self.state, self.message = State.PREPARING, event.message

    def _on_started(self, event: Event) -> None:
        self.state, self.message, self.started_at = State.RUNNING, None, event.at
        self.position = self.waiting_for = None

    def _on_cancel(self, event: Event) -> None:
        self.stopping = True
        self.message = event.reason or None

    def _on_output(self, event: Event) -> None:
        self._clear_if_due()
        if not self.items or not isinstance(self.items[-1], Text):
            self.items.append(Text())
        text = self.items[-1]
        assert isinstance(text, Text)
        for line in text.fold.feed(_characters(event)):
            self._add_line(text, line)

    def _on_display(self, event: Event) -> None:
        shown = Shown(
            data=event.data or {},
            metadata=event.metadata or {},
            blobs=event.blobs or {},
            display_id=event.display_id,
            result=event.result,
        )
        if event.update:
            self.items = [_updated(item, shown) for item in self.items]
            return
        self._clear_if_due()
        if self._displays >= self._budget.displays:
            self.displays_left_out += 1
            return
        self._displays += 1
        self.close()
        self.items.append(shown)

    def _on_clear(self, event: Event) -> None:
        self._clear_next = True
        if not event.wait:
            self._clear_if_due()

    def _on_error(self, event: Event) -> None:
        self._clear_if_due()
        self.close()
        self.error = event
        self.items.append(Failure(event.ename or "Error", event.evalue or "", event.traceback or []))

    def _on_metric(self, event: Event) -> None:
        self.metric = {**self.metric, **(event.values or {})}

    def _on_file(self, event: Event) -> None:
        self.files.append(LeftFile(event.path or "", event.size or 0))

    def _on_dropped(self, event: Event) -> None:
        self.dropped_bytes += event.count or 0

    def _on_ended(self, event: Event) -> None:
        self.close()
        self.ended = event
        self.state = event.state if event.state in DONE else State.LOST
        self.stopping, self.message = False, None

    def _clear_if_due(self) -> None:
        if not self._clear_next:
            return
        self._clear_next = False
        self.items, self.generation = [], self.generation + 1
        self._head_lines = self._head_chars = self._tail_lines = self._tail_chars = 0
        self._tail.clear()
        self._displays = self.displays_left_out = self.left_out = 0
        self.error = None

    def _add_line(self, text: Text, line: str) -> None:
        budget = self._budget
        self.lines += 1
        if self._head_lines < budget.head_lines and self._head_chars + len(line) <= budget.head_chars:
            text.head.append(line)
            self._head_lines += 1
            self._head_chars += len(line)
            return
        # From the first line that goes to the tail on, all do: the head never continues after a gap.
        self._head_lines = budget.head_lines
        text.tail.append(line)
        self._tail.append(text)
        self._tail_lines += 1
        self._tail_chars += len(line)
        while self._tail_lines > budget.tail_lines or self._tail_chars > budget.tail_chars:
            oldest = self._tail.popleft()
            self._tail_chars -= len(oldest.tail.popleft())
            self._tail_lines -= 1
            oldest.left_out += 1
            self.left_out += 1


def _characters(event: Event) -> str:
    if event.base64 is None:
        return event.text or ""
    try:
        return base64.b64decode(event.base64).decode("utf-8", "replace")
    except binascii.Error:
        return ""


def _updated(item: Item, new: Shown) -> Item:
    if not isinstance(item, Shown) or new.display_id is None or item.display_id != new.display_id:
        return item
    return replace(new, result=item.result)


def _backwards(text: Text) -> Iterator[str]:
    if text.current:
        yield text.current
    yield from reversed(text.tail)
    yield from reversed(text.head)
