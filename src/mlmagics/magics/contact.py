"""Says when contact with a cluster is lost while a cell waits, and when it is there again."""

from __future__ import annotations

import time

from mlmagics.display.watch import clock
from mlmagics.display.writing import say

#: Trouble shorter than this is not worth a line.
_TROUBLE_S = 5.0


class Contact:
    """The contact with one cluster, as long as one cell waits for it."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._since: float | None = None
        self._told = False

    def tell(self, trouble: str | None) -> None:
        """Say what is new about ``trouble``; None while there is contact."""
        if trouble is None:
            if self._told:
                say(f"Contact with {self._cluster} again, as of {clock()}")
            self._since, self._told = None, False
            return
        now = time.monotonic()
        self._since = self._since or now
        if not self._told and now - self._since > _TROUBLE_S:
            self._told = True
            say(
                f"No contact with {self._cluster} as of {clock()} ({trouble}); the job is not affected, "
                "trying again"
            )
