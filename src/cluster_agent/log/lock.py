"""The lock of an event log: ``fcntl.lockf``, since a killed holder loses it at once.

(flock stays with a child that the holder forked.) A process also loses it when it closes *any* descriptor of
the file. So within a process that may hold the lock, every other descriptor of a log is closed by
:func:`close_descriptor`, which waits for the lock to be given back.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from pathlib import Path

from cluster_agent.folder import give_to_owner_of

_Key = tuple[int, int]

#: Without following a link, and without waiting for the other side of a pipe.
_CAREFULLY = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

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


def open_log(path: Path) -> int | None:
    """A descriptor that reads the log at ``path``, opened without waiting; None when there is no such file.

    Jobs can write where their logs are: a link, pipe or folder that has taken a log's place is no log.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _CAREFULLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            return None
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


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
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | _CAREFULLY, 0o600)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "this is no regular file", str(path))
        give_to_owner_of(path.parent, descriptor)
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        os.close(descriptor)
        raise LogTaken(f"another process writes {path}") from None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor, (status.st_dev, status.st_ino)
