"""Everything that goes into a job's log, in order; when the disk refuses it waits, and the job with it."""

from __future__ import annotations

import math
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from cluster_agent.executors.base import Order
from cluster_agent.folder import JobFolder, write_durably
from cluster_agent.log.append import LogWriter
from cluster_agent.log.format import LineTooLong
from cluster_agent.protocol import MAX_LINE_BYTES
from cluster_agent.supervisor.frames import Frame, event_fields, refusal, shrink_display, shrink_error
from cluster_agent.supervisor.quota import TAIL_BYTES, Quota, Tail
from cluster_agent.supervisor.results import ResultFrame, Results
from cluster_agent.units import format_size

#: Lost events that are told of one by one.
_MAX_TOLD = 100
RETRY_S = 1.0
SYNC_S = 1.0


def note(text: str) -> None:
    """Write a line to the supervisors' own log, which is this process's stderr."""
    try:
        sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        sys.stderr.flush()
    except OSError:
        pass  # the disk that is full may be the one of this file


class Syncer:
    """Syncs the log in a thread of its own, so that a slow disk does not hold up the job.

    The thread starts with the first sync that is due: short jobs never have one.
    """

    def __init__(self, writer: LogWriter) -> None:
        #: why the disk refused, once it did; what was written before may be lost then
        self.failure: OSError | None = None
        self._writer = writer
        self._last = time.monotonic()
        self._orders: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()
        self._thread: threading.Thread | None = None

    @property
    def due(self) -> float:
        """When the next sync is due, in monotonic seconds."""
        return self._last + SYNC_S if self._writer.unsynced and self._idle.is_set() else math.inf

    def step(self, now: float) -> None:
        """Start a sync when one is due."""
        if now < self.due:
            return
        self._last = now
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        self._idle.clear()
        self._orders.put(True)

    def finish(self) -> None:
        """Sync now, and end the thread."""
        if self._thread is not None:
            self._orders.put(False)
            self._thread.join()
        self._sync()

    def _work(self) -> None:
        while self._orders.get():
            self._sync()
            self._idle.set()

    def _sync(self) -> None:
        try:
            self._writer.sync()
        except OSError as error:
            # a later success says nothing about the pages that this failure has thrown away
            self.failure = error


