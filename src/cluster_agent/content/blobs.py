"""Blobs: bytes that people send ahead of the jobs that need them, by user and SHA-256.

A blob has a lease, which each look and each upload renews. A job that names blobs gets links to them in its own
folder, so a blob is on disk once, stays as long as a job that has it, and goes with the last one. Blocking calls: a
server runs them in threads.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from cluster_agent.content.receiving import Receiver
from cluster_agent.errors import BadRequest, BlobMissing, Forbidden, StorageFault, TooLarge
from cluster_agent.folder import JobFolder, sync_folder
from cluster_agent.protocol import Blob, Inputs
from cluster_agent.units import format_size

LEASE_S = 86400.0
_NAME = re.compile(r"[0-9a-f]{64}")
#: What is being written: ours, or the user's own on this machine.
_UNFINISHED = re.compile(r"\.[0-9a-f]{64}\.[0-9a-f]{16}\.tmp")


class Blobs:
    """The blobs of one agent.

    Parameters
    ----------
    folder
        Holds them; on the file system of the job folders, so that these can have links.
    quota_bytes
        The most that those of one user take.
    room_bytes
        So much of the disk stays free.
    """

    def __init__(self, folder: Path, *, quota_bytes: int, room_bytes: int) -> None:
        self._folder = folder
        self._quota_bytes = quota_bytes
        self._room_bytes = room_bytes
        #: held while a lease is renewed, and while one that is over is acted on
        self._guard = threading.Lock()

    def folder_of(self, user: str) -> Path:
        """Where the blobs of ``user`` are: under a name that is no text of anybody's."""
        return self._folder / hashlib.sha256(user.encode()).hexdigest()[:32]

    def find(self, user: str, sha256: str) -> Blob | None:
        """The blob, with its lease renewed; None when there is none."""
        path = self.folder_of(user) / checked_name(sha256)
        with self._guard:
            try:
                size = path.lstat().st_size
                os.utime(path)
            except FileNotFoundError:
                return None
        return Blob(sha256=sha256, size=size, kept_until=time.time() + LEASE_S)

    def begin(self, user: str, sha256: str, length: int | None) -> BlobUpload:
        """An upload of ``length`` bytes (None: nobody knows); seen by nobody before its commit.

        Raises
        ------
        TooLarge
            When the user would have more than may be.
        StorageFault
            When the disk has not so much.
        """
        checked_name(sha256)
        folder = self.folder_of(user)
        self._make(folder)
        room = self._room(folder)
        if length is not None and length > room:
            raise self._no_room(user, length)
        return BlobUpload(self, user, sha256, most=room)

    def adopt(self, user: str, sha256: str, name: str) -> Blob:
        """Take the file ``name``, which the user's own program has written into the folder of the user's blobs.

        Its content is not looked at: who may write there may write anything there.
        """
        path = self.folder_of(user) / name
        if not _UNFINISHED.fullmatch(name) or not name.startswith(f".{checked_name(sha256)}."):
            raise BadRequest(f"{name[:120]!r} is not a file that could become this blob", field="Blob-File")
        try:
            status = path.lstat()
        except OSError:
            raise BadRequest(
                f"there is no {name[:120]!r} in the folder of your blobs", field="Blob-File"
            ) from None
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            path.unlink(missing_ok=True)
            raise Forbidden(f"{name[:120]!r} is not a file of its own", field="Blob-File")
        if self._room(path.parent) < 0:  # it is among what was counted
            path.unlink(missing_ok=True)
            raise self._no_room(user, status.st_size)
        return self._put(user, sha256, path)

    def lease(self, user: str, inputs: Inputs) -> None:
        """Renew the leases of all that ``inputs`` name.

        Raises
        ------
        BlobMissing
            Naming those that are not here, or have another size than told.
        """
        names = {part.sha256: part.path for part in inputs.files}
        names |= {part.sha256: part.name for part in inputs.values}
        missing = []
        for sha256, size in inputs.blobs.items():
            found = self.find(user, sha256)
            if found is None or found.size != size:
                missing.append(sha256)
        if missing:
            told = ", ".join(f"{names[sha256]} ({sha256})" for sha256 in missing)
            raise BlobMissing(f"send these first: {told}", field="values")

    def lay(self, user: str, inputs: Inputs, folder: JobFolder) -> None:
        """Put what ``inputs`` name into the folder of a job."""
        source = self.folder_of(user)
        if inputs.values:
            folder.values.mkdir(mode=0o700)
        for sha256 in {part.sha256 for part in inputs.values}:
            _link(source / sha256, folder.values / sha256)
        for file in inputs.files:
            target = folder.inputs.joinpath(*PurePosixPath(file.path).parts)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # a copy: a module that a job rewrites must not become another one for other jobs
            shutil.copyfile(source / file.sha256, target)
        if inputs.values:
            sync_folder(folder.values)

    def collect(self, now: float) -> int:
        """Delete what has no lease and no job any more; what is left that no job has, in bytes."""
        left = 0
        for path in self._all():
            with self._guard, contextlib.suppress(FileNotFoundError):
                status = path.lstat()
                unfinished = _UNFINISHED.fullmatch(path.name) is not None
                if status.st_nlink == 1 and now - status.st_mtime > LEASE_S:
                    path.unlink()
                elif status.st_nlink == 1 and not unfinished:
                    left += status.st_blocks * 512
        return left

    def sweep(self) -> None:
        """Delete what an agent that is gone has begun to write."""
        for path in self._all():
            if _UNFINISHED.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def open_folder(self, user: str) -> str:
        """The folder for files that :meth:`adopt` takes; empty when there is none."""
        folder = self.folder_of(user)
        try:
            self._make(folder)
        except StorageFault:
            return ""
        return str(folder)

    def _make(self, folder: Path) -> None:
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StorageFault(
                f"the agent's disk refused ({error.strerror}); nothing was accepted"
            ) from error

    def _room(self, folder: Path) -> int:
        """How much more the user may send."""
        try:
            free = shutil.disk_usage(folder).free - self._room_bytes
            with os.scandir(folder) as entries:
                taken = sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
        except OSError as error:
            raise StorageFault(
                f"the agent's disk refused ({error.strerror}); nothing was accepted"
            ) from error
        return min(free, self._quota_bytes - taken)

    def _no_room(self, user: str, length: int) -> TooLarge | StorageFault:
        quota = format_size(self._quota_bytes)
        if length > self._quota_bytes or self._room(self.folder_of(user)) >= 0:
            return TooLarge(
                f"{format_size(length)} more: what you have sent may take {quota} in all here (setting "
                "blob_quota), and what no job has is deleted a day after it was used last"
            )
        return StorageFault(f"the agent's disk has no {format_size(length)} left; nothing was accepted")

    def _put(self, user: str, sha256: str, written: Path) -> Blob:
        target = self.folder_of(user) / sha256
        written.chmod(0o400)
        size = written.lstat().st_size
        with self._guard:
            os.utime(written)
            written.replace(target)
        return Blob(sha256=sha256, size=size, kept_until=time.time() + LEASE_S)

    def _all(self) -> Iterator[Path]:
        for folder in _children(self._folder):
            yield from _children(folder)


