"""What all handlers share: the session with its clients, threads for all that blocks, streams that are open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from cluster_agent.client import Hook
from mlmagics.cluster.session import Session
from mlmagics.errors import UserError
from mlmagics.lab.board import Board
from mlmagics.lab.looking import Looking

#: Where the handlers find it among the settings of the Jupyter server.
SETTING = "mlmagics_back"
#: Questions to agents that are asked at once; each has its own time limit.
_QUESTIONS = 16
#: Answers that are passed on at once, followed logs among them.
_STREAMS = 64
T = TypeVar("T")


class TooManyStreams(UserError):
    """Too many logs are being followed through this Jupyter server: close some of their tabs."""

    code = "too_many_streams"


class Back:
    """One for each Jupyter server. Its methods are called on the server's event loop."""

    def __init__(self, session: Session, base_url: str) -> None:
        self.session = session
        self.looking = Looking(session, base_url)
        self.board = Board(self.run, self.looking)
        self._questions = ThreadPoolExecutor(_QUESTIONS, thread_name_prefix="mlmagics-lab")
        self._streams = ThreadPoolExecutor(_STREAMS, thread_name_prefix="mlmagics-lab-stream")
        self._hooks: set[Hook] = set()

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` gives, done in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._questions, work)

    async def run_stream(self, work: Callable[[], None]) -> None:
        """Do ``work``, which may last for hours, in a thread."""
        await asyncio.get_running_loop().run_in_executor(self._streams, work)

    @contextmanager
    def stream(self) -> Iterator[Hook]:
        """A hook that ends a stream; hung up by whoever had asked for it, or when the server stops.

        Raises
        ------
        TooManyStreams
            When there are as many as threads for them.
        """
        if len(self._hooks) >= _STREAMS:
            raise TooManyStreams()
        hook = Hook()
        self._hooks.add(hook)
        try:
            yield hook
        finally:
            self._hooks.discard(hook)

    def close(self) -> None:
        """End everything that is under way."""
        self.board.close()
        for hook in self._hooks:
            hook.hang_up()
        self._questions.shutdown(wait=False, cancel_futures=True)
        self._streams.shutdown(wait=False, cancel_futures=True)
