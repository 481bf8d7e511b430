"""What readers of logs may take of the agent, so that those who submit do not wait behind them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

_THREADS = 2
#: What all followers together hold at once, and what each may hold in any case.
_HELD_BYTES, _LEAST_BYTES = 8 * 2**20, 8192
#: So many followers do something between two looks at what else there is to do: a few milliseconds of work.
_AT_ONCE = 16


class Reading:
    """The threads in which logs are taken apart, and the memory for what has not been sent."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="reading")
        self._followers = 0
        #: who waits for a turn, and how many more have theirs before others are looked at
        self._turns: deque[asyncio.Future[None]] = deque()
        self._left = _AT_ONCE

    async def turn(self) -> None:
        """Return when a follower may do its next piece of work; at once where they are few."""
        loop = asyncio.get_running_loop()
        if self._left == _AT_ONCE:
            loop.call_soon(self._next_turns)
        if self._left > 0:
            self._left -= 1
            return
        turn = loop.create_future()
        self._turns.append(turn)
        await turn

    def _next_turns(self) -> None:
        """Give turns to those who wait longest; called once everybody else has been looked at."""
        self._left = _AT_ONCE
        while self._turns and self._left > 0:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                self._left -= 1
        if self._left < _AT_ONCE:
            asyncio.get_running_loop().call_soon(self._next_turns)

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
