"""The environments that an agent has built, in one folder; for several processes at once.

::

    <home>/environments/
        6f0c2a91b3d4/         an environment; whole, or it would not have this name
        6f0c2a91b3d4.json     what it is; its time is that of the last use
        6f0c2a91b3d4.lock     held exclusively by who builds or deletes it, shared by who uses it
        .new-6f0c2a91b3d4-8d/ being built, aside
        .old-6f0c2a91b3d4-1c/ being deleted
        .ask-4711-3f/         the scratch of process 4711, which makes a lock
        cache/                what uv has downloaded; environments are made of hard links into it

The locks are those of :mod:`fcntl`: a process that is killed holds none.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cluster_agent.folder import write_durably
from cluster_agent.supervisor.identity import start_time

#: What a key looks like; everything else in the folder is no environment.
_KEY = re.compile(r"[0-9a-f]{12}")
_ASIDE = re.compile(r"\.(new|old)-(?P<key>[0-9a-f]{12})-[0-9a-f]+")


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an environment that was built."""

    python: str
    #: what it has beside what lies below it
    names: list[str]
    built_at: float
    #: of the boot in which its files were last seen to be whole
    boot_id: str
    #: what it takes on disk, shared with others or not
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """An environment, as retention sees it."""

    key: str
    used_at: float
    size: int


class Hold:
    """A lock on one environment."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def share(self) -> None:
        """Let others use the environment too, but nobody build or delete it."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_SH)

    def give_back(self) -> None:
        """Let go; again does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Shelf:
    """The folder of environments."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def cache(self) -> Path:
        """Where uv keeps what it has downloaded: on the same disk, for the sake of hard links."""
        return self.folder / "cache"

    def place(self, key: str) -> Path:
        """Where the environment ``key`` is, or would be."""
        return self.folder / key

    def card(self, key: str) -> Card | None:
        """What is known of the environment; None when there is none, or not all of it."""
        try:
            card = msgspec.json.decode(self._card(key).read_bytes(), type=Card)
        except (OSError, msgspec.MsgspecError):
            return None
        return card if self.place(key).is_dir() else None

    def note(self, key: str, card: Card) -> None:
        """Keep what is known of the environment, durably: from now on it is one."""
        write_durably(self._card(key), msgspec.json.encode(card))

    def touch(self, key: str) -> None:
        """Note that it is being used."""
        os.utime(self._card(key))

    def hold(self, key: str, *, exclusive: bool) -> Hold | None:
        """A lock on the environment ``key``; None when others hold it in a way that does not allow that."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{key}.lock"
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.lockf(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
                if _is_at(descriptor, path):
                    return Hold(descriptor)
            except (BlockingIOError, PermissionError):
                os.close(descriptor)
                return None
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # somebody has deleted it since it was opened

    @contextlib.contextmanager
    def aside(self, key: str) -> Iterator[Path]:
        """Where the environment ``key`` is built; what is still there at the end is deleted. With its lock held."""
        self._clear(key)
        new = self.folder / f".new-{key}-{secrets.token_hex(4)}"
        try:
            yield new
        finally:
            delete_tree(new)

    def put(self, key: str, new: Path) -> None:
        """Make the folder ``new`` the environment ``key``. With its lock held."""
        self._card(key).unlink(missing_ok=True)
        if self.place(key).exists():
            delete_tree(self._move_out(key))
        new.rename(self.place(key))

    def entries(self) -> list[Entry]:
        """All environments, those first that were used longest ago."""
        found = []
        for key in self._keys():
            try:
                used_at = self._card(key).stat().st_mtime
            except OSError:
                continue
            if (card := self.card(key)) is not None:
                found.append(Entry(key=key, used_at=used_at, size=card.size))
        return sorted(found, key=lambda entry: entry.used_at)

    def delete(self, key: str) -> bool:
        """Delete the environment unless somebody uses it; whether it is gone."""
        hold = self.hold(key, exclusive=True)
        if hold is None:
            return False
        try:
            self._card(key).unlink(missing_ok=True)
            if self.place(key).exists():
                delete_tree(self._move_out(key))
            (self.folder / f"{key}.lock").unlink(missing_ok=True)
        finally:
            hold.give_back()
        return True

    def scratch(self) -> Path:
        """A name in the folder for something that does not last."""
        return self.folder / f".ask-{os.getpid()}-{secrets.token_hex(4)}"

    def sweep(self) -> None:
        """Delete what nobody goes on building or deleting, and locks of what is not there."""
        try:
            names = os.listdir(self.folder)  # noqa: PTH208 - while it changes
        except FileNotFoundError:
            return
        for name in names:
            if name.startswith(".ask-") and start_time(int(name.split("-")[1])) is None:
                delete_tree(self.folder / name)
        half = {match["key"] for name in names if (match := _ASIDE.fullmatch(name))}
        half |= {name for name in names if _KEY.fullmatch(name) and self.card(name) is None}
        half |= {name.removesuffix(".lock") for name in names if name.endswith(".lock")}
        for key in half:
            if not _KEY.fullmatch(key):
                continue
            hold = self.hold(key, exclusive=True)
            if hold is None:
                continue
            try:
                self._clear(key)
                if self.card(key) is None:
                    delete_tree(self.place(key))
                    self._card(key).unlink(missing_ok=True)
                    (self.folder / f"{key}.lock").unlink(missing_ok=True)
            finally:
                hold.give_back()

    def _clear(self, key: str) -> None:
        for path in (*self.folder.glob(f".new-{key}-*"), *self.folder.glob(f".old-{key}-*")):
            delete_tree(path)

    def _move_out(self, key: str) -> Path:
        old = self.folder / f".old-{key}-{secrets.token_hex(4)}"
        self.place(key).rename(old)
        return old

    def _card(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _keys(self) -> list[str]:
        try:
            return [name for name in os.listdir(self.folder) if _KEY.fullmatch(name)]  # noqa: PTH208
        except FileNotFoundError:
            return []


def expired(
    entries: list[Entry], *, keep_s: float, keep_bytes: int, total_bytes: int, now: float
) -> list[Entry]:
    """Which environments are to be deleted, given that all take ``total_bytes`` with the cache. Pure."""
    found = []
    for entry in entries:
        if now - entry.used_at <= keep_s and total_bytes <= keep_bytes:
            break
        found.append(entry)
        total_bytes -= entry.size
    return found


def delete_tree(path: Path) -> None:
    """Delete a folder, also where rights were taken away from it; nothing when there is none."""
    for folder, names, _ in os.walk(path):
        for name in (".", *names):
            inner = Path(folder, name)
            if not inner.is_symlink():
                inner.chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    ours = os.fstat(descriptor)
    return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)
