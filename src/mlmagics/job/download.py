"""Files from an agent to this machine: never outside the folder that was asked for, never over another file unasked."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from cluster_agent.protocol import FileEntry, ResultEntry
from cluster_agent.units import format_size
from mlmagics.errors import BadValue, UserError

if TYPE_CHECKING:
    from mlmagics.job.handle import Job

_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Copied:
    """A file that lies here now."""

    path: Path
    size: int
    #: the same bytes lay here before, so nothing was written
    already_here: bool

    @property
    def line(self) -> str:
        """The line for it."""
        return f"{format_size(self.size):>10}  {self.path}{' (already here)' if self.already_here else ''}"


def copy_files(
    job: Job, dest: str | Path = ".", paths: list[str] | None = None, *, overwrite: bool = False
) -> list[Copied]:
    """The files that ``job`` left, copied under ``dest``: all of them, or the files and folders ``paths``.

    Raises
    ------
    BadValue
        When one of ``paths`` is not there, or, without ``overwrite``, another file of the same name lies here.
        Nothing is copied then.
    """
    entries = [entry for entry in job.files() if entry.type == "file"]
    for path in paths or []:
        if not any(_is_under(entry.path, path) for entry in entries):
            raise BadValue(f"{job.ref} left no file {path!r}: %fetch {job.ref} lists them", field="paths")
    if paths is not None:
        entries = [entry for entry in entries if any(_is_under(entry.path, path) for path in paths)]
    folder = Path(dest).expanduser()
    here = {entry.path: _same(entry, _inside(folder, entry.path, job.ref)) for entry in entries}
    if not overwrite:
        _refuse_others([path for path, same in here.items() if same is False], folder, job.ref)
    return [_copy(job, entry, folder, overwrite=overwrite, same=here[entry.path]) for entry in entries]


#: How the file of a result is called, by its format.
_ENDINGS = {"json": "json", "tagged": "json", "xgboost": "ubj", "lightgbm": "txt"}


def save_result(job: Job, entry: ResultEntry, dest: str | Path = ".", *, overwrite: bool = False) -> Copied:
    """The bytes of a result of ``job`` as a file under ``dest``, called after it and its format.

    Raises
    ------
    BadValue
        When another file lies in its place and ``overwrite`` is not set.
    """
    path = f"{entry.name}.{_ENDINGS.get(entry.format, entry.format)}"
    file = FileEntry(path=path, type="file", size=entry.size, sha256=entry.sha256)
    return download(file, job.result_parts(entry.name), Path(dest).expanduser(), job.ref, overwrite=overwrite)


def _copy(job: Job, entry: FileEntry, folder: Path, *, overwrite: bool, same: bool | None) -> Copied:
    if same:
        return Copied(_inside(folder, entry.path, job.ref), entry.size, already_here=True)
    return download(entry, job.file(entry.path), folder, job.ref, overwrite=overwrite)


def _same(entry: FileEntry, target: Path) -> bool | None:
    """Whether what lies at ``target`` is the file; None when nothing lies there, or only its bytes can tell."""
    try:
        if target.is_dir():
            return False
        if target.stat().st_size != entry.size:
            return False
        return None if entry.sha256 is None else _digest(target) == entry.sha256
    except (FileNotFoundError, NotADirectoryError):
        return None


def _refuse_others(paths: list[str], folder: Path, origin: str) -> None:
    if paths:
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        raise BadValue(
            f"{folder / paths[0]}{more}: another file of this name lies here, and nothing was copied. To replace "
            f"it: --overwrite. To copy elsewhere: %fetch {origin} --files DIR",
            field="overwrite",
        )


def download(
    entry: FileEntry, chunks: Iterable[bytes], folder: Path, origin: str, *, overwrite: bool = False
) -> Copied:
    """The file ``entry`` below ``folder``, once all of it has arrived and is proven.

    Raises
    ------
    BadValue
        When another file lies in its place and may not be overwritten.
    UserError
        When its name leads out of ``folder``, or what arrived is not what the agent announced.
    """
    target = _inside(folder, entry.path, origin)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise BadValue(f"{target.parent} is a file here: nothing can be put into it", field="files") from None
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{target} leads out of {folder} by a link: it was not written")
    if target.is_dir():
        raise BadValue(f"{target} is a folder here: it is not replaced by a file", field="files")
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
        already_here = target.exists() and _digest(target) == digest.hexdigest()
        if target.exists() and not already_here and not overwrite:
            _refuse_others([entry.path], folder, origin)
        if already_here:
            new.unlink()
        else:
            new.replace(target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    return Copied(target, size, already_here)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _inside(folder: Path, path: str, origin: str) -> Path:
    parts = PurePosixPath(path).parts
    windows = PureWindowsPath(path)
    outside = path.startswith("/") or ".." in parts or windows.drive or (os.name == "nt" and "\\" in path)
    if not parts or outside or "\0" in path:
        raise UserError(f"{origin} names a file {path!r}, which may not be written here")
    return folder.joinpath(*parts)


def _is_under(path: str, wanted: str) -> bool:
    wanted = wanted.rstrip("/")
    return path == wanted or path.startswith(f"{wanted}/")
