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

#: What the kit has for environments that lack it.
LENT = os.path.join(os.path.dirname(os.path.dirname(KIT_CODE)), "lent")

#: Addresses only, as long as nobody writes there.
_RESERVE_BYTES = 1 << 26


class Job:
    """What the kit knows about the job, and the ways out of its process."""

    def __init__(self, order: dict[str, Any], channel: Channel, streams: Pair, main: ModuleType) -> None:
        #: as it came
        self.order = order
        self.title: str = order["title"]
        self.source: str = order["source"]
        #: variables that are kept when the cell has ended well
        self.fetch: list[str] = order.get("fetch") or []
        #: bytes of each variable, and of all, that are kept unasked; 0: none
        self.keep_each: int = order.get("keep_each") or 0
        self.keep_all: int = order.get("keep_all") or 0
        #: where results are written
        self.results: str = order.get("results") or ""
        #: ids of the values that the cell has found, by name
        self.given: dict[str, int] = {}
        self.filename = "<cell %s>" % self.title
        #: names of files that are none, such as the cell's, and their text
        self.texts: dict[str, str] = {self.filename: self.source}
        self.channel = channel
        self.streams = streams
        self.main = main
        self.pid = os.getpid()
        self._shell: Any = None
        #: given back before an error is reported, for it may be that there is no memory left
        self.reserve = bytes(_RESERVE_BYTES)

    @property
    def has_inputs(self) -> bool:
        """Whether anything came with the cell."""
        return any(self.order.get(part) for part in ("params", "sources", "values", "inputs"))

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

    def send(self, frame: dict[str, Any], fd: int | None = None) -> None:
        """Send ``frame`` behind all that was printed so far, and wait until it is recorded.

        With the open file ``fd``, if one is given. A forked child does not wait: the answers belong to its parent.
        """
        self.streams.flush()
        self.channel.send(frame, wait=not self.in_child, fd=fd)

    def remember_source(self) -> None:
        """Let tracebacks, warnings and ``inspect`` find the lines of the cell and of what came with it."""
        cache = sys.modules["linecache"].cache
        for name, text in self.texts.items():
            cache[name] = (len(text), None, text.splitlines(True), name)


#: Set once, by :mod:`mlmagics_job.job`.
current: Optional[Job] = None
