"""What readers of logs may take of the agent, so that those who submit do not wait behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

_THREADS = 2
#: What all followers together hold at once, and what each may hold in any case.
_HELD_BYTES, _LEAST_BYTES = 8 * 2**20, 8192


class Reading:
    """The threads in which logs are taken apart, and the memory for what has not been sent."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="reading")
        self._followers = 0

    async def work(self, read: Callable[..., T], *values: object) -> T:
        """What ``read`` makes of ``values``, in a thread for readers; it must be short."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, read, *values)

    @property
    def followers(self) -> int:
        """How many logs are being sent at present."""
        return self._followers

    @contextmanager
    def following(self) -> Iterator[None]:
        """One more holds a part of a log while the block runs."""
        self._followers += 1
        try:
            yield
        finally:
            self._followers -= 1

    def share(self, most: int) -> int:
        """How many bytes a follower may hold at once: ``most``, or less where they are many."""
        return max(_LEAST_BYTES, min(most, _HELD_BYTES // max(1, self._followers)))
