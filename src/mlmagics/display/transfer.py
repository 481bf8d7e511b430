"""A line that tells how far a transfer is, for those that take more than a second."""

from __future__ import annotations

import sys
import time
from typing import Any

from cluster_agent.units import format_size

_AFTER_S = 1.0
_EVERY_S = 0.3
_WIDTH = 30


class Transfer:
    """Shows ``total`` bytes on their way; gone when it is over."""

    def __init__(self, total: int, verb: str = "sending") -> None:
        self._total = total
        self._verb = verb
        self._done = 0
        self._began = time.monotonic()
        self._shown_at = self._began + _AFTER_S - _EVERY_S
        self._show: Any = None
        #: what is under way
        self.name = ""

    def moved(self, name: str, count: int) -> None:
        """Take note of ``count`` more bytes of ``name``."""
        self.name = name
        self._done += count
        now = time.monotonic()
        if now - self._shown_at >= _EVERY_S:
            self._shown_at = now
            self._tell(self.line(now - self._began))

    def line(self, seconds: float) -> str:
        """What is shown after so many seconds."""
        share = min(1.0, self._done / self._total) if self._total else 1.0
        bar = "█" * round(share * _WIDTH)
        rate = format_size(int(self._done / seconds)) if seconds > 0 else "0 bytes"
        return (
            f"{self._verb} {self.name} |{bar:░<{_WIDTH}}| {format_size(self._done)} of {format_size(self._total)}, "
            f"{rate}/s"
        )

    def close(self) -> None:
        """Take the line away."""
        if self._show is not None:
            self._show("")

    def _tell(self, line: str) -> None:
        if self._show is None:
            self._show = _in_notebook() or _in_terminal()
        self._show(line)


def _in_notebook() -> Any:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is None:
        return None
    from IPython.display import display

    handle = display({"text/plain": ""}, raw=True, display_id=True)
    return lambda line: handle.update({"text/plain": line}, raw=True)


def _in_terminal() -> Any:
    if not sys.stderr.isatty():
        return lambda _line: None

    def show(line: str) -> None:
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()

    return show
