"""Resolving a path beneath a folder, by directory handles and never by comparing strings.

Whatever a caller or a link in shared storage says, an operation touches only what lies under the root: each
component is opened relative to the one before it without following links; a link is read and its target is
resolved anew, beneath the same root. Used by :mod:`cluster_agent.content.projects`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cluster_agent import errors

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_LINKS = 40
_MAX_PARTS = 100
#: Folders that are opened on the way, those behind links included: each is a descriptor.
_MAX_FOLDERS = 200


@dataclass(frozen=True, slots=True)
class Place:
    """A resolved name: ``name`` in the open folder ``folder``. The root itself has the name ``.``."""

    folder: int
    name: str

    def stat(self) -> os.stat_result:
        """The status of the file, link or folder itself."""
        return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)

    def open_file(self) -> int:
        """A descriptor that reads the regular file at this place, opened without waiting for anybody.

        Raises
        ------
        errors.Forbidden
            When it is a pipe, socket or device.
        IsADirectoryError
            When it is a folder.
        """
        _refuse_special(self.stat(), self.name)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self.name, flags, dir_fd=self.folder)
        try:
            # Again on the open file: the name may have been given to another one meanwhile.
            _refuse_special(os.fstat(descriptor), self.name)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def _refuse_special(status: os.stat_result, name: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    if not stat.S_ISREG(status.st_mode):
        raise errors.Forbidden(f"{name!r} is a pipe, socket or device, not a file", field="path")


def split(path: str) -> tuple[str, ...]:
    """The components of ``path``, relative to the root; none for the root itself.

    Raises
    ------
    errors.BadRequest
        When the path is absolute, holds ``..``, ``.``, an empty component, a backslash or NUL, or has more
        than 100 components.
    """
    if path == "":
        return ()
    parts = tuple(path.removesuffix("/").split("/"))
    for part in parts:
        if part in ("", ".", "..") or "\0" in part or "\\" in part:
            raise errors.BadRequest(
                f"{path!r} is not a path inside the project: write it like models/m.json", field="path"
            )
    if len(parts) > _MAX_PARTS:
        raise errors.BadRequest(f"a path of {len(parts)} components: more than {_MAX_PARTS}", field="path")
    try:
        path.encode()
    except UnicodeEncodeError:
        raise errors.BadRequest(f"{path!r} is not valid text", field="path") from None
    return parts


class _Walk:
    """The open folders from the root down to where the walk stands."""

    def __init__(
        self, root: Path, path: str, handles: contextlib.ExitStack, *, root_may_be_link: bool
    ) -> None:
        self._root = root
        self._path = path
        self._handles = handles
        flags = _FOLDER & ~os.O_NOFOLLOW if root_may_be_link else _FOLDER
        self._folders = [self._keep(os.open(root, flags))]
        self._links = 0
        self._opened = 0

    @property
    def here(self) -> int:
        return self._folders[-1]

    def _keep(self, descriptor: int) -> int:
        self._handles.callback(os.close, descriptor)
        return descriptor

    def down(self, name: str) -> None:
        """Enter the folder ``name``; an OSError when it is none."""
        self._opened += 1
        if self._opened > _MAX_FOLDERS:
            raise errors.Forbidden(f"{self._path[:80]!r} leads through too many folders", field="path")
        self._folders.append(self._keep(os.open(name, _FOLDER, dir_fd=self.here)))

    def up(self) -> None:
        if len(self._folders) == 1:
            raise self._leads_out()
        self._folders.pop()

    def follow(self, name: str) -> list[str] | None:
        """The components that the link ``name`` stands for; None when it is no link."""
        try:
            target = os.readlink(name, dir_fd=self.here)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return None
            raise
        self._links += 1
        if self._links > _MAX_LINKS:
            raise errors.Forbidden(f"{self._path!r} leads through more than {_MAX_LINKS} links", field="path")
        pure = PurePosixPath(target)
        if pure.is_absolute():
            if not pure.is_relative_to(self._root):
                raise self._leads_out()
            pure = pure.relative_to(self._root)
            del self._folders[1:]
        return [part for part in pure.parts if part != "."]

    def _leads_out(self) -> errors.Forbidden:
        return errors.Forbidden(f"{self._path!r} leads out of the project by a link", field="path")


@contextlib.contextmanager
def resolve(
    root: Path, path: str, *, follow: bool = True, create: bool = False, root_may_be_link: bool = True
) -> Iterator[Place]:
    """The place that ``path`` names beneath ``root``; its folder stays open inside the block.

    Parameters
    ----------
    root
        Absolute path of an existing folder, which may be reached through links.
    follow
        Whether a link in the last component is followed. Links before it always are.
    create
        Make missing folders on the way.
    root_may_be_link
        False for a root that a job can replace: a link in its place is then refused, as NotADirectoryError.

    Raises
    ------
    errors.BadRequest
        When ``path`` is not a path inside a project.
    errors.Forbidden
        When a link leads out of the root.
    OSError
        As the operating system says; the last component need not exist.
    """
    with contextlib.ExitStack() as handles:
        walk = _Walk(root, path, handles, root_may_be_link=root_may_be_link)
        pending = list(reversed(split(path)))
        name = "."
        while pending:
            name = pending.pop()
            if name == "..":
                walk.up()
                name = "."
                continue
            target = walk.follow(name) if pending or follow else None
            if target is not None:
                pending.extend(reversed(target))
                name = "."
            elif pending:
                _enter(walk, name, create=create)
                name = "."
        yield Place(walk.here, name)


def _enter(walk: _Walk, name: str, *, create: bool) -> None:
    try:
        walk.down(name)
    except FileNotFoundError:
        if not create:
            raise
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o777, dir_fd=walk.here)
        walk.down(name)
