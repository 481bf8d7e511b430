"""Follows one job in the foreground: its output live in the cell, until its end, a limit, or an interrupt."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from cluster_agent.protocol import DONE, State
from cluster_agent.units import format_size
from mlmagics.display.clock import clock as clock
from mlmagics.display.clock import until
from mlmagics.display.drawing import Drawing
from mlmagics.display.reading import Reader
from mlmagics.display.view import View
from mlmagics.display.writing import Canvas
from mlmagics.errors import Interrupted, UserError
from mlmagics.job.feed import Feed
from mlmagics.job.handle import Job

#: A cell is written to at most this often.
_TICK_S = 0.1
#: Trouble shorter than this is not worth a line.
_TROUBLE_S = 5.0
_QUIET_S = 2.0


class StoppedWatching(Interrupted):
    """The watching was interrupted; the job goes on."""

    code = "stopped_watching"

    def __init__(self, ref: str, *, ended: bool = False) -> None:
        if ended:
            super().__init__(f"stopped showing {ref}, which has ended. To see it again: %logs {ref}")
            return
        super().__init__(
            f"stopped watching {ref}, which goes on. To come back: %logs {ref}   To cancel it: %cancel {ref}"
        )


@contextlib.contextmanager
def stoppable(ref: str, job: Job | None = None) -> Iterator[None]:
    """Turn an interrupt into the line that says how to come back to ``ref``; ``job`` may have ended by then."""
    try:
        yield
    except KeyboardInterrupt:
        raise StoppedWatching(ref, ended=job is not None and job.info.state in DONE) from None


class Watch:
    """One job followed by one cell.

    Parameters
    ----------
    raises
        Whether the cell will raise the job's own error at the end.
    """

    def __init__(self, job: Job, canvas: Canvas, feed: Feed, view: View, *, raises: bool) -> None:
        self.view = view
        self._job = job
        self._canvas = canvas
        self._feed = feed
        self._reader = Reader(job, feed, view)
        self._drawing = Drawing(canvas, view, job.ref, raises=raises)
        self._written_at = 0.0
        self._event_at = time.monotonic()
        #: place, reason and message of the last line about the queue
        self._told_why: tuple[int | None, str | None, str | None] | None = None
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
            pause_s = max(self._written_at + _TICK_S - time.monotonic(), self._canvas.wait_s)
            self._read_until(min(time.monotonic() + pause_s, limit), patient=True)
            self._tell_state()
            self._written_at = time.monotonic()
            self._drawing.some()
        self.show()
        return self.view.done

    def show(self) -> None:
        """Write all that was gathered since the last time."""
        self._drawing.all()

    def _read_until(self, deadline: float, *, patient: bool) -> None:
        """Take events until ``deadline``; when not ``patient``, only until some have come."""
        while not self.view.done:
            left = deadline - time.monotonic()
            came = self._reader.read(max(0.0, left))
            if came:
                self._event_at = time.monotonic()
            elif self._feed.done and not self.view.done:
                raise self._feed.error or UserError(
                    f"the log of {self._job.ref} broke off: %logs {self._job.ref}"
                )
            self._tell_trouble()
            if left <= 0 or (came and not patient):
                return

    def _tell_state(self) -> None:
        if self.view.state not in (State.QUEUED, State.PREPARING):
            if self._told_why and self.view.state is State.RUNNING:
                self._canvas.line(f"Job {self._job.ref}: running")
                self._told_why = None
            return
        view = self.view
        # when it starts at the latest may move all the time, which alone is not worth a line
        why = (view.position, view.waiting_for, view.message)
        if time.monotonic() < self._quiet_until or why == self._told_why or not any(why):
            return
        self._told_why = why
        self._canvas.line(f"Job {self._job.ref}: {state_line(view)}")

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


def state_line(view: View) -> str:
    """The state in lower case with what is known about why it is so."""
    shown = view.word.lower()
    if view.state is State.QUEUED:
        if view.position:
            shown += f", place {view.position}"
        why = [view.waiting_for or "", f"starts by {until(view.starts_by)}" if view.starts_by else ""]
        if any(why):
            shown += f": {'; '.join(filter(None, why))}"
    elif view.message:
        shown += f": {view.message}"
    return shown


def files_line(view: View, ref: str) -> str:
    """What the job left in its working folder and how to get it; empty when it left nothing."""
    if not view.files:
        return ""
    count = "1 file" if len(view.files) == 1 else f"{len(view.files)} files"
    return f"{count}, {format_size(sum(file.size for file in view.files))}: %fetch {ref} --files"
