"""How fast a cell is written to: Jupyter Server drops, for good, what comes faster than it can pass on."""

from __future__ import annotations

import time

#: The server's limits are 1,000 messages and 1 MB of text a second, taken over 3 s; half of it leaves room for
#: others, and ten a second are as much as eyes can follow. It does not count what is displayed, but networks do.
MESSAGES_PER_S = 10
_TEXT_BYTES_PER_S = 500_000
_DISPLAY_BYTES_PER_S = 4_000_000


class Pace:
    """Tells when the next message may go out, so that on average the limits hold. Several at once make a longer pause."""

    def __init__(self) -> None:
        self._free_at = 0.0

    @property
    def wait_s(self) -> float:
        """Seconds until the next message may go out."""
        return max(0.0, self._free_at - time.monotonic())

    def wait(self) -> None:
        """Return when the next message may go out."""
        time.sleep(self.wait_s)

    def sent(self, size: int, *, text: bool = True) -> None:
        """Take note of a message of ``size`` bytes: of a stream's ``text``, or a display."""
        cost = max(1 / MESSAGES_PER_S, size / (_TEXT_BYTES_PER_S if text else _DISPLAY_BYTES_PER_S))
        self._free_at = max(time.monotonic(), self._free_at) + cost


def message_bytes(text: str) -> int:
    """About as many bytes as ``text`` has in a message: escape characters are written as six."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return size + 5 * text.count("\x1b") + text.count("\n") + text.count('"')
