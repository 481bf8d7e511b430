"""Tells all who wait that something has changed, and not more often than it is cheap to look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
#: Looking may take this part of the time.
_PART = 0.1


class Pulse:
    """A change that many wait for. Beats that come while looking is still paid for are put together."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._next_at = 0.0
        self._later: asyncio.TimerHandle | None = None

    @property
    def change(self) -> asyncio.Event:
        """Set at the next beat; take it before looking at what may change."""
        return self._changed

    def beat(self) -> None:
        """Something has changed."""
        if self._later is None:
            wait_s = max(0.0, self._next_at - time.monotonic())
            self._later = asyncio.get_running_loop().call_later(wait_s, self._tell)

    def look(self, question: Callable[[], T]) -> T:
        """The answer to ``question``, whose time counts for how often there are beats."""
        began = time.monotonic()
        answer = question()
        now = time.monotonic()
        self._next_at = now + (now - began) / _PART
        return answer

    def _tell(self) -> None:
        self._later = None
        self._changed.set()
        self._changed = asyncio.Event()
