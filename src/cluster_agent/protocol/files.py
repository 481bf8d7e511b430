"""Files of a project, or of a job."""

from __future__ import annotations

from typing import Literal

import msgspec


class FileEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file or folder of a project, or of a job's working folder. ``path`` is relative to the root."""

    path: str
    type: Literal["file", "directory"]
    size: int = 0
    mtime: float = 0.0
    etag: str = ""
    sha256: str | None = None


class FileList(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of a GET on a folder."""

    files: list[FileEntry]