class Recorder:
    """Records output, frames and events. An action that the disk refuses is retried; later ones queue behind it."""

    def __init__(self, writer: LogWriter, order: Order) -> None:
        #: the last exception that the cell raised
        self.error: str | None = None
        self._writer = writer
        folder = JobFolder(order.folder)
        self._blobs = folder.blobs
        self._results = Results(folder.results, order.fetch, order.keep_all_bytes)
        self._title = order.title
        self._quota = Quota(order.log_limit_bytes)
        self._tails: dict[str, Tail] = {}
        self._dropped: dict[str, int] = {}
        #: events that are missing, beside those beyond the quota
        self._lost = 0
        self._untold = 0
        self._waiting: deque[Callable[[], object]] = deque()
        self._retry_at = 0.0

    @property
    def stalled(self) -> bool:
        """The disk refuses; nothing more should be read from the job."""
        return bool(self._waiting)

    @property
    def complete(self) -> bool:
        """No byte and no frame was left out."""
        return not self._lost and not self._dropped and not self._quota.dropped_frames

    def event(self, type: str, **fields: Any) -> None:  # noqa: A002
        """Record one event."""
        self._do(partial(self._writer.append, type, **fields))

    def lost(self, message: str, count: int = 1) -> None:
        """Take note that events are missing, and say why; when it happens often, only at the end."""
        if self._lost < _MAX_TOLD:
            self.event("dropped", count=count, message=message)
        else:
            self._untold += count
        self._lost += count

    def output(self, stream: str, data: bytes) -> None:
        """Record what was read from ``stdout`` or ``stderr``."""
        admitted = self._quota.admit_output(len(data))
        if admitted == len(data):
            self._do(partial(self._writer.output, stream, data))
            return
        if admitted:
            self._do(partial(self._writer.output, stream, data[:admitted]))
        self._do(partial(self._count_only, stream, data[admitted:]))

    def frame(self, frame: Frame | ResultFrame, size: int, descriptor: int | None = None) -> None:
        """Record a frame of ``size`` bytes, and the open file that came with it."""
        if isinstance(frame, ResultFrame):
            self._result(frame, descriptor)
            return
        if frame.type == "error":
            self.error = f"{frame.ename}: {frame.evalue}" if frame.evalue else frame.ename
        if frame.type != "display":
            size = min(size, MAX_LINE_BYTES)  # what becomes of it is one line, however much was sent
        if (reason := refusal(frame)) is not None:
            self.lost(reason)
            return
        fields = event_fields(frame)
        if fields is not None and self._quota.admit_frame(frame.type, size):
            self._do(partial(self._append_fitting, frame.type, fields))

    def then(self, action: Callable[[], object]) -> None:
        """Call ``action`` when all that was given before is in the log."""
        self._do(action)

    def step(self, now: float) -> None:
        """Retry what the disk refused, once a second."""
        if self._waiting and now >= self._retry_at:
            self._work()

    def settle(self) -> None:
        """Return when everything is in the log, however long the disk refuses."""
        self._work()
        while self._waiting:
            time.sleep(RETRY_S)
            self._work()

    def close_streams(self) -> None:
        """Record the ends of streams that were only counted, and how much is missing."""
        for stream, tail in self._tails.items():
            self.event("dropped", stream=stream, count=self._dropped[stream])
            self._do(partial(self._writer.output, stream, bytes(tail.kept)))
        for kind, count in self._quota.dropped_frames.items():
            self.event("dropped", count=count, message=f"{count} events of type {kind}, beyond their limit")
        self._do(self._writer.flush_output)

    def end(self, **fields: Any) -> None:
        """Close the log with its last event, which everything that was given before precedes."""
        if self._untold:
            self.event("dropped", count=self._untold, message=f"{self._untold} more events that were refused")
        self._do(partial(self._end, fields))
        self.settle()

    def _do(self, action: Callable[[], object]) -> None:
        self._waiting.append(action)
        if len(self._waiting) == 1:
            self._work()

    def _work(self) -> None:
        while self._waiting:
            try:
                self._waiting[0]()
            except OSError as error:
                if not self._retry_at:
                    note(f"{self._title}: cannot write its log ({error.strerror}), so the job waits")
                self._retry_at = time.monotonic() + RETRY_S
                return
            self._waiting.popleft()
        self._retry_at = 0.0

    def _end(self, fields: dict[str, Any]) -> None:
        try:
            self._writer.end(**fields)
        except OSError:
            # written but not synced: nothing can be written behind it, and trying again would prove nothing
            if self._writer.ended is None:
                raise

    def _count_only(self, stream: str, data: bytes) -> None:
        tail = self._tails.get(stream)
        if tail is None:
            message = (
                f"the log has reached its limit of {format_size(self._quota.limit_bytes)}: {stream} is only "
                f"counted from here on, and its last {format_size(TAIL_BYTES)} follow at the end"
            )
            self._writer.append("dropped", stream=stream, message=message)
            tail = self._tails[stream] = Tail()
            self._dropped[stream] = 0
        pushed_out = tail.add(data)
        if pushed_out:
            self._dropped[stream] += self._writer.drop(stream, pushed_out)

    def _result(self, frame: ResultFrame, descriptor: int | None) -> None:
        taken = self._results.take(frame, descriptor)
        if taken is None:
            self.lost(f"a result {frame.name[:100]!r}, which nobody asked for or which came before")
            return
        fields: dict[str, Any] = {}
        self._do(lambda: fields.update(taken.keep()))
        self._do(lambda: self._writer.append("result", **fields))

    def _append_fitting(self, type: str, fields: dict[str, Any]) -> None:  # noqa: A002
        try:
            self._writer.append(type, **fields)
            return
        except LineTooLong:
            pass
        if type == "display":
            fields, blobs = shrink_display(fields)
            for sha256, content in blobs.items():
                self._blobs.mkdir(mode=0o700, exist_ok=True)
                if not (self._blobs / sha256).exists():
                    write_durably(self._blobs / sha256, content)
        elif type == "error":
            fields = shrink_error(fields)
        try:
            self._writer.append(type, **fields)
        except LineTooLong:
            message = f"an event of type {type} that is too large for a line"
            self._writer.append("dropped", count=1, message=message)
            self._lost += 1
