"""The lock of an event log: ``fcntl.lockf``, since a killed holder loses it at once.

(flock stays with a child that the holder forked.) A process also loses it when it closes *any* descriptor of
the file. So within a process that may hold the lock, every other descriptor of a log is closed by
:func:`close_descriptor`, which waits for the lock to be given back.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

_Key = tuple[int, int]

#: Files whose lock this process holds, and descriptors of theirs that wait to be closed.
_held: dict[_Key, list[int]] = {}
#: Re-entrant, for the collector may close a forgotten reader at any moment.
_guard = threading.RLock()


class LogTaken(Exception):
    """Another process holds the log's lock, or another writer of this one does."""


class Lock:
    """The lock of one file, and the descriptor that holds it."""

    def __init__(self, descriptor: int, key: _Key) -> None:
        self.descriptor = descriptor
        self._key = key

    @classmethod
    def take(cls, path: Path) -> Lock:
        """The lock of the file at ``path``, which is made when absent.

        Raises
        ------
        LogTaken
            When it is held already, by whomever.
        """
        with _guard:
            descriptor, key = _open_locked(path)
            _held[key] = []
        return cls(descriptor, key)

    def give_back(self) -> None:
        """Let others take it; again does nothing."""
        with _guard:
            if self.descriptor >= 0:
                for descriptor in (self.descriptor, *_held.pop(self._key)):
                    os.close(descriptor)
                self.descriptor = -1


def close_descriptor(descriptor: int) -> None:
    """Close a descriptor of a log, but not before this process has given back that log's lock."""
    status = os.fstat(descriptor)
    with _guard:
        waiting = _held.get((status.st_dev, status.st_ino))
        if waiting is None:
            os.close(descriptor)
        else:
            waiting.append(descriptor)


def _open_locked(path: Path) -> tuple[int, tuple[int, int]]:
    """A descriptor of the file with its lock, and the file's identity; called with the guard held."""
    try:
        status = path.stat()
    except FileNotFoundError:
        pass
    else:
        # opening and closing it to find out would drop the lock that this very process holds
        if (status.st_dev, status.st_ino) in _held:
            raise LogTaken(f"this process already writes {path}")
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        os.close(descriptor)
        raise LogTaken(f"another process writes {path}") from None
    except OSError:
        os.close(descriptor)
        raise
    status = os.fstat(descriptor)
    return descriptor, (status.st_dev, status.st_ino)
