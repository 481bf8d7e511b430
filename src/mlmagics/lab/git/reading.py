"""Contents of files: of the working copy, never through links, and of git's objects."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from mlmagics.lab.git.repository import Repository


def read_working(folder: Path, path: str, most_bytes: int) -> bytes | None:
    """The file ``path`` below ``folder``; where a link lies, what it says.

    None when there is no file, when it is larger, or when a link is in the way to it.
    """
    if os.open not in os.supports_dir_fd:
        return _read_plainly(folder / path, folder, most_bytes)
    *parents, name = path.split("/")
    try:
        here = os.open(folder, os.O_RDONLY | _DIRECTORY)
    except OSError:
        return None
    try:
        for parent in parents:
            below = os.open(parent, os.O_RDONLY | _DIRECTORY | _NO_LINKS, dir_fd=here)
            os.close(here)
            here = below
        found = os.lstat(name, dir_fd=here)
        if stat.S_ISLNK(found.st_mode):
            return os.fsencode(os.readlink(name, dir_fd=here))
        if not stat.S_ISREG(found.st_mode) or found.st_size > most_bytes:
            return None
        with os.fdopen(os.open(name, os.O_RDONLY | _NO_LINKS | _NO_WAIT, dir_fd=here), "rb") as file:
            data = file.read(most_bytes + 1)
        return data if len(data) <= most_bytes else None
    except OSError:
        return None
    finally:
        os.close(here)


def _read_plainly(path: Path, folder: Path, most_bytes: int) -> bytes | None:
    """The same where files cannot be opened relative to a folder."""
    try:
        whole = path.resolve()
        if whole != folder.resolve() / path.relative_to(folder) or whole.stat().st_size > most_bytes:
            return None
        return whole.read_bytes()
    except (OSError, ValueError):
        return None


def size_of(folder: Path, path: str) -> int | None:
    """Size of a file of the working copy; None when there is none."""
    try:
        return os.lstat(folder / path).st_size
    except OSError:
        return None


def read_blobs(repository: Repository, oids: Sequence[str], *, most_bytes: int) -> dict[str, bytes]:
    """The contents of objects by their names; what is beyond ``most_bytes`` in all is left out."""
    asked = list(dict.fromkeys(oid for oid in oids if oid.strip("0")))
    if not asked:
        return {}
    stdin = "".join(f"{oid}\n" for oid in asked).encode()
    out = repository.git("cat-file", "--batch", stdin=stdin, most_bytes=most_bytes).out
    found: dict[str, bytes] = {}
    at = 0
    while (end := out.find(b"\n", at)) >= 0:
        oid, *rest = out[at:end].decode("ascii", "replace").split(" ")
        at = end + 1
        if len(rest) == 2:
            size = int(rest[1])
            if at + size < len(out):
                found[oid] = out[at : at + size]
            at += size + 1
    return found


def size_of_blob(repository: Repository, oid: str) -> int | None:
    """Size of an object; None when there is none."""
    if not oid.strip("0"):
        return None
    done = repository.ask("cat-file", "-s", "--end-of-options", oid)
    return int(done.text) if done.status == 0 else None


_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
