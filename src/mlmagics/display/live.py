"""Jobs that a cell has left behind: a thread follows each and keeps its card true, or has a line for the prompt."""

from __future__ import annotations

import contextvars
import threading
import time
import uuid
from typing import Any

from cluster_agent.protocol import Event
from cluster_agent.units import format_duration
from mlmagics.display import card
from mlmagics.display.view import Shown, View
from mlmagics.display.writing import whole_data
from mlmagics.job.feed import Feed
from mlmagics.job.handle import Job

#: A card is updated at most this often.
_TICK_S = 0.5
_LOOK_S = 1.0


class LiveCard:
    """The card of one job, kept true by a thread until the job's end.

    ``age_s`` says how long ago the last event came. A card tells what was so at a time that it names. When contact is lost it says since when; when the kernel
    ends, its last state stays in the notebook and can be told to be old.
    """

    def __init__(self, shell: Any, job: Job, feed: Feed, view: View, *, age_s: float) -> None:
        self._publisher = shell.display_pub
        self._job = job
        self._feed = feed
        self._view = view
        self._display_id = f"mlmagics-card-{uuid.uuid4().hex}"
        self._stop = threading.Event()
        self._final = threading.Event()
        self._as_of = time.time()
        self._age_s = age_s
        self._fetched: dict[str, bytes] = {}
        info = job.info
        self._subject = card.Subject(
            ref=job.ref, cluster=job.cluster, job_id=job.job_id, agent_id=info.agent_id,
            history_url=job.history_url, name=info.name,
        )  # fmt: skip

    def start(self) -> None:
        """Show the card, and go on in a thread."""
        self._publish(update=False)
        # A bare thread would write into whichever cell runs then; this one keeps the cell it comes from.
        run = contextvars.copy_context().run
        threading.Thread(
            target=run, args=(self._follow,), name=f"mlmagics-card-{self._job.ref}", daemon=True
        ).start()

    def wait(self, seconds: float) -> bool:
        """Whether the card is final within ``seconds``."""
        return self._final.wait(seconds)

    def stop(self) -> None:
        """Leave the card as it is."""
        self._stop.set()
        self._feed.close()

    def _follow(self) -> None:
        shown_trouble = None
        while not self._view.done and not self._feed.done and not self._stop.is_set():
            due = time.monotonic() + _TICK_S
            changed = self._take(self._feed.get(_LOOK_S))
            while changed and time.monotonic() < due and not self._view.done:
                self._take(self._feed.get(max(0.0, due - time.monotonic())))
            trouble = self._feed.trouble
            if not self._stop.is_set() and (changed or trouble != shown_trouble):
                shown_trouble = trouble
                self._publish(update=True)
        if self._feed.error is not None and not self._stop.is_set():
            self._publish(update=True, trouble=str(self._feed.error))
        self._feed.close()
        self._final.set()

    def _take(self, event: Event | None) -> bool:
        if event is None:
            return False
        self._as_of, self._age_s = time.time(), 0.0
        self._view.feed(event)
        return True

    def _publish(self, *, update: bool, trouble: str | None = None) -> None:
        data = card.bundle(
            self._subject,
            self._view,
            as_of=self._as_of,
            age_s=self._age_s,
            trouble=trouble or self._feed.trouble,
            data_of=self._data,
        )
        self._publisher.publish(data, {}, transient={"display_id": self._display_id}, update=update)

    def _data(self, shown: Shown) -> dict[str, Any]:
        return whole_data(shown, self._blob)

    def _blob(self, sha256: str) -> bytes:
        if sha256 not in self._fetched:
            self._fetched[sha256] = self._job.blob(sha256)
        return self._fetched[sha256]


class EndLines:
    """In a terminal: one line before the next prompt for each job that has ended meanwhile."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._feeds: list[Feed] = []

    def watch(self, job: Job, feed: Feed, view: View) -> None:
        """Have a line ready when ``job`` ends."""
        self._feeds.append(feed)
        threading.Thread(
            target=self._follow, args=(job, feed, view), name=f"mlmagics-end-{job.ref}", daemon=True
        ).start()

    def take(self) -> list[str]:
        """The lines of jobs that have ended since the last call."""
        with self._lock:
            lines, self._lines = self._lines, []
        return lines

    def stop(self) -> None:
        """Watch no more."""
        for feed in self._feeds:
            feed.close()

    def _follow(self, job: Job, feed: Feed, view: View) -> None:
        while not view.done and not feed.done:
            event = feed.get(_LOOK_S)
            if event is not None:
                view.feed(event)
        if not view.done:
            return
        with self._lock:
            self._lines.append(f"{ended_line(job)} (%logs {job.ref})")


def ended_line(job: Job) -> str:
    """How ``job`` ended, in one line."""
    name = f" {job.info.name}" if job.info.name else ""
    after = f" after {format_duration(job.info.seconds)}" if job.info.seconds is not None else ""
    return f"Job {job.ref}{name}: {job.word}{after}"
