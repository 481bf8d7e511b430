"""What a job's events add up to: outputs in order, state, progress. Pure; knows no notebook and no network."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from typing import Any

from cluster_agent.protocol import DONE, Event, State, word
from mlmagics.display.escapes import one_line, shown_text
from mlmagics.display.figures import Figures
from mlmagics.display.holes import hole
from mlmagics.display.progress import Progress
from mlmagics.display.text import Limits, Room, Text

#: So often a change between stdout and stderr begins a new output, as it does in a kernel; after that the two go
#: on in one, in the order of the log, so that a log line for each print does not make thousands of outputs.
_MAX_TURNS = 50
_MAX_HOLES = 20
#: Seconds since 1970 that a clock can show.
_LATEST = 4e9


@dataclass(frozen=True)
class Budget:
    """How much of what a job shows is kept for showing; the rest stays with the agent."""

    head_lines: int = 4000
    head_chars: int = 800_000
    tail_lines: int = 1000
    tail_chars: int = 200_000
    displays: int = 200

    @property
    def head(self) -> Limits:
        """Of the first parts of all texts together."""
        return Limits(self.head_lines, self.head_chars)

    @property
    def tail(self) -> Limits:
        """Of the last part of a text."""
        return Limits(self.tail_lines, self.tail_chars)

    @property
    def between(self) -> Limits:
        """Of the last part of a text that a display follows: each of these brings one."""
        return Limits(min(20, self.tail_lines), min(4000, self.tail_chars))


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
    """The exception that ended the cell; ``traceback`` holds its lines, with colours as their only escapes."""

    ename: str
    evalue: str
    traceback: list[str]

    @property
    def text(self) -> str:
        """The traceback, or what there is of it."""
        return "\n".join(self.traceback) or f"{self.ename}: {self.evalue}"


@dataclass(frozen=True)
class LeftFile:
    """A file that the job left in its working folder."""

    path: str
    size: int


@dataclass(frozen=True)
class Kept:
    """A variable that the job was asked to keep; ``reason`` says why it was not."""

    name: str
    size: int
    reason: str | None


Item = Text | Shown | Failure


class View:
    """A job as its events tell it, grown one event at a time."""

    def __init__(self, state: State = State.QUEUED, budget: Budget | None = None) -> None:
        self.state = state
        self.stopping = False
        self.position: int | None = None
        self.waiting_for: str | None = None
        #: when a queued job starts at the latest, Unix seconds
        self.starts_by: float | None = None
        #: what the agent says about the present, such as a disk that refuses
        self.message: str | None = None
        self.items: list[Item] = []
        #: grows with each clear_output: what was shown before is void
        self.generation = 0
        self.displays_left_out = 0
        self.dropped_bytes = 0
        #: why the log may not be all that the job has said, one phrase each
        self.holes: list[str] = []
        self.error: Event | None = None
        #: what it tells in numbers
        self.figures = Figures()
        self.files: list[LeftFile] = []
        self.results: list[Kept] = []
        self.started_at: float | None = None
        #: what it runs in, where something was made for it
        self.environment = ""
        self.ended: Event | None = None
        #: wall clock of the last line that came, stored or not
        self.as_of = 0.0
        self.budget = budget or Budget()
        self._clear_next = False
        self._begin()

    def _begin(self) -> None:
        self._room = Room(self.budget.head)
        self._turns = 0
        #: places of what was displayed under an id
        self._ids: dict[str, list[int]] = {}
        self._displays = 0

    @property
    def word(self) -> str:
        """The word that people see for the state."""
        return word(self.state, stopping=self.stopping)

    @property
    def done(self) -> bool:
        """Whether the job has ended and everything it showed is here."""
        return self.ended is not None

    @property
    def progress(self) -> Progress | None:
        """How far the job said last that it is."""
        return self.figures.progress

    @property
    def left_out(self) -> int:
        """Lines of text that are not shown."""
        return sum(item.left_out for item in self.items if isinstance(item, Text))

    @property
    def overflows(self) -> bool:
        """Whether new text is not shown any more, but for the last of it."""
        return self._room.full

    def feed(self, event: Event) -> None:
        """Take one more event; types that are not known change nothing."""
        if self.as_of < event.at < _LATEST:
            self.as_of = event.at
        self.figures.feed(event)
        said = hole(event)
        if said is not None and said not in self.holes and len(self.holes) < _MAX_HOLES:
            self.holes.append(said)
        take = getattr(self, f"_on_{event.type}", None)
        if take is not None:
            take(event)

    def skip(self, stream: str, lines: int) -> None:
        """Take note of ``lines`` ends of lines of ``stream`` that were not read, behind all that was."""
        self._text(stream).skip(lines)

    def last_lines(self, count: int) -> list[str]:
        """The last ``count`` lines of text, the unfinished one included, without their newlines."""
        found: list[str] = []
        for item in reversed(self.items):
            if isinstance(item, Text) and len(found) < count:
                found = [*item.last_lines(count - len(found)), *found]
        return found

    def close(self) -> None:
        """Say that nothing more comes, as the end of a stream does."""
        self._close_text(self.budget.tail)

    def _on_queue(self, event: Event) -> None:
        if self.state is State.QUEUED:
            self.state = event.state or self.state
            self.position, self.waiting_for = event.position, event.waiting_for
            self.starts_by = event.starts_by

    def _on_heartbeat(self, event: Event) -> None:
        self.message = event.message

    def _on_preparing(self, event: Event) -> None:
        self.state, self.message = State.PREPARING, event.message

    def _on_started(self, event: Event) -> None:
        self.state, self.message, self.started_at = State.RUNNING, None, event.at
        self.environment = event.environment or ""
        self.position = self.waiting_for = self.starts_by = None

    def _on_cancel(self, event: Event) -> None:
        self.stopping = True
        self.message = event.reason or None

    def _on_output(self, event: Event) -> None:
        self._clear_if_due()
        stream = event.stream or "stdout"
        self._text(stream).feed(stream, _characters(event))

    def _on_display(self, event: Event) -> None:
        shown = Shown(
            data=event.data or {},
            metadata=event.metadata or {},
            blobs=event.blobs or {},
            display_id=event.display_id,
            result=event.result,
        )
        if event.update:
            self._update(shown)
            return
        self._clear_if_due()
        if self._displays >= self.budget.displays:
            self.displays_left_out += 1
            return
        self._displays += 1
        self._close_text(self.budget.between)
        if shown.display_id is not None:
            self._ids.setdefault(shown.display_id, []).append(len(self.items))
        self.items.append(shown)

    def _update(self, shown: Shown) -> None:
        for place in self._ids.get(shown.display_id or "", []):
            old = self.items[place]
            assert isinstance(old, Shown)
            self.items[place] = replace(shown, result=old.result)

    def _on_clear(self, event: Event) -> None:
        self._clear_next = True
        if not event.wait:
            self._clear_if_due()

    def _on_error(self, event: Event) -> None:
        self._clear_if_due()
        self._close_text(self.budget.tail)
        self.error = event
        traceback = [shown_text(line) for line in event.traceback or []]
        self.items.append(
            Failure(one_line(event.ename or "Error"), shown_text(event.evalue or ""), traceback)
        )

    def _on_file(self, event: Event) -> None:
        self.files.append(LeftFile(event.path or "", event.size or 0))

    def _on_result(self, event: Event) -> None:
        self.results.append(Kept(event.name or "", event.size or 0, event.reason))

    def _on_dropped(self, event: Event) -> None:
        if event.stream is not None:
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
        self.displays_left_out = 0
        self.error = None
        self._begin()

    def _text(self, stream: str) -> Text:
        """The text that more of ``stream`` belongs to."""
        last = self.items[-1] if self.items else None
        if isinstance(last, Text) and not last.closed:
            if last.stream == stream or self._room.full or self._turns >= _MAX_TURNS:
                return last
            self._turns += 1
            self._close_text(self.budget.tail)
        text = Text(stream, self._room, self.budget.tail)
        self.items.append(text)
        return text

    def _close_text(self, limits: Limits) -> None:
        last = self.items[-1] if self.items else None
        if isinstance(last, Text) and not last.closed:
            last.close(limits)


def _characters(event: Event) -> str:
    if event.base64 is None:
        return event.text or ""
    try:
        return base64.b64decode(event.base64).decode("utf-8", "replace")
    except binascii.Error:
        return ""
