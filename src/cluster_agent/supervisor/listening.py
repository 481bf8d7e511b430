"""Which channel has something to say.

A stream that floods is left to gather for a moment, so that it comes in large pieces and most of the processor
stays with the job; a single line is heard at once.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterable

from cluster_agent.supervisor.channels import Control, Pipe

#: Output that follows the last piece within this time is a flood; it rests as long, unless the piece was big.
FLOOD_S = 0.001
BIG_PIECE_BYTES = 2**16


class Listener:
    """Waits for signals, frames and output."""

    def __init__(self, signals: int, control: Control, pipes: Iterable[Pipe]) -> None:
        self._everything = selectors.DefaultSelector()
        self._no_pipes = selectors.DefaultSelector()
        self._signals_only = selectors.DefaultSelector()
        for selector in (self._everything, self._no_pipes, self._signals_only):
            selector.register(signals, selectors.EVENT_READ)
        for selector in (self._everything, self._no_pipes):
            selector.register(control, selectors.EVENT_READ)
        for pipe in pipes:
            self._everything.register(pipe, selectors.EVENT_READ)
        self._last_output = 0.0
        self._rest_until = 0.0

    def wait(self, patience_s: float, *, signals_only: bool) -> set[object]:
        """What is ready, after ``patience_s`` at the latest."""
        if signals_only:
            selector = self._signals_only
        elif (rest_s := self._rest_until - time.monotonic()) > 0:
            selector = self._no_pipes
            patience_s = min(patience_s, rest_s)
        else:
            selector = self._everything
        return {key.fileobj for key, _ in selector.select(patience_s)}

    def heard(self, count: int, now: float) -> None:
        """Take note that a pipe gave ``count`` bytes."""
        if count < BIG_PIECE_BYTES and now - self._last_output < FLOOD_S:
            self._rest_until = now + FLOOD_S
        self._last_output = now

    def forget(self, channel: Control | Pipe) -> None:
        """Listen no more to a channel that was closed."""
        for selector in (self._everything, self._no_pipes):
            if channel in {key.fileobj for key in selector.get_map().values()}:
                selector.unregister(channel)
