"""A job's events as they come, without blocking who reads them: a thread follows, a queue is read."""

from __future__ import annotations

import queue
import threading
from types import TracebackType
from typing import TYPE_CHECKING

from cluster_agent.protocol import Event
from mlmagics.errors import UserError

if TYPE_CHECKING:
    from mlmagics.job.handle import Job

#: Events that may wait to be read; the thread stops reading from the network beyond it.
_MAX_WAITING = 2000
_LOOK_S = 0.2


class Feed:
    """The events of one job to its end, reconnected by itself. Close it after use, or use ``with``."""

    def __init__(self, job: Job, after: str = "0", *, tail: int | None = None) -> None:
        #: why there are no more events although the job has not ended
        self.error: Exception | None = None
        #: why there are no events at present; None while the connection stands
        self.trouble: str | None = None
        self._job = job
        self._events: queue.Queue[Event | None] = queue.Queue(_MAX_WAITING)
        self._drained = False
        self._closed = threading.Event()
        thread = threading.Thread(
            target=self._run, args=(after, tail), name=f"mlmagics-feed-{job.ref}", daemon=True
        )
        thread.start()

    @property
    def done(self) -> bool:
        """Whether all has been read that will ever come."""
        return self._drained

    def get(self, timeout_s: float | None = None) -> Event | None:
        """The next event; None when none came within ``timeout_s``, or none will."""
        if self._drained:
            return None
        try:
            event = self._events.get(timeout=timeout_s)
        except queue.Empty:
            return None
        self._drained = event is None
        return event

    def close(self) -> None:
        """Stop following; the thread ends with the next line that arrives, a heartbeat at the latest."""
        self._closed.set()

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, after: str, tail: int | None) -> None:
        try:
            for event in self._job.events(after, tail=tail, on_trouble=self._troubled):
                self.trouble = None
                if not self._put(event):
                    return
        except Exception as error:  # noqa: BLE001 - the reader's thread raises it
            self.error = error
        finally:
            self._put(None)

    def _put(self, event: Event | None) -> bool:
        while not self._closed.is_set():
            try:
                self._events.put(event, timeout=_LOOK_S)
            except queue.Full:
                continue
            return True
        return False

    def _troubled(self, problem: Exception) -> None:
        self.trouble = str(problem)
        try:
            self._job.revive()
        except UserError as error:
            self.trouble = error.message
