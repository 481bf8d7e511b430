"""Files from an agent to this machine: what an agent names never lands outside the folder that was asked for."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

from cluster_agent.protocol import FileEntry
from mlmagics.errors import UserError


def download(entry: FileEntry, chunks: Iterable[bytes], folder: Path, origin: str) -> Path:
    """The path in ``folder`` where ``entry`` lies once all of it has arrived and is proven.

    Raises
    ------
    UserError
        When its name leads out of ``folder``, or what arrived is not what the agent announced.
    """
    target = _inside(folder, entry.path, origin)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{target} leads out of {folder} by a link: it was not written")
    new = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}")
    digest, size = hashlib.sha256(), 0
    try:
        with new.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        if size != entry.size or (entry.sha256 and digest.hexdigest() != entry.sha256):
            raise UserError(
                f"{entry.path} of {origin} arrived with {size} bytes that are not those of its list ({entry.size}): "
                "try again"
            )
        new.replace(target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    return target


def _inside(folder: Path, path: str, origin: str) -> Path:
    parts = PurePosixPath(path).parts
    windows = PureWindowsPath(path)
    outside = path.startswith("/") or ".." in parts or windows.drive or (os.name == "nt" and "\\" in path)
    if not parts or outside or "\0" in path:
        raise UserError(f"{origin} names a file {path!r}, which may not be written here")
    return folder.joinpath(*parts)
