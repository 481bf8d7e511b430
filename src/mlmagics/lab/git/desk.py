"""Git for all handlers: one in each server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from mlmagics.lab.git.cancelling import Cancel
from mlmagics.lab.git.keeping import Vault
from mlmagics.lab.git.looking import Looker
from mlmagics.lab.git.repository import Repository
from mlmagics.lab.git.tasks import Message, Tasks
from mlmagics.lab.git.trust import Trust

#: Where the handlers find it among the settings of the Jupyter server.
SETTING = "mlmagics_git"
#: Calls at once; their own threads, so that a slow disk under a repository does not hold up jobs and clusters.
_THREADS = 8
T = TypeVar("T")


class Desk:
    """What calls on git share."""

    def __init__(self, config: Path, tell: Callable[[Message], None]) -> None:
        """``tell`` is called on the event loop that the handlers run on."""
        self._board = tell
        self._loop: asyncio.AbstractEventLoop | None = None
        self.trust = Trust(config)
        self.vault = Vault(config)
        self.looker = Looker()
        self.tasks = Tasks(self._tell)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="mlmagics-git")

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` gives, done in a thread."""
        self._loop = asyncio.get_running_loop()
        return await self._loop.run_in_executor(self._threads, work)

    def repository(self, served: Path, path: str, cancel: Cancel) -> Repository:
        """The repository of ``path`` below the folder ``served``. Blocks."""
        return Repository(served, path, self.trust, cancel=cancel)

    def turn(self, repository: Repository) -> AbstractContextManager[None]:
        """The right to change its files and index."""
        return self.tasks.turn(str(repository.folder))

    def close(self) -> None:
        """End everything that is under way."""
        self.tasks.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _tell(self, message: Message) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._board, message)
