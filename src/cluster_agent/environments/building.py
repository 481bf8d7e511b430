"""Makes the environment of a job ready: locked, found on the shelf or built aside and put there. Blocking.

An environment is laid upon the interpreter that the job would have without it: it has its own packages first and
sees all those of the interpreter behind them (decision 16).
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cluster_agent.environments.base import EnvironmentOrder
from cluster_agent.environments.locking import Lock, parse_lock, resolve
from cluster_agent.environments.reasons import explain
from cluster_agent.environments.shelf import Card, Shelf
from cluster_agent.environments.uv import Uv, UvFailed, package_words
from cluster_agent.units import format_size

#: Between two looks at an environment that somebody else is building.
_LOOK_S = 0.2
_BELOW = "_mlmagics_below.pth"
#: Of what uv has said when it fails, the end.
_SAID_LENGTH = 64_000

Tell = Callable[[str], None]


class BuildFailed(Exception):
    """There is no such environment.

    Parameters
    ----------
    reason
        One line for people.
    said
        What uv said, for the job's log.
    """

    def __init__(self, reason: str, said: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.said = said


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """An environment in which the job can run."""

    #: its name on the shelf; empty when the interpreter below has everything already
    key: str
    #: its interpreter
    python: str


class Workbench:
    """Where the environment of one job is made ready.

    Parameters
    ----------
    boot_id
        Of this boot.
    tell
        Is told what is being done.
    """

    def __init__(self, order: EnvironmentOrder, *, boot_id: str, tell: Tell) -> None:
        self._order, self._base = order, order.base
        self._boot_id = boot_id
        self._tell = tell
        self._uv, self._shelf = Uv(order.uv, order.uv_variables), Shelf(order.shelf)

    def make_ready(self, keep: Callable[[str], None]) -> Ready:
        """The environment, built unless it is there; ``keep`` is given its lock as soon as there is one.

        Raises
        ------
        BuildFailed
            With the reason.
        """
        try:
            lock, size = self._lock()
            keep(lock.text)
            if not lock.lines:
                return Ready(key="", python=self._base.python)
            return self._on_shelf(lock, size)
        except UvFailed as error:
            said = str(error)
            raise BuildFailed(explain(said, self._base, self._order.shelf), said[-_SAID_LENGTH:]) from None
        except OSError as error:
            raise BuildFailed(f"its environment cannot be built: {error.strerror or error}") from None

    def _lock(self) -> tuple[Lock, int | None]:
        order, base = self._order, self._base
        if not order.lock:
            self._tell(f"choosing versions of {package_words(order.packages)}")
            return resolve(base, order.packages, self._uv, self._shelf.scratch())
        lock = parse_lock(order.lock)
        if lock.python.split(".")[:2] != base.version.split(".")[:2]:
            raise BuildFailed(
                f"the lock that is repeated is for Python {lock.python}, and this Python is {base.version}: run the"
                " cell again instead, so that versions are chosen for it"
            )
        if lock.base != base.fingerprint:
            self._tell("what is installed below it has changed since the lock was made")
        return lock, None

    def _on_shelf(self, lock: Lock, size: int | None) -> Ready:
        """The environment of ``lock``, once it is there."""
        key, shelf, waits = lock.key(self._base), self._shelf, False
        while not self._is_sound(key):
            hold = shelf.hold(key, exclusive=True)
            if hold is not None:
                try:
                    self._make(key, lock, size)
                    break
                finally:
                    hold.give_back()
            if not waits:
                waits = True
                self._tell(f"waiting for another job that is building environment {key}")
            time.sleep(_LOOK_S)
        else:
            self._tell(f"environment {key} has {package_words(lock.names)}")
        shelf.touch(key)
        return Ready(key=key, python=str(shelf.place(key) / "bin" / "python"))

    def _is_sound(self, key: str) -> bool:
        card = self._shelf.card(key)
        return card is not None and card.boot_id == self._boot_id

    def _make(self, key: str, lock: Lock, size: int | None) -> None:
        """Build the environment unless it is there. With its lock held."""
        card = self._shelf.card(key)
        if card is None:
            self._build(key, lock, size)
        elif card.boot_id != self._boot_id:
            # the machine went down since it was built: what was not on disk by then is gone, or half there
            if _is_whole(self._shelf.place(key)):
                self._shelf.note(key, msgspec.structs.replace(card, boot_id=self._boot_id))
            else:
                self._tell(f"environment {key} is damaged, as after a loss of power, and is built anew")
                self._build(key, lock, size, "--no-cache")

    def _build(self, key: str, lock: Lock, size: int | None, *options: str) -> None:
        count = len(lock.lines)
        much = f" ({format_size(size)})" if size else ""
        self._tell(f"installing {count} package{'s' * (count != 1)}{much}")
        began = time.monotonic()
        with self._shelf.aside(key) as new:
            self._uv.run(
                "venv", "--quiet", "--relocatable", "--no-project", "--python", self._base.python, new
            )
            packages = next(new.glob("lib/*/site-packages"))
            (packages / _BELOW).write_text(_see_below(self._base.folders), encoding="utf-8")
            wanted = new / "lock.txt"
            wanted.write_text(lock.text, encoding="utf-8")
            if lock.hashed:
                options = (*options, "--require-hashes")
            self._uv.run(
                "pip", "install", "--no-deps", *options, "--python", new / "bin" / "python", "-r", wanted,
                said=self._tell,
            )  # fmt: skip
            card = Card(
                python=self._base.version,
                names=lock.names,
                built_at=time.time(),
                boot_id=self._boot_id,
                size=_size(new),
            )
            _protect(new, packages)
            self._shelf.put(key, new)
        self._shelf.note(key, card)
        self._tell(f"built environment {key} in {time.monotonic() - began:.1f} s")


def _see_below(folders: tuple[str, ...]) -> str:
    """A line that has an interpreter look into ``folders`` too, and heed what they say in files of this kind."""
    calls = "; ".join(f"site.addsitedir({folder!r})" for folder in folders)
    return f"import site; {calls}\n"


def _protect(environment: Path, packages: Path) -> None:
    """Keep jobs from installing into what they share: nothing can be added or replaced by accident."""
    for folder in (packages, environment / "bin", environment):
        folder.chmod(0o555)


def _size(environment: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in environment.rglob("*"))


def _is_whole(environment: Path) -> bool:
    """Whether all files of all packages are there in their lengths."""
    for packages in environment.glob("lib/*/site-packages"):
        for record in packages.glob("*.dist-info/RECORD"):
            if not _is_complete(packages, record):
                return False
    return True


def _is_complete(packages: Path, record: Path) -> bool:
    try:
        with record.open(encoding="utf-8", newline="") as file:
            rows = [(row[0], row[2]) for row in csv.reader(file) if len(row) == 3]
        return bool(rows) and all(
            (packages / path).stat().st_size == int(size) for path, size in rows if size
        )
    except (OSError, ValueError, csv.Error):
        return False
