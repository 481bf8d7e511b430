"""The time by which an agent plans. The wall clock may step (set by hand, put right by NTP); time goes on evenly."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Less is no step but what two readings in a row may differ by.
_STEP_S = 1.0


class Clock:
    """Unix seconds as the wall clock tells them, which all move together when it steps.

    Parameters
    ----------
    stepped
        Called with the seconds of each step, so that what was remembered by the old time can be moved along.
    """

    def __init__(self, stepped: Callable[[float], None]) -> None:
        self._stepped = stepped
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """The time now, Unix seconds."""
        self._look()
        return time.monotonic() + self._offset

    def at(self, moment: float) -> float:
        """The Unix time that ``moment``, in monotonic seconds, is by the clock as it is set now."""
        return moment + self._offset

    def _look(self) -> None:
        offset = time.time() - time.monotonic()
        step = offset - self._offset
        if abs(step) > _STEP_S:
            self._offset = offset
            self._stepped(step)
