"""The agent's wishes, as a supervisor sees them."""

from __future__ import annotations

import msgspec

from cluster_agent.folder import JobFolder, Wish
from cluster_agent.supervisor.record import note


class Wishes:
    """The wish file, read again when it has changed."""

    def __init__(self, folder: JobFolder) -> None:
        self._folder = folder
        self._seen: tuple[int, int, int] | None = None
        self.wish = Wish()

    def read(self) -> Wish:
        """The wish in force, also as ``wish`` from now on. One that cannot be understood changes nothing."""
        try:
            status = self._folder.control.stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            if seen != self._seen:
                self.wish = self._folder.read_wish()
                self._seen = seen
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as error:
            note(f"cannot read {self._folder.control}: {error}")
        return self.wish
