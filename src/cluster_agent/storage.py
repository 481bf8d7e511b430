"""Whether the disk of the home keeps what is written, and the reserve for the time when it is full.

A state (a wish, a closed start, an end, a row of the database) must be writable although jobs have filled the
disk: the reserve is given up for it, a part at a time. New jobs must not be taken in by what is left. So after
any refusal nothing is accepted until a probe was written and synced and the reserve is whole again.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from cluster_agent.errors import StorageFault
from cluster_agent.folder import allocate, write_durably

_log = logging.getLogger(__name__)
T = TypeVar("T")

_PARTS = 16
_LEAST_PART_BYTES = 4096
#: As many new files as a job and its states need: a file system can run out of these before it is full.
_LEAST_FILES = 16
#: A reserve takes no more than this part of a small disk.
_SHARE = 32
#: Between two looks, while the disk refuses and otherwise.
_TRY_S, _LOOK_S = 1.0, 2.0
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Storage:
    """The disk of one home; for all threads of the agent.

    Parameters
    ----------
    home
        The home's folder.
    reserve_bytes
        Size of the reserve on a disk that is large enough.
    """

    def __init__(self, home: Path, reserve_bytes: int) -> None:
        self._folder = home / "reserve"
        self._probe = home / "probe"
        self._wanted_bytes = reserve_bytes
        self._part_bytes = 0
        self._guard = threading.Lock()
        #: what the disk answered since it was last seen to work, None when all is well
        self.fault: str | None = None

    def check(self) -> None:
        """Refuse what would have to be kept while the disk is in doubt, or full.

        Raises
        ------
        StorageFault
            With what the disk has answered.
        """
        if self.fault is None and (lack := self._lack()):
            self.report(lack)
        if self.fault is not None:
            raise StorageFault(f"the agent's disk refuses to write ({self.fault}); nothing was accepted")

    def report(self, answer: str) -> None:
        """Take note that the disk has refused something."""
        if self.fault is None:
            _log.error("the disk of the home refuses to write: %s; nothing is accepted until it does", answer)
        self.fault = answer

    def keep(self, write: Callable[[], T]) -> T:
        """The result of ``write``, which keeps a state; on a full disk again with a part of the reserve.

        Blocking. Raises the last OSError when the reserve does not help.
        """
        while True:
            try:
                return write()
            except OSError as error:
                self.report(error.strerror or str(error))
                if error.errno not in _FULL or not self.give_up_part():
                    raise

    def give_up_part(self) -> bool:
        """Free a part of the reserve; False when nothing is left of it."""
        with self._guard:
            for part in self._parts():
                try:
                    part.unlink()
                except OSError:
                    continue
                return True
        return False

    def verify(self) -> bool:
        """Write and sync a probe and fill the reserve; whether the disk is as it should be. Blocking."""
        try:
            write_durably(self._probe, b"a probe\n")
            self._probe.unlink()
            with self._guard:
                self._fill()
        except OSError as error:
            self.report(self._lack() or error.strerror or str(error))
            return False
        if lack := self._lack():
            self.report(lack)
            return False
        if self.fault is not None:
            _log.warning("the disk of the home takes writes again")
        self.fault = None
        return True

    async def watch(self) -> None:
        """Look at the disk for ever: soon again while it refuses."""
        while True:
            if self.fault is not None or self._lack() or len(list(self._parts())) < _PARTS:
                await asyncio.to_thread(self.verify)
            await asyncio.sleep(_LOOK_S if self.fault is None else _TRY_S)

    def _lack(self) -> str | None:
        """What there is nothing of, or next to nothing, beside the reserve; None when there is enough."""
        try:
            found = os.statvfs(self._folder)
        except OSError:
            return None  # whoever writes will be told what is wrong
        if found.f_bavail * found.f_frsize < self._part_bytes:
            return os.strerror(errno.ENOSPC)
        # file systems that make room for files as they come tell 0 in all
        if found.f_files and found.f_favail < _LEAST_FILES:
            return "no more files can be made, as all inodes are in use"
        return None

    def _fill(self) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._part_bytes = self._part_bytes or self._right_part_bytes()
        for number in range(_PARTS):
            part = self._folder / f"{number:02}"
            if not part.exists():
                allocate(part, self._part_bytes)

    def _right_part_bytes(self) -> int:
        total = shutil.disk_usage(self._folder).total
        return max(_LEAST_PART_BYTES, min(self._wanted_bytes, total // _SHARE) // _PARTS)

    def _parts(self) -> Iterator[Path]:
        return self._folder.glob("[0-9][0-9]")
