"""Variables of the cell that are kept as results: which of them, where their bytes go, and what is told of each.

A small one in JSON stands in its event. Other bytes lie in the job's folder, named by their hash, so that no name that
a cell gives becomes one of a file.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from cluster_agent.folder import sync_folder, write_durably
from cluster_agent.units import format_size

#: Formats of text, whose value is in the frame; and those whose bytes are in a file that comes with it.
TEXTS = frozenset({"json", "tagged"})
FILES = frozenset({"arrow", "npy", "npz", "xgboost", "lightgbm", "skops", "png", "pickle"})
#: Of all results of a job.
MAX_RESULTS_BYTES = 2**30
#: Up to this size a text stands in its event.
INLINE_BYTES = 4096
#: Variables that are kept unasked, or told of.
_MAX_UNASKED = 1000
_WORD_LENGTH = 200
_REASON_LENGTH = 500
_CHUNK = 2**20


class ResultFrame(msgspec.Struct, frozen=True, kw_only=True):
    """The kit's packet with one variable: its value, or why it cannot be kept."""

    name: str
    kind: str = ""
    format: str = ""
    #: MIME type to the value, as it was sent; of a format of text
    data: dict[str, msgspec.Raw] = {}
    reason: str | None = None
    #: about how large a value is that is not kept
    size: int = 0
    #: nobody has asked for it
    unasked: bool = False
    ack: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """A result on its way into the log: :attr:`keep` puts its bytes on disk and tells the fields of its event."""

    keep: Callable[[], dict[str, Any]]


class Results:
    """Takes each variable once: those that the job was asked for, and some more.

    Parameters
    ----------
    unasked_bytes
        Of all that are kept though nobody has asked for them.
    """

    def __init__(self, folder: Path, wanted: Collection[str], unasked_bytes: int = 0) -> None:
        self._folder = folder
        self._wanted = set(wanted)
        self._asked = frozenset(wanted)
        self._unasked: set[str] = set()
        self._left_bytes = MAX_RESULTS_BYTES
        self._left_unasked_bytes = unasked_bytes

    def take(self, frame: ResultFrame, descriptor: int | None = None) -> Taken | None:
        """The result in ``frame``, with the open file that came with it; None for what nobody wants."""
        if not self._admit(frame):
            return None
        told: dict[str, Any] = {"name": frame.name, "kind": frame.kind[:_WORD_LENGTH] or None}
        if frame.reason is not None:
            reason = frame.reason[:_REASON_LENGTH] or "its kit gave no reason"
            size = frame.size if 0 < frame.size < 2**60 else None
            return Taken(keep=lambda: {**told, "reason": reason, "size": size})
        told["format"] = frame.format[:_WORD_LENGTH]
        if frame.format in FILES and descriptor is not None:
            return self._take_file(told, frame, os.dup(descriptor))
        return self._take_text(told, frame)

    def _admit(self, frame: ResultFrame) -> bool:
        name = frame.name
        if name in self._wanted:
            self._wanted.discard(name)
            return True
        if name in self._asked or name in self._unasked or not frame.unasked:
            return False
        fits = name.isidentifier() and len(name) <= _WORD_LENGTH and len(self._unasked) < _MAX_UNASKED
        self._unasked.add(name)
        return fits and self._left_unasked_bytes > 0

    def _take_text(self, told: dict[str, Any], frame: ResultFrame) -> Taken:
        content = bytes(frame.data.get("application/json", b""))
        reason = self._fault(frame, len(content)) or _fault_of_text(content)
        if reason is not None:
            return _not_kept(told, reason)
        self._count(frame, len(content))
        digest = hashlib.sha256(content).hexdigest()
        told |= {"size": len(content), "sha256": digest}
        if len(content) <= INLINE_BYTES:
            return Taken(keep=lambda: {**told, "text": content.decode()})

        def keep() -> dict[str, Any]:
            path = self._folder / digest
            self._folder.mkdir(mode=0o700, exist_ok=True)
            if not path.exists():
                write_durably(path, content)
            return told

        return Taken(keep=keep)

    def _take_file(self, told: dict[str, Any], frame: ResultFrame, descriptor: int) -> Taken:
        status = os.fstat(descriptor)
        reason = (
            self._fault(frame, status.st_size) if stat.S_ISREG(status.st_mode) else "it came without a file"
        )
        if reason is not None:
            os.close(descriptor)
            return _not_kept(told, reason)
        self._count(frame, status.st_size)
        file = _File(descriptor, status.st_size)

        def keep() -> dict[str, Any]:
            return {**told, "size": status.st_size, "sha256": file.keep(self._folder)}

        return Taken(keep=keep)

    def _count(self, frame: ResultFrame, size: int) -> None:
        self._left_bytes -= size
        if frame.unasked:
            self._left_unasked_bytes -= size

    def _fault(self, frame: ResultFrame, size: int) -> str | None:
        if frame.format not in TEXTS | FILES:
            return f"it came in the format {frame.format[:_WORD_LENGTH]!r}, which this agent does not keep"
        if not size:
            return "it came without a value"
        told = format_size(size)
        if size > self._left_bytes:
            limit = format_size(MAX_RESULTS_BYTES)
            return (
                f"it has {told}, and the results of a job have {limit} in all; write it to project:// instead"
            )
        if frame.unasked and size > self._left_unasked_bytes:
            return f"it has {told}, more than is kept unasked: name it in --fetch"
        return None


