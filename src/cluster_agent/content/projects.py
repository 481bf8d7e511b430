"""The files of projects: names, roots, listing, reading, writing as a whole, deleting.

A root is a folder that the agent, its jobs and perhaps notebooks share. Everything here goes through
:func:`cluster_agent.content.beneath.resolve`. Blocking calls: a server runs them in threads.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from cluster_agent import errors, protocol
from cluster_agent.content.beneath import Place, resolve, split
from cluster_agent.content.upload import Upload, entry, told
from cluster_agent.isolation.force import SHARED
from cluster_agent.isolation.rights import Rights, acting_with

#: In each root: random text by which a machine that mounts the same folder recognises it.
MARKER = ".mlmagics-project"
_NAME = re.compile(r"[a-z][a-z0-9._-]{0,31}")
_TEMPORARY = re.compile(r"\..*\.tmp")
#: A write that has not been touched for so long will not be finished.
_UNFINISHED_S = 86400.0
_OURS = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")


class Projects:
    """Projects by name, each a folder of this machine.

    Parameters
    ----------
    roots
        Absolute folder of each project; made when missing. Names are ``[a-z][a-z0-9._-]{0,31}``.
    open_to_all
        A root that is made here is for all users, each of whom may delete there what is their own. One that is there
        is as ops have made it.

    Raises
    ------
    ValueError
        When a name or root is not of that form.
    OSError
        When a root is not there and cannot be made.

    Notes
    -----
    Every method raises :class:`errors.NotFound` for an unknown project or a missing path,
    :class:`errors.BadRequest` for a path that is none, :class:`errors.Forbidden` where a link leads out,
    where something is no regular file, or where the system denies access, and :class:`errors.StorageFault`
    when the disk refuses. What ``rights`` a method is given, with these it acts on files; None: the agent's own.
    """

    def __init__(self, roots: Mapping[str, Path], *, open_to_all: bool = False) -> None:
        for name, root in roots.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not a project name: lower-case letters, digits, '.', '_', '-'")
            if not root.is_absolute():
                raise ValueError(f"the root of project {name!r} must be an absolute path, not {str(root)!r}")
            made = not root.exists()
            root.mkdir(parents=True, exist_ok=True)
            if made and open_to_all:
                root.chmod(SHARED)
            _mark(root)
        self._roots = dict(roots)
        self._commit = threading.Lock()

    def describe(self) -> list[protocol.Project]:
        """All projects, as ``/v1/info`` tells them."""
        for root in self._roots.values():
            _mark(root)  # again, where somebody has emptied the folder
        return [
            protocol.Project(name=name, url=root.as_uri(), marker=_read_marker(root))
            for name, root in self._roots.items()
        ]

    def root(self, project: str) -> Path:
        """The folder of ``project``."""
        try:
            return self._roots[project]
        except KeyError:
            known = ", ".join(sorted(self._roots))
            message = f"there is no project {project!r} here: choose from {known}"
            raise errors.NotFound(message, field="project") from None

    def info(self, project: str, path: str, rights: Rights | None = None) -> protocol.FileEntry:
        """What is at ``path``: a file or a folder, links followed."""
        with _resolved(self.root(project), path, rights) as place:
            return entry(path, place.stat())

    def list(self, project: str, path: str, rights: Rights | None = None) -> list[protocol.FileEntry]:
        """What the folder ``path`` holds, by name; one entry when ``path`` is a file.

        The marker and unfinished writes are not shown, nor is what cannot be read through here: pipes and
        devices, links that lead out or nowhere, and names that are not UTF-8.
        """
        root = self.root(project)
        with _resolved(root, path, rights) as place:
            status = place.stat()
            if not stat.S_ISDIR(status.st_mode):
                return [entry(path, status)]
            prefix = "/".join((*split(path), ""))
            return _list_folder(root, place, prefix)

    def open_read(
        self, project: str, path: str, rights: Rights | None = None
    ) -> tuple[BinaryIO, protocol.FileEntry]:
        """The file at ``path``, open for reading, and its entry; the caller closes the file."""
        with _resolved(self.root(project), path, rights) as place:
            descriptor = place.open_file()
            return os.fdopen(descriptor, "rb"), entry(path, os.fstat(descriptor))

    def begin_write(self, project: str, path: str, rights: Rights | None = None) -> Upload:
        """An upload to ``path``: nobody sees it before its commit. Missing folders are made."""
        root = self.root(project)
        if not split(path):
            raise errors.BadRequest("a file needs a name", field="path")
        with _resolved(root, path, rights, create=True) as place:
            _refuse_folder(place, path)
            _sweep_folder(place.folder)
            return Upload(place, path, self._commit, rights)

    def delete(
        self, project: str, path: str, rights: Rights | None = None, *, recursive: bool = False
    ) -> None:
        """Delete the file, link or empty folder at ``path``; a folder with all it holds if ``recursive``.

        Raises
        ------
        errors.Conflict
            When a folder is not empty and ``recursive`` is not set.
        """
        root = self.root(project)
        if not split(path):
            raise errors.BadRequest("the root of a project cannot be deleted", field="path")
        with _resolved(root, path, rights, follow=False) as place:
            if not stat.S_ISDIR(place.stat().st_mode):
                os.unlink(place.name, dir_fd=place.folder)
            elif recursive:
                _delete_tree(place)
            else:
                _delete_empty(place, path)


@contextlib.contextmanager
def _resolved(
    root: Path, path: str, rights: Rights | None, *, follow: bool = True, create: bool = False
) -> Iterator[Place]:
    _refuse_reserved(split(path), path)
    with (
        told(path),
        acting_with(rights),
        resolve(root, path, follow=follow, create=create) as place,
    ):
        _refuse_reserved((place.name,), path)
        yield place


def _refuse_reserved(parts: Iterable[str], path: str) -> None:
    for part in parts:
        if part == MARKER or _TEMPORARY.fullmatch(part):
            raise errors.Forbidden(f"{path!r} is a name that the agent keeps for itself", field="path")


def _list_folder(root: Path, place: Place, prefix: str) -> list[protocol.FileEntry]:
    entries = []
    folder = os.open(place.name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place.folder)
    try:
        with os.scandir(folder) as found:
            names = sorted(item.name for item in found)
        for name in names:
            path = prefix + name
            with contextlib.suppress(errors.AgentError), told(path):
                _refuse_reserved(split(path), path)
                status = Place(folder, name).stat()
                if stat.S_ISLNK(status.st_mode):
                    with resolve(root, path) as target:
                        _refuse_reserved((target.name,), path)
                        status = target.stat()
                entries.append(entry(path, status))
    finally:
        os.close(folder)
    return entries


def _refuse_folder(place: Place, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(place.stat().st_mode):
            raise errors.Conflict(f"{path!r} is a folder, not a file", field="path")


def _delete_empty(place: Place, path: str) -> None:
    try:
        os.rmdir(place.name, dir_fd=place.folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        message = f"{path!r} is a folder that is not empty: delete it with recursive=1"
        raise errors.Conflict(message, field="recursive") from None


def _delete_tree(place: Place) -> None:
    def stop(error: OSError) -> None:
        raise error

    walk = os.fwalk(place.name, topdown=False, onerror=stop, dir_fd=place.folder)
    for _, folders, files, handle in walk:
        for name in files:
            os.unlink(name, dir_fd=handle)
        for name in folders:
            status = os.stat(name, dir_fd=handle, follow_symlinks=False)
            remove: Callable[..., None] = os.rmdir if stat.S_ISDIR(status.st_mode) else os.unlink
            remove(name, dir_fd=handle)
    os.rmdir(place.name, dir_fd=place.folder)


def _sweep_folder(folder: int) -> None:
    """Delete what writers that were never finished left in a folder more than a day ago."""
    limit = time.time() - _UNFINISHED_S
    with os.scandir(folder) as found:
        names = [item.name for item in found if _OURS.fullmatch(item.name)]
    for name in names:
        with contextlib.suppress(OSError):
            _sweep_one(Place(folder, name), limit)


def _sweep_one(place: Place, limit: float) -> None:
    newest = place.stat().st_mtime
    is_folder = stat.S_ISDIR(place.stat().st_mode)
    if is_folder:
        for _, _, files, handle in os.fwalk(place.name, dir_fd=place.folder):
            times = (os.stat(name, dir_fd=handle, follow_symlinks=False).st_mtime for name in files)
            newest = max(newest, *times, os.fstat(handle).st_mtime)
    if newest >= limit:
        return
    if is_folder:
        _delete_tree(place)
    else:
        os.unlink(place.name, dir_fd=place.folder)


def _mark(root: Path) -> None:
    if _read_marker(root):
        return
    temporary = root / f".{MARKER}.{secrets.token_hex(8)}.tmp"
    # A root that may only be read stays without a marker: it is then never taken for a shared mount.
    with contextlib.suppress(OSError):
        temporary.write_text(secrets.token_hex(16) + "\n", encoding="ascii")
        temporary.chmod(0o644)
        temporary.replace(root / MARKER)


def _read_marker(root: Path) -> str:
    try:
        with resolve(root, MARKER, follow=False) as place, os.fdopen(place.open_file(), "rb") as file:
            return file.read(64).decode("ascii", "replace").strip()
    except (OSError, errors.Forbidden):
        return ""
