"""A copy of the package whose wall clock can be set, for agent, supervisors and jobs alike."""

from __future__ import annotations

import time
from pathlib import Path

from broken import copy_package

_SET_CLOCK = """\
import time
_true = time.time

def _set():
    try:
        with open({path!r}) as file:
            return _true() + float(file.read())
    except FileNotFoundError:
        return _true()

time.time = _set
"""


class WallClock:
    """The clock of the processes that ``python`` runs."""

    def __init__(self, folder: Path) -> None:
        self.python = copy_package(folder)
        self._path = folder / "ahead"
        (folder / "src" / "set_clock.py").write_text(
            _SET_CLOCK.format(path=str(self._path)), encoding="utf-8"
        )
        [paths] = folder.glob("lib/*/site-packages/copy.pth")
        with paths.open("a", encoding="utf-8") as file:
            file.write("import set_clock\n")
        self._ahead_s = 0.0

    def set(self, ahead_s: float) -> None:
        """Set the clock to so many seconds before, or behind, the true time."""
        new = self._path.with_name("new")
        new.write_text(str(ahead_s), encoding="ascii")
        new.replace(self._path)
        self._ahead_s = ahead_s

    def now(self) -> float:
        """What it tells."""
        return time.time() + self._ahead_s
