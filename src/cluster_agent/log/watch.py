"""Waiting until a log has grown: woken by the kernel where it can, else by looking again and again."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

from cluster_agent.log.inotify import Inotify
from cluster_agent.log.lock import close_descriptor, open_log

#: A look at the file all the same, should a wake-up get lost.
_SAFETY_S = 1.0
_FIRST_POLL_S, _LONGEST_POLL_S = 0.05, 1.0


@dataclass(slots=True)
class _Folder:
    """A watched folder and who waits for news of it."""

    watch: int
    users: int = 0
    waiting: set[asyncio.Future[None]] = field(default_factory=set)


class LogWatcher:
    """Tells any number of readers that their logs have grown; for one event loop."""

    def __init__(self) -> None:
        self._inotify: Inotify | None = None
        self._tried = False
        self._folders: dict[int, _Folder] = {}

    async def grown(self, path: Path, beyond: int, timeout_s: float) -> bool:
        """True once the log at ``path`` has a whole line behind byte ``beyond``; False after ``timeout_s``.

        A log that does not exist yet is empty.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        poll_s = _FIRST_POLL_S
        # watched before the first look, so that nothing can happen in between
        folder = self._watch(path.parent)
        try:
            while not _has_line(path, beyond):
                left_s = deadline - loop.time()
                if left_s <= 0:
                    return False
                if folder is None:
                    await asyncio.sleep(min(left_s, poll_s))
                    poll_s = min(2 * poll_s, _LONGEST_POLL_S)
                else:
                    await _news(folder, min(left_s, _SAFETY_S))
            return True
        finally:
            if folder is not None:
                self._unwatch(folder)

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


def _has_line(path: Path, beyond: int) -> bool:
    """Whether a whole line is there: half a line that nobody will finish must wake nobody."""
    try:
        if path.stat().st_size <= beyond:
            return False
    except FileNotFoundError:
        return False
    descriptor = open_log(path)
    if descriptor is None:
        return False
    try:
        while block := os.pread(descriptor, 65536, beyond):
            if b"\n" in block:
                return True
            beyond += len(block)
        return False
    finally:
        close_descriptor(descriptor)
