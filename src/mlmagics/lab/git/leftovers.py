"""What a git that had to be killed leaves behind: locks, and packs that were being received.

A file is removed only when it is certain to be ours: it was not there before, it came while our git ran, it is of this
user, all of our git is dead, no process has it open, and no other git of this user works in the repository.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

_LOCKS = ("index.lock", "HEAD.lock", "ORIG_HEAD.lock", "packed-refs.lock", "config.lock", "shallow.lock")


class Leftovers:
    """Made before a git is started, asked once it is dead."""

    def __init__(self, git_dir: Path, common_dir: Path, folder: Path) -> None:
        self._folders = (git_dir, common_dir)
        self._folder = folder
        self._before = set(self._candidates())
        # clocks of file systems are coarse
        self._since = time.time() - 0.01

    def remove(self) -> None:
        """Remove what is certain to be ours."""
        until = time.time() + 0.01
        found = [
            path for path in self._candidates() if path not in self._before and self._is_ours(path, until)
        ]
        if found and not self._others_at_work():
            opened = _opened()
            for path in found:
                if str(path) not in opened:
                    path.unlink(missing_ok=True)

    def _candidates(self) -> Iterator[Path]:
        seen = set()
        for folder in self._folders:
            seen |= {folder / name for name in _LOCKS}
            with contextlib.suppress(OSError):
                seen |= set((folder / "objects" / "pack").glob("tmp_*"))
        yield from (path for path in seen if path.is_file() and not path.is_symlink())

    def _is_ours(self, path: Path, until: float) -> bool:
        try:
            found = path.lstat()
        except OSError:
            return False
        mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
        return mine and self._since <= found.st_mtime <= until

    def _others_at_work(self) -> bool:
        for process in psutil.process_iter(["name"]):
            if not (process.info["name"] or "").startswith("git"):
                continue
            try:
                where = Path(process.cwd())
            except psutil.NoSuchProcess:
                continue
            except psutil.Error:
                # of another user, whose files are not this user's
                continue
            if any(where.is_relative_to(folder) for folder in (self._folder, *self._folders)):
                return True
        return False


def _opened() -> set[str]:
    """All files that processes of this user have open."""
    found: set[str] = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            found |= {file.path for file in process.open_files()}
    return found
