"""What lies where in a job's folder, and the wish file through which an agent talks to a supervisor.

The folder belongs to the agent (0700). Where jobs run as the unix users of their people it belongs to the keeper of
their logs and can be passed by all (0711), and only ``work``, ``inputs`` and ``values`` are the user's. An agent that is
started anew finds all that it needs here::

    events.ndjson      the event log; whoever holds its lock writes it
    control.json       the wish: cancel, another time limit; replaced as a whole
    reserve            room for the last lines of the log; gone when they are written
    NONCE.closed       this start will never happen; written while holding the log's lock
    env.json           values of --env while the job waits; gone once it has started
    blobs/SHA256       display data too large for a line of the log
    results/SHA256     variables that were kept
    inputs/            modules that the job can import
    values/SHA256      variables that travelled with the cell: links to blobs
    lock.txt           the packages of its environment; a lock to be repeated while it waits
    work/              the job's working folder
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

#: Version of the files in a job's folder and of the hand-over to a supervisor.
FOLDER_VERSION = 1


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody wants the job to end."""

    by: str
    reason: str = ""


class Wish(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the agent wants of a supervisor. Supervisors look at it when nudged, and once a second."""

    version: int = FOLDER_VERSION
    cancel: Cancel | None = None
    #: the time limit in force, when it is no longer the one of the order
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class JobFolder:
    """The folder of one job; the only place that knows its file names."""

    path: Path

    @property
    def log(self) -> Path:
        """The event log."""
        return self.path / "events.ndjson"

    @property
    def control(self) -> Path:
        """The wish file."""
        return self.path / "control.json"

    @property
    def reserve(self) -> Path:
        """Room that the supervisor keeps for the end of the log, should the disk be full then."""
        return self.path / "reserve"

    @property
    def env(self) -> Path:
        """Values of ``--env``, 0600, until the job has started."""
        return self.path / "env.json"

    @property
    def blobs(self) -> Path:
        """Large display data, by sha256."""
        return self.path / "blobs"

    @property
    def results(self) -> Path:
        """Variables that were kept, by sha256."""
        return self.path / "results"

    @property
    def inputs(self) -> Path:
        """Modules that travelled with the cell."""
        return self.path / "inputs"

    @property
    def values(self) -> Path:
        """Variables that travelled with the cell, by sha256."""
        return self.path / "values"

    @property
    def lock(self) -> Path:
        """Exactly which packages its environment has beside those of the interpreter."""
        return self.path / "lock.txt"

    @property
    def work(self) -> Path:
        """The job's working folder."""
        return self.path / "work"

    def closed(self, nonce: str) -> Path:
        """The mark that the start ``nonce`` will never happen."""
        return self.path / f"{nonce}.closed"

    def write_wish(self, wish: Wish) -> None:
        """Replace the wish file, durably; the supervisor can read it, whoever it is."""
        write_durably(self.control, msgspec.json.encode(wish), owner_of=self.path)

    def read_wish(self) -> Wish:
        """The wish in force; an empty one when there is none."""
        try:
            return msgspec.json.decode(self.control.read_bytes(), type=Wish)
        except FileNotFoundError:
            return Wish()


def write_durably(path: Path, data: bytes, *, owner_of: Path | None = None) -> None:
    """Put ``data`` (mode 0600) at ``path`` as a whole: new file, sync, rename, sync of the folder.

    It belongs to the owner of the folder ``owner_of``, when that is given.
    """
    new = path.with_name(f".{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(new, flags, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if owner_of is not None:
            give_to_owner_of(owner_of, descriptor)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_folder(path.parent)


def give_to_owner_of(folder: Path, descriptor: int) -> None:
    """Have an open file that root has made belong to whom its folder belongs to: a supervisor that is not root."""
    if os.geteuid() == 0 and os.fstat(descriptor).st_uid == 0:
        owner = folder.stat()
        if owner.st_uid != 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


def sync_folder(path: Path) -> None:
    """Make the names in the folder ``path`` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def allocate(path: Path, size: int) -> None:
    """Make the file ``path`` of ``size`` bytes that are taken from the disk; nothing of it when they cannot be.

    Raises
    ------
    OSError
        When the disk has not so much.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        _allocate(descriptor, size)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


if hasattr(os, "posix_fallocate"):

    def _allocate(descriptor: int, size: int) -> None:
        os.posix_fallocate(descriptor, 0, size)

else:

    def _allocate(descriptor: int, size: int) -> None:
        block = bytes(65536)
        while size > 0:
            size -= os.write(descriptor, block[:size])
