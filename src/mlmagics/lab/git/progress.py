"""How far git is, from what it writes to its standard error. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_STEP = re.compile(
    r"(?:remote: )?(?P<what>[A-Z][A-Za-z ]{2,40}):\s+(?P<percent>\d{1,3})% \((?P<done>\d+)/(?P<all>\d+)\)"
)
_REBASE = re.compile(r"Rebasing \((?P<done>\d+)/(?P<all>\d+)\)")
_REMOTE = "remote:"
_CONTROL = re.compile(r"\x1b\[[0-9;:?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
#: Of what a remote says.
LINES = 20
_LINE_CHARS = 500


class Step(NamedTuple):
    """What git is at."""

    text: str
    #: from 0 to 1
    fraction: float


class Reader:
    """Takes what git writes, in any pieces; keeps the last step and the words of the remote."""

    def __init__(self) -> None:
        self.step: Step | None = None
        self.remote_says: list[str] = []
        self._rest = ""

    def take(self, data: bytes) -> bool:
        """Whether ``data`` has brought a new step."""
        text = self._rest + data.decode("utf-8", "replace")
        *lines, self._rest = re.split(r"[\r\n]", text)
        # a remote that never ends its line must not fill the memory
        self._rest = self._rest[-2 * _LINE_CHARS :]
        before = self.step
        for line in lines:
            self._line(line)
        return self.step != before

    def _line(self, line: str) -> None:
        step = read_step(line)
        if step is not None:
            self.step = step
        elif line.startswith(_REMOTE):
            said = plain(line[len(_REMOTE) :]).strip()
            if said and len(self.remote_says) < LINES and not said.startswith(("Total ", "Enumerating ")):
                self.remote_says.append(said)


def read_step(line: str) -> Step | None:
    """The step that a line tells, or None."""
    rebase = _REBASE.match(line)
    if rebase is not None:
        return Step(f"Rebasing: {rebase['done']} of {rebase['all']}", _share(rebase))
    found = _STEP.match(line)
    if found is None:
        return None
    return Step(f"{found['what']}: {int(found['percent'])} %", _share(found))


def _share(found: re.Match[str]) -> float:
    return round(min(1.0, int(found["done"]) / max(1, int(found["all"]))), 3)


def plain(text: str) -> str:
    """``text`` of somebody else as one that can be shown: no control characters, not too long."""
    return _CONTROL.sub("", text)[:_LINE_CHARS]


def lines_of(text: str) -> Iterator[str]:
    """The lines of what git has written, without those that tell progress."""
    for line in re.split(r"[\r\n]+", text):
        if line.strip() and read_step(line) is None:
            yield plain(line)