class BlobUpload:
    """A blob that comes in; :meth:`commit` or :meth:`abort` ends it, once."""

    def __init__(self, blobs: Blobs, user: str, sha256: str, *, most: int) -> None:
        self._blobs, self._user, self._sha256 = blobs, user, sha256
        self._most = most
        self._path = blobs.folder_of(user) / f".{sha256}.{secrets.token_hex(8)}.tmp"
        self._receiver = Receiver(self._path)

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        if self._receiver.size + len(data) > self._most:
            raise self._blobs._no_room(self._user, self._receiver.size + len(data))  # noqa: SLF001
        self._receiver.write(data)

    def commit(self) -> Blob:
        """Keep what has come, durably.

        Raises
        ------
        BadRequest
            When it is not what it was announced to be. Nothing of it is kept then.
        """
        try:
            digest = self._receiver.finish()
            if digest != self._sha256:
                raise BadRequest(
                    f"the bytes that came are not those that were named: they are {digest}", field="sha256"
                )
            return self._blobs._put(self._user, self._sha256, self._path)  # noqa: SLF001
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Forget what has come. Does nothing after the upload's end."""
        self._receiver.close()
        self._path.unlink(missing_ok=True)


def checked_name(sha256: str) -> str:
    """``sha256``, which is one.

    Raises
    ------
    BadRequest
        When it is not.
    """
    if not _NAME.fullmatch(sha256):
        raise BadRequest(f"{sha256[:64]!r} is not a SHA-256", field="sha256")
    return sha256


def _children(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        # a file system without links, or with as many as it can have
        if not source.exists():
            raise
        shutil.copyfile(source, target)
