"""Brings a job's events into a view; the middle of a huge log that is over, which nobody will see, is not read."""

from __future__ import annotations

from cluster_agent.protocol import Event
from mlmagics.display.view import View
from mlmagics.errors import UserError
from mlmagics.job.feed import Feed
from mlmagics.job.handle import Job
from mlmagics.job.shortcut import Account, Bridge, bridge

#: While the text that is read is not shown, so often it is looked whether its end is there already.
_LOOK_BYTES = 16_000_000
#: The end of a log is taken in ever larger parts until it has all that is shown.
_TAILS = (32, 256, 1024)


class Reader:
    """Feeds ``view`` with what ``feed`` brings of ``job``."""

    def __init__(self, job: Job, feed: Feed, view: View) -> None:
        self._job = job
        self._feed = feed
        self._view = view
        self._account = Account()
        self._look_at = _LOOK_BYTES
        #: types of the events that came last
        self.kinds: frozenset[str] = frozenset()

    @property
    def bytes_read(self) -> int:
        """Bytes of output that came step by step."""
        return self._account.size

    def read(self, timeout_s: float) -> bool:
        """Whether something came within ``timeout_s``; it is in the view now."""
        events = self._feed.take(timeout_s)
        self.kinds = frozenset(event.type for event in events)
        for event in events:
            self._account.add(event)
            self._view.feed(event)
        if self._view.overflows and self._account.size > self._look_at and not self._view.done:
            self._look_at = self._account.size + _LOOK_BYTES
            self._jump()
        return bool(events)

    def _jump(self) -> None:
        found = self._bridge()
        if found is None:
            return
        self._feed.close()
        self._view.skip(found.stream, found.lines)
        for event in found.events:
            self._view.feed(event)

    def _bridge(self) -> Bridge | None:
        budget = self._view.budget
        try:
            last = next(iter(self._job.events(tail=1, follow=False)), None)
            if last is None or last.type != "ended" or not _is_far(self._account, last):
                return None
            for count in _TAILS:
                end = list(self._job.events(tail=count, follow=False))
                found = bridge(self._account, end, budget.tail_lines, budget.tail_chars)
                if found is not None:
                    return found
        except UserError:
            pass  # what is read step by step will tell of the trouble
        return None


def _is_far(account: Account, ended: Event) -> bool:
    total = sum(count.bytes for count in (ended.streams or {}).values())
    return total - account.size > _LOOK_BYTES
