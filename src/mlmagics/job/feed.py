"""A job's events as they come, without blocking who reads them: a thread follows, a queue is read."""

from __future__ import annotations

import queue
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING

from cluster_agent.client import Hook
from cluster_agent.protocol import Event
from mlmagics.errors import UserError

if TYPE_CHECKING:
    from mlmagics.job.handle import Job

#: Characters of events that may wait to be read; the thread stops reading from the network beyond it.
_MAX_WAITING = 4_000_000
#: Characters of events that are taken at once.
_MAX_TAKEN = 1_000_000
#: An event takes about this much beside its text.
_EVENT_CHARS = 300
#: Waits are cut into pieces of this length: a longer one cannot be interrupted on Windows.
_LOOK_S = 0.2


class Feed:
    """The events of one job to its end, reconnected by itself. Close it after use, or use ``with``."""

    def __init__(self, job: Job, after: str = "0", *, tail: int | None = None) -> None:
        #: why there are no more events although the job has not ended
        self.error: Exception | None = None
        #: why there are no events at present; None while the connection stands
        self.trouble: str | None = None
        self._job = job
        # It survives an interrupt at any moment, which queues with locks in Python may not.
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._put_chars = self._taken_chars = 0
        self._room = threading.Event()
        self._drained = False
        self._hook = Hook()
        self._thread = threading.Thread(
            target=self._run, args=(after, tail), name=f"mlmagics-feed-{job.ref}", daemon=True
        )
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether all has been read that will ever come."""
        return self._drained

    def get(self, timeout_s: float | None = None) -> Event | None:
        """The next event; None when none came within ``timeout_s``, or none will."""
        deadline = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        while not self._drained:
            try:
                event = self._events.get(timeout=max(0.0, min(_LOOK_S, deadline - time.monotonic())))
            except queue.Empty:
                if time.monotonic() >= deadline:
                    return None
                continue
            if event is None:
                self._drained = True
            else:
                self._taken_chars += _size(event)
                self._room.set()
                return event
        return None

    def take(self, timeout_s: float) -> list[Event]:
        """The events that wait, a large part of them at least; when none does, those that come within ``timeout_s``."""
        events: list[Event] = []
        limit = self._taken_chars + _MAX_TAKEN
        event = self.get(timeout_s)
        while event is not None:
            events.append(event)
            event = self.get(0.0) if self._taken_chars < limit else None
        return events

    def close(self) -> None:
        """Stop following: the thread ends, and with it the connection."""
        self._hook.hang_up()
        self._room.set()

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, after: str, tail: int | None) -> None:
        try:
            for event in self._job.events(after, tail=tail, on_trouble=self._troubled, hook=self._hook):
                self.trouble = None
                if not self._put(event):
                    return
        except Exception as error:  # noqa: BLE001 - the reader's thread raises it
            self.error = error
        finally:
            self._events.put(None)

    def _put(self, event: Event) -> bool:
        while self._put_chars - self._taken_chars > _MAX_WAITING and not self._hook.hung_up():
            self._room.wait(_LOOK_S)
            self._room.clear()
        self._put_chars += _size(event)
        self._events.put(event)
        return not self._hook.hung_up()

    def _troubled(self, problem: Exception) -> None:
        self.trouble = str(problem)
        try:
            self._job.revive()
        except UserError as error:
            self.trouble = error.message


def _size(event: Event) -> int:
    data = event.data.values() if event.data else ()
    shown = sum(len(content) for content in data if isinstance(content, str))
    return _EVENT_CHARS + len(event.text or event.base64 or "") + shown
