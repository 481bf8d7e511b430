"""The job that this process is, for the other modules of the kit; None outside a job."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Optional

    from mlmagics_job.channel import Channel
    from mlmagics_job.streams import Pair

#: Folder of the kit's own code; its frames are no news to the author of a cell.
KIT_CODE = os.path.dirname(os.path.abspath(__file__)) + os.sep

#: Addresses only, as long as nobody writes there.
_RESERVE_BYTES = 1 << 26


class Job:
    """What the kit knows about the job, and the ways out of its process."""

    def __init__(self, order: dict[str, Any], channel: Channel, streams: Pair, main: ModuleType) -> None:
        self.title: str = order["title"]
        self.source: str = order["source"]
        #: variables that are kept when the cell has ended well
        self.fetch: list[str] = order.get("fetch") or []
        self.filename = "<cell %s>" % self.title
        self.channel = channel
        self.streams = streams
        self.main = main
        self.pid = os.getpid()
        self._shell: Any = None
        #: given back before an error is reported, for it may be that there is no memory left
        self.reserve = bytes(_RESERVE_BYTES)

    @property
    def in_child(self) -> bool:
        """Whether this is a forked child, which speaks for itself only."""
        return os.getpid() != self.pid

    @property
    def has_shell(self) -> bool:
        """Whether an IPython shell has been made."""
        return bool(self._shell)

    def shell(self) -> Any:
        """The IPython shell of this job, made on first use; None where IPython is missing or does not work."""
        if self._shell is None:
            self._shell = False  # also while it is being made, and when that fails
            try:
                from mlmagics_job.shell import create

                self._shell = create(self)
            except Exception as error:
                if not (
                    isinstance(error, ModuleNotFoundError) and error.name == "IPython"
                ) and not isinstance(error, MemoryError):
                    text = "IPython of this environment does not work, going on without it: %s: %s\n"
                    sys.stderr.write(text % (type(error).__name__, error))
        return self._shell or None

    def send(self, frame: dict[str, Any]) -> None:
        """Send ``frame`` behind all that was printed so far, and wait until it is recorded.

        A forked child does not wait: the answers belong to its parent.
        """
        self.streams.flush()
        self.channel.send(frame, wait=not self.in_child)

    def remember_source(self) -> None:
        """Let tracebacks, warnings and ``inspect`` find the lines of the cell."""
        cache = sys.modules["linecache"].cache
        cache[self.filename] = (len(self.source), None, self.source.splitlines(True), self.filename)


#: Set once, by :mod:`mlmagics_job.job`.
current: Optional[Job] = None
