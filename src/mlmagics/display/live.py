"""Jobs that a cell has left behind: a thread follows each and keeps its card true, or has a line for the prompt."""

from __future__ import annotations

import contextlib
import contextvars
import threading
import time
import uuid
from typing import Any

from cluster_agent.protocol import State
from cluster_agent.units import format_duration
from mlmagics.display import card
from mlmagics.display.outputs import outputs
from mlmagics.display.reading import Reader
from mlmagics.display.telling import Contact, Subject
from mlmagics.display.view import Shown, View
from mlmagics.display.writing import whole_data
from mlmagics.errors import UserError
from mlmagics.job.failures import advice
from mlmagics.job.feed import Feed
from mlmagics.job.handle import Job
from mlmagics.preflight.here import here

#: A card is updated at most this often.
_TICK_S = 0.5
#: and for what only moves its figures and its "as of" less often
_CALM_S = 2.0
_CALM = {"sample", "heartbeat"}
_FIRST = "first sample"
_LOOK_S = 1.0
#: so long before a job's end, and so often, the agent is asked whether the end has moved
_ASK_BEFORE_S = 1200.0
_ASK_EVERY_S = 5.0


class LiveCard:
    """The card of one job, kept true by a thread until the job's end.

    ``age_s`` says how long ago the last event came. A card tells what was so at a time that it names. When contact is
    lost it says since when; when the kernel ends, its last state stays in the notebook and can be told to be old.
    """

    def __init__(self, shell: Any, job: Job, feed: Feed, view: View, *, age_s: float) -> None:
        self._publisher = shell.display_pub
        # before ipykernel 7 a new output of a thread went into whichever cell ran then
        header = getattr(shell.display_pub, "_parent_header", None)
        self._keeps_cell = isinstance(header, contextvars.ContextVar)
        self._job = job
        self._feed = feed
        self._view = view
        self._reader = Reader(job, feed, view)
        self._display_id = f"mlmagics-card-{uuid.uuid4().hex}"
        self._stop = threading.Event()
        self._final = threading.Event()
        self._as_of = time.time()
        self._age_s = age_s
        self._deadline = _Deadline(job)
        self._fetched: dict[str, bytes] = {}
        info = job.info
        self._subject = Subject(
            ref=job.ref, cluster=job.cluster, job_id=job.job_id, agent_id=info.agent_id,
            history_url=job.history_url, name=info.name, cpus=info.cpus, memory_bytes=info.memory_bytes,
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
            begun, kinds = time.monotonic(), self._read(_LOOK_S)
            # what nobody waits for to the second does not redraw the card that somebody reads
            while kinds and not self._view.done:
                left = begun + (_CALM_S if kinds <= _CALM else _TICK_S) - time.monotonic()
                if left <= 0 or self._stop.is_set():
                    break
                kinds |= self._read(min(left, _TICK_S))
            trouble = self._feed.trouble
            if not self._stop.is_set() and (kinds or trouble != shown_trouble):
                shown_trouble = trouble
                self._deadline.look(self._view, self._age_s, in_contact=trouble is None)
                self._publish(update=True)
        if self._feed.error is not None and not self._stop.is_set():
            self._publish(update=True)
        self._feed.close()
        self._final.set()

    def _read(self, seconds: float) -> frozenset[str]:
        """Types of the events that came within ``seconds``; they are in the view now."""
        samples = self._view.figures.samples
        sampled = samples.latest is not None
        if not self._reader.read(seconds):
            return frozenset()
        self._as_of, self._age_s = time.time(), 0.0
        # the first sample brings a new line, the later ones other figures
        return self._reader.kinds | ({_FIRST} if samples.latest is not None and not sampled else set())

    def _publish(self, *, update: bool) -> None:
        given_up = self._feed.error is not None
        trouble = str(self._feed.error) if given_up else self._feed.trouble
        contact = Contact(
            as_of=self._as_of,
            age_s=self._age_s,
            deadline_at=self._deadline.at,
            trouble=trouble,
            # the last thing that is known to have come
            lost_at=self._as_of if trouble else None,
            given_up=given_up,
        )
        shown, next_step = None, ""
        if self._view.done:
            next_step = advice(self._job.ref, self._job.info, self._view.error, here())
            shown = outputs(self._view, self._subject.ref, self._data, beneath=self._keeps_cell)
        data = card.bundle(self._subject, self._view, contact, shown, next_step)
        self._publisher.publish(data, {}, transient={"display_id": self._display_id}, update=update)
        for bundle, metadata in shown.beneath if shown else ():
            self._publisher.publish(bundle, metadata)

    def _data(self, shown: Shown) -> dict[str, Any]:
        return whole_data(shown, self._blob)

    def _blob(self, sha256: str) -> bytes:
        if sha256 not in self._fetched:
            self._fetched[sha256] = self._job.blob(sha256)
        return self._fetched[sha256]


class _Deadline:
    """When the time limit ends a job; asked again towards the end, since somebody may have extended it."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._asked_at = 0.0
        self._told: float | None = None

    @property
    def at(self) -> float | None:
        """Unix seconds on the agent's clock; None when it is not known."""
        return self._told or self._job.info.deadline_at

    def look(self, view: View, age_s: float, *, in_contact: bool) -> None:
        """Learn when the end is, if it may be near."""
        if view.state is not State.RUNNING or view.started_at is None or not in_contact:
            return
        timeout_s = self._job.info.timeout_s
        self._told = self._told or (view.started_at + timeout_s if timeout_s else None)
        if self._told is None or self._told - view.as_of - age_s > _ASK_BEFORE_S:
            return
        now = time.monotonic()
        if now - self._asked_at < _ASK_EVERY_S:
            return
        self._asked_at = now
        # a handle of its own: an answer that comes late must not undo what the events have told
        with contextlib.suppress(UserError):
            info = Job(self._job.session, self._job.cluster, self._job.info).refresh().info
            self._told = info.deadline_at or self._told


class EndLines:
    """In a terminal: one line before the next prompt for each job that has ended meanwhile."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: list[Job] = []
        self._feeds: list[Feed] = []

    def watch(self, job: Job, feed: Feed, view: View) -> None:
        """Have a line ready when ``job`` ends."""
        self._feeds.append(feed)
        threading.Thread(
            target=self._follow, args=(job, feed, view), name=f"mlmagics-end-{job.ref}", daemon=True
        ).start()

    def take(self) -> list[str]:
        """A line for each job that has ended since the last call, unless a cell has told its end already."""
        with self._lock:
            ended, self._ended = self._ended, []
        return [f"{told_end(job)} (%logs {job.ref})" for job in ended if _key(job) not in _told]

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
            self._ended.append(job)


def ended_line(job: Job) -> str:
    """How ``job`` ended, in one line."""
    name = f" {job.info.name}" if job.info.name else ""
    after = f" after {format_duration(job.info.seconds)}" if job.info.seconds is not None else ""
    return f"Job {job.ref}{name}: {job.word}{after}"


def told_end(job: Job) -> str:
    """:func:`ended_line` for a cell that shows it: no line before a prompt tells it again."""
    _told.add(_key(job))
    return ended_line(job)


def _key(job: Job) -> tuple[str, int]:
    return job.info.agent_id, job.job_id


#: jobs whose end was told in this process
_told: set[tuple[str, int]] = set()
