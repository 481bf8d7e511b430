"""Follows one job in the foreground: its output live in the cell, until its end, a limit, or an interrupt."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from cluster_agent.protocol import State
from cluster_agent.units import format_size
from mlmagics.display.changes import Changes, Raised
from mlmagics.display.lines import plain
from mlmagics.display.place import Place
from mlmagics.display.view import View
from mlmagics.display.writing import Canvas
from mlmagics.errors import UserError
from mlmagics.job.feed import Feed
from mlmagics.job.handle import Job

#: A cell is written to at most this often.
_TICK_S = 0.1
_STATUS_S = 1.0
#: Trouble shorter than this is not worth a line.
_TROUBLE_S = 5.0
_QUIET_S = 2.0
_LAST_CHARS = 160


class StoppedWatching(UserError):
    """The watching was interrupted; the job goes on."""

    code = "stopped_watching"

    def __init__(self, ref: str) -> None:
        super().__init__(
            f"stopped watching {ref}, which goes on. To come back: %logs {ref}   To cancel it: %cancel {ref}"
        )


@contextlib.contextmanager
def stoppable(ref: str) -> Iterator[None]:
    """Turn an interrupt into the line that says how to come back to ``ref``."""
    try:
        yield
    except KeyboardInterrupt:
        raise StoppedWatching(ref) from None


class Watch:
    """One job followed by one cell.

    Parameters
    ----------
    raises
        Whether the cell will raise the job's own error at the end, so that it is not written as text as well.
    """

    def __init__(self, job: Job, canvas: Canvas, feed: Feed, view: View, *, raises: bool) -> None:
        self.view = view
        self._job = job
        self._canvas = canvas
        self._feed = feed
        self._raises = raises
        self._changes = Changes(job.ref, redraw=canvas.place is not Place.HEADLESS)
        self._written_at = self._status_at = 0.0
        self._event_at = time.monotonic()
        self._told_state = ""
        # most jobs start at once; the queue is worth a line only when they do not
        self._quiet_until = time.monotonic() + _QUIET_S
        self._trouble_since: float | None = None
        self._trouble_told = False

    @property
    def age_s(self) -> float:
        """How long ago the last event came."""
        return time.monotonic() - self._event_at

    def gather(self, seconds: float) -> bool:
        """Whether the job ends within ``seconds``; nothing is shown yet."""
        self._read_until(time.monotonic() + seconds, patient=True)
        return self.view.done

    def to_the_end(self, limit_s: float = float("inf")) -> bool:
        """Whether the job ended within ``limit_s``; its output appears as it comes.

        Raises
        ------
        UserError
            When the log cannot be followed to its end.
        """
        limit = time.monotonic() + limit_s
        while not self.view.done and time.monotonic() < limit:
            self._read_until(min(time.monotonic() + 1.0, limit), patient=False)
            self._read_until(self._written_at + _TICK_S, patient=True)
            self._tell_state()
            self.show()
        self.show()
        return self.view.done

    def _read_until(self, deadline: float, *, patient: bool) -> None:
        """Take events until ``deadline``; when not ``patient``, only until one has come."""
        while not self.view.done:
            left = deadline - time.monotonic()
            event = self._feed.get(max(0.0, left))
            if event is not None:
                self.view.feed(event)
                self._event_at = time.monotonic()
            elif self._feed.done:
                raise self._feed.error or UserError(
                    f"the log of {self._job.ref} broke off: %logs {self._job.ref}"
                )
            self._tell_trouble()
            if left <= 0 or (event is not None and not patient):
                return

    def show(self) -> None:
        """Write what was gathered since the last time."""
        for change in self._changes.since_last(self.view):
            if not (self._raises and isinstance(change, Raised)):
                self._canvas.apply(change)
        self._written_at = time.monotonic()
        if self.view.left_out and not self.view.done and self._written_at > self._status_at + _STATUS_S:
            self._status_at = self._written_at
            last = plain("".join(self.view.last_lines(1)))[:_LAST_CHARS]
            self._canvas.status(
                f"... {self.view.left_out:,} more lines, as of {clock()}, shown at the end or by "
                f"%logs {self._job.ref} --save FILE; last: {last}"
            )
        elif self.view.done and self._status_at and self._canvas.place is Place.NOTEBOOK:
            self._canvas.status("")

    def _tell_state(self) -> None:
        if self.view.state not in (State.QUEUED, State.PREPARING):
            if self._told_state and self.view.state is State.RUNNING:
                self._canvas.line(f"Job {self._job.ref}: running")
                self._told_state = ""
            return
        now = f"Job {self._job.ref}: {state_line(self.view)}"
        if time.monotonic() < self._quiet_until:
            return
        if now != self._told_state and (self.view.position or self.view.message or self.view.waiting_for):
            self._told_state = now
            self._canvas.line(now)

    def _tell_trouble(self) -> None:
        if self._feed.trouble is None:
            if self._trouble_told:
                self._canvas.line(f"Contact with {self._job.cluster} again, as of {clock()}")
            self._trouble_since, self._trouble_told = None, False
            return
        now = time.monotonic()
        self._trouble_since = self._trouble_since or now
        if not self._trouble_told and now - self._trouble_since > _TROUBLE_S:
            self._trouble_told = True
            self._canvas.line(
                f"No contact with {self._job.cluster} as of {clock()} ({self._feed.trouble}); the job is not "
                "affected, trying again"
            )


def clock(at: float | None = None) -> str:
    """The time of day at ``at``, or now, as cards and lines show it."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def state_line(view: View) -> str:
    """The state in lower case with what is known about why it is so."""
    shown = view.word.lower()
    if view.state is State.QUEUED:
        if view.position:
            shown += f", place {view.position}"
        if view.waiting_for:
            shown += f": {view.waiting_for}"
    elif view.message:
        shown += f": {view.message}"
    return shown


def files_line(view: View, ref: str) -> str:
    """What the job left in its working folder and how to get it; empty when it left nothing."""
    if not view.files:
        return ""
    count = "1 file" if len(view.files) == 1 else f"{len(view.files)} files"
    return f"{count}, {format_size(sum(file.size for file in view.files))}: %fetch {ref} --files"
