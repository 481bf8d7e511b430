"""Times of day as cards and lines show them."""

from __future__ import annotations

import time

#: Seconds since 1970 that every platform's calendar knows.
_LATEST = 4e9


def clock(at: float | None = None) -> str:
    """The time of day at ``at``, or now, to the second: ``14:02:11``."""
    return time.strftime("%H:%M:%S", _local(at))


def until(at: float, now: float | None = None) -> str:
    """The time ``at``, which is to come: ``14:20``, with its day when that is another one."""
    when, today = _local(at), _local(now)
    same_day = (when.tm_year, when.tm_yday) == (today.tm_year, today.tm_yday)
    return time.strftime("%H:%M" if same_day else "%d %b %H:%M", when)


def _local(at: float | None) -> time.struct_time:
    # an agent may say anything
    return time.localtime(None if at is None else min(max(at, 0.0), _LATEST))