class _File:
    """An open file of the job that becomes a result: by a name of its own where the system can, else by a copy."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._sha256 = ""

    def keep(self, folder: Path) -> str:
        """Put it into ``folder``, durably; its SHA-256, which is its name there. After an OSError it can be called again."""
        folder.mkdir(mode=0o700, exist_ok=True)
        if os.fstat(self._descriptor).st_uid != os.getuid():
            return self._take_over(folder)
        self._sha256 = self._sha256 or self._digest()
        path = folder / self._sha256
        if not path.exists() and not self._name(folder):
            self._copy(path)
        os.fsync(self._descriptor)
        sync_folder(folder)
        os.close(self._descriptor)
        return self._sha256

    def _digest(self) -> str:
        digest, offset = hashlib.sha256(), 0
        while offset < self._size:
            data = os.pread(self._descriptor, min(_CHUNK, self._size - offset), offset)
            if not data:
                break
            digest.update(data)
            offset += len(data)
        return digest.hexdigest()

    def _name(self, folder: Path) -> bool:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # with a descriptor of a folder, as only then the link itself is followed
            os.link(
                f"/proc/self/fd/{self._descriptor}", self._sha256, dst_dir_fd=handle, follow_symlinks=True
            )
            os.fchmod(self._descriptor, 0o400)
        except OSError:
            return False
        finally:
            os.close(handle)
        return True

    def _take_over(self, folder: Path) -> str:
        """A copy of a file of another user, who could go on writing to it."""
        new, digest, left = folder / f".taken-{self._descriptor}.new", hashlib.sha256(), self._size
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        with os.fdopen(os.open(new, flags, 0o600), "wb") as file:
            while left and (data := os.pread(self._descriptor, min(_CHUNK, left), self._size - left)):
                file.write(data)
                digest.update(data)
                left -= len(data)
            file.flush()
            os.fsync(file.fileno())
        self._sha256 = digest.hexdigest()
        new.replace(folder / self._sha256)
        sync_folder(folder)
        os.close(self._descriptor)
        return self._sha256

    def _copy(self, path: Path) -> None:
        new = path.with_name(f".{path.name}.new")
        with os.fdopen(
            os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o400), "wb"
        ) as file:
            offset = 0
            while data := os.pread(self._descriptor, _CHUNK, offset):
                file.write(data)
                offset += len(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)


def _not_kept(told: dict[str, Any], reason: str) -> Taken:
    fields = {"name": told["name"], "kind": told["kind"], "reason": reason}
    return Taken(keep=lambda: fields)


def _fault_of_text(content: bytes) -> str | None:
    try:
        content.decode()
    except UnicodeDecodeError:
        return "its text is not valid UTF-8"
    return None
