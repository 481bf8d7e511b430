"""What a job has left in its working folder. Links are never followed, and not listed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Files beyond this many are only counted.
MAX_FILES = 10_000
#: Larger files are listed without their hash, and so are those after this much in all.
MAX_HASHED_BYTES = 256 * 2**20
MAX_HASHED_IN_ALL_BYTES = 2**30
_BLOCK = 2**20


@dataclass(frozen=True, slots=True)
class Leftover:
    """One regular file, with its path relative to the working folder."""

    path: str
    size: int
    sha256: str | None


def list_leftovers(root: Path) -> tuple[list[Leftover], int]:
    """The regular files below ``root``, ordered by name within their folder, and how many more there are."""
    listed: list[Leftover] = []
    omitted = 0
    hash_left = MAX_HASHED_IN_ALL_BYTES
    for path, size in _regular_files(root):
        if len(listed) == MAX_FILES:
            omitted += 1
            continue
        found = _hash(path) if size <= min(MAX_HASHED_BYTES, hash_left) else None
        size, sha256 = found or (size, None)
        hash_left -= size if found else 0
        name = os.fsencode(path.relative_to(root)).decode("utf-8", "replace")
        listed.append(Leftover(name, size, sha256))
    return listed, omitted


def _regular_files(root: Path) -> Iterator[tuple[Path, int]]:
    """Regular files and their sizes; what vanishes or refuses meanwhile is passed over."""
    todo = [root]
    while todo:
        folder = todo.pop()
        try:
            if folder.is_symlink():
                continue
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in found:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                yield Path(entry.path), status.st_size
        todo.extend(Path(entry.path) for entry in reversed(found) if entry.is_dir(follow_symlinks=False))


def _hash(path: Path) -> tuple[int, str] | None:
    """Size and hash of the bytes of a regular file; None when it cannot be read."""
    try:
        # a link or named pipe that has taken the file's place must neither be followed nor hold us up
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    digest = hashlib.sha256()
    size = 0
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        while (block := file.read(_BLOCK)) and size <= MAX_HASHED_BYTES:
            digest.update(block)
            size += len(block)
    return (size, digest.hexdigest()) if size <= MAX_HASHED_BYTES else None
