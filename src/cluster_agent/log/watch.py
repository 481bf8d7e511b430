"""Waiting until a log has grown: woken by the kernel where it can, else by looking again and again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cluster_agent.log.inotify import Inotify

T = TypeVar("T")

#: A look at the file all the same, should a wake-up get lost.
_SAFETY_S = 1.0
_FIRST_POLL_S, _LONGEST_POLL_S = 0.05, 1.0


@dataclass(slots=True)
class _Folder:
    """A watched folder and who waits for news of it."""

    watch: int
    users: int = 0
    waiting: set[asyncio.Future[None]] = field(default_factory=set)


class Watch:
    """Wakes who waits for something to happen in a folder."""

    def __init__(self, folder: _Folder | None) -> None:
        self._folder = folder

    async def until(self, look: Callable[[], T], timeout_s: float) -> T:
        """What ``look`` finds, once that is true; after ``timeout_s`` what it found last."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        poll_s = _FIRST_POLL_S
        while not (found := look()):
            left_s = deadline - loop.time()
            if left_s <= 0:
                break
            if self._folder is None:
                await asyncio.sleep(min(left_s, poll_s))
                poll_s = min(2 * poll_s, _LONGEST_POLL_S)
            else:
                await _news(self._folder, min(left_s, _SAFETY_S))
        return found


class LogWatcher:
    """Tells any number of readers that their logs have grown; for one event loop."""

    def __init__(self) -> None:
        self._inotify: Inotify | None = None
        self._tried = False
        self._folders: dict[int, _Folder] = {}

    @contextlib.contextmanager
    def watch(self, folder: Path) -> Iterator[Watch]:
        """A watch on what happens in ``folder``, such as that a log in it grows; take it before the first look."""
        found = self._watch(folder)
        try:
            yield Watch(found)
        finally:
            if found is not None:
                self._unwatch(found)

    def close(self) -> None:
        """Watch nothing any more; who still waits goes on by looking once a second."""
        if self._inotify is not None:
            asyncio.get_running_loop().remove_reader(self._inotify.fileno())
            self._inotify.close()
            self._inotify = None

    def _watch(self, path: Path) -> _Folder | None:
        inotify = self._start()
        if inotify is None:
            return None
        try:
            watch = inotify.add(path)
        except OSError:
            return None
        folder = self._folders.setdefault(watch, _Folder(watch))
        folder.users += 1
        return folder

    def _unwatch(self, folder: _Folder) -> None:
        folder.users -= 1
        if folder.users == 0:
            del self._folders[folder.watch]
            if self._inotify is not None:
                self._inotify.remove(folder.watch)

    def _start(self) -> Inotify | None:
        if not self._tried:
            self._tried = True
            try:
                self._inotify = Inotify()
            except OSError:
                return None
            asyncio.get_running_loop().add_reader(self._inotify.fileno(), self._wake)
        return self._inotify

    def _wake(self) -> None:
        assert self._inotify is not None
        watches = self._inotify.read()
        for folder in self._folders.values():
            if watches is None or folder.watch in watches:
                for future in folder.waiting:
                    _resolve(future)


async def _news(folder: _Folder, timeout_s: float) -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    folder.waiting.add(future)
    timer = loop.call_later(timeout_s, _resolve, future)
    try:
        await future
    finally:
        timer.cancel()
        folder.waiting.discard(future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
