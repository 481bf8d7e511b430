"""Job ids that never come twice, whatever happens to the database.

The next id is above all of: the database, the job folders, the identity's ``first_id`` and the ``next-id``
file. That file holds two numbers: ``ahead``, synced before any id below it is given (a power cut cannot
undo it), and ``exact``, written without a sync (a killed agent cannot undo it). After a reboot ``ahead``
counts, otherwise ``exact``, so that ids have a gap only where the machine went down.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from cluster_agent.folder import write_durably

#: How many ids one sync covers.
BLOCK = 1000


class _Mark(msgspec.Struct, frozen=True):
    ahead: int
    exact: int
    boot_id: str


class IdSource:
    """Gives job ids in rising order.

    Parameters
    ----------
    path
        The ``next-id`` file.
    at_least
        One above the highest id known from elsewhere.
    boot_id
        Of this boot.
    """

    def __init__(self, path: Path, *, at_least: int, boot_id: str) -> None:
        self._path = path
        self._boot_id = boot_id
        self._next = max(at_least, self._after_file())
        self._ahead = 0
        self._sync_ahead()
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)

    def take(self) -> int:
        """An id that was never given before and never will be."""
        if self._next >= self._ahead:
            self._sync_ahead()
            os.close(self._descriptor)
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        taken = self._next
        self._next += 1
        os.pwrite(self._descriptor, self._mark(), 0)
        return taken

    def given(self, job_id: int) -> bool:
        """Whether the id is one of those that were given, or skipped."""
        return 0 < job_id < self._next

    def close(self) -> None:
        """Make the exact number durable, so that a reboot after this leaves no gap."""
        os.close(self._descriptor)
        self._ahead = self._next
        write_durably(self._path, self._mark())

    def _after_file(self) -> int:
        try:
            mark = msgspec.json.decode(self._path.read_bytes(), type=_Mark)
        except FileNotFoundError:
            return 1
        rebooted = mark.boot_id != self._boot_id
        return mark.ahead if rebooted or not mark.boot_id else mark.exact

    def _sync_ahead(self) -> None:
        self._ahead = self._next + BLOCK
        write_durably(self._path, self._mark())

    def _mark(self) -> bytes:
        # A fixed width, so that overwriting in place never leaves a longer line's rest behind.
        return msgspec.json.encode(_Mark(self._ahead, self._next, self._boot_id)).ljust(160)


def highest_folder(jobs: Path) -> int:
    """The highest id among the job folders, 0 when there are none."""
    with os.scandir(jobs) as entries:
        return max((int(entry.name) for entry in entries if entry.name.isdigit()), default=0)


def highest_marked(path: Path) -> int:
    """The highest id that the ``next-id`` file at ``path`` says may have been given, 0 without one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Mark).ahead - 1
    except FileNotFoundError:
        return 0
