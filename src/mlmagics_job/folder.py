"""A project whose root is a folder of this machine: names kept inside, files written as a whole.

Standard library only. The checks keep honest programs from leaving the project by accident; a job that wants
to leave it has its user's rights anyway. What an agent serves to others is resolved by handles instead.
"""

import io
import os
import re
import secrets
import stat
from typing import Any, Dict, List, Optional

#: Unfinished writes and the mark by which a shared mount is recognised; never listed.
_HIDDEN = re.compile(r"\..*\.tmp|\.mlmagics-project")


class OwnLines:
    """For exceptions whose message says it all: a notebook shows the author's lines with it, no library's."""

    def _render_traceback_(self, *_: Any) -> List[str]:
        from .errors import own_lines

        assert isinstance(self, BaseException)
        return own_lines(self)


class OutsideProjectError(OwnLines, ValueError):
    """The path leads out of the project."""


def relative(name: Any) -> str:
    """``name`` as a path relative to the root: ``project://a/b``, ``/a/b`` and ``a/b`` are the same.

    Raises
    ------
    OutsideProjectError
        When it holds ``..`` or NUL.
    """
    text = os.fspath(name)
    if not isinstance(text, str):
        raise TypeError("a path in the project is text, not %s" % type(name).__name__)
    if text.startswith("project://"):
        text = text[len("project://") :]
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in text:
        raise OutsideProjectError("%r leads out of the project: write it like models/m.json" % text)
    return "/".join(parts)


def is_hidden(path: str) -> bool:
    """Whether ``path`` is an unfinished write or the mark of the root."""
    return _HIDDEN.fullmatch(path.rsplit("/", 1)[-1]) is not None


class Folder:
    """The project's root as a local folder."""

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)

    def real(self, path: str) -> str:
        """The file of this machine that ``path`` names, links resolved; it need not exist.

        Raises
        ------
        OutsideProjectError
            When a link leads out of the root.
        """
        found = os.path.realpath(os.path.join(self.root, *relative(path).split("/")))
        if found != self.root and os.path.commonpath([self.root, found]) != self.root:
            raise OutsideProjectError("%r leads out of the project by a link" % path)
        return found

    def info(self, path: str) -> Dict[str, Any]:
        """What is at ``path``, in the words of fsspec."""
        found = self.real(path)
        try:
            status = os.stat(found)
        except FileNotFoundError:
            raise FileNotFoundError("there is no project://%s" % path) from None
        kind = "directory" if stat.S_ISDIR(status.st_mode) else "file"
        return {
            "name": path,
            "type": kind if kind == "directory" or stat.S_ISREG(status.st_mode) else "other",
            "size": status.st_size if kind == "file" else 0,
            "mtime": status.st_mtime,
            "mtime_ns": status.st_mtime_ns,
            "ino": status.st_ino,
        }

    def list(self, path: str) -> List[Dict[str, Any]]:
        """What the folder ``path`` holds; unfinished writes and links that lead out or nowhere are left out."""
        entries = []
        for name in sorted(os.listdir(self.real(path))):
            if is_hidden(name):
                continue
            try:
                entries.append(self.info(path + "/" + name if path else name))
            except (OutsideProjectError, FileNotFoundError):
                pass
        return entries

    def create(self, path: str, exclusive: bool = False, publish: bool = True) -> "AtomicFile":
        """A file to be written, which takes the place of ``path`` as a whole when it is closed."""
        target = self.real(path)
        if target == self.root:
            raise IsADirectoryError("project://%s is the project itself, not a file" % path)
        if os.path.isdir(target):
            raise IsADirectoryError("project://%s is a folder" % path)
        if exclusive and os.path.exists(target):
            raise FileExistsError("project://%s exists already" % path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        return AtomicFile(target, publish)


class AtomicFile(io.BufferedWriter):
    """A binary file that is written beside its place and put there, as a whole, by :meth:`close`.

    Leaving a ``with`` block by an exception discards it.
    """

    def __init__(self, target: str, publish: bool = True) -> None:
        self.target = target
        self._publish = publish
        self._temporary = temporary_beside(target)
        super().__init__(io.FileIO(self._temporary, "x"))

    def close(self) -> None:
        """Publish the file; again does nothing."""
        if self.closed:
            return
        try:
            self.flush()
            os.fsync(self.fileno())
        except BaseException:
            self.discard()
            raise
        super().close()
        if self._publish:
            self.commit()

    def commit(self) -> None:
        """Put the closed file in its place; called by hand only for files opened with ``publish=False``."""
        try:
            replace(self._temporary, self.target)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Forget what was written."""
        self._publish = False
        if not self.closed:
            # Not super().close(): it would flush, and a full disk would refuse again.
            try:
                self.raw.close()
            except OSError:
                pass
        try:
            os.unlink(self._temporary)
        except FileNotFoundError:
            pass

    def __exit__(self, exc_type: Any, *args: Any) -> None:
        if exc_type is None:
            self.close()
        else:
            self.discard()


class AtomicText(io.TextIOWrapper):
    """Text over an :class:`AtomicFile`; leaving a ``with`` block by an exception discards it."""

    def __init__(self, file: AtomicFile, encoding: Optional[str], newline: Optional[str]) -> None:
        self._file = file
        super().__init__(file, encoding=encoding, newline=newline)

    def __exit__(self, exc_type: Any, *args: Any) -> None:
        if exc_type is None:
            self.close()
        else:
            self._file.discard()


def temporary_beside(target: str) -> str:
    """A hidden name that nobody else has, in the folder of ``target``: a rename from there is atomic."""
    folder, name = os.path.split(target)
    return os.path.join(folder, ".%s.%s.tmp" % (name, secrets.token_hex(8)))


def replace(written: str, target: str) -> None:
    """Put the file or folder ``written``, synced already, at ``target``, and make the name durable.

    A file that is replaced keeps its permissions.
    """
    try:
        os.chmod(written, stat.S_IMODE(os.stat(target).st_mode) & 0o777)
    except FileNotFoundError:
        pass
    os.replace(written, target)
    if os.name == "posix":
        sync(os.path.dirname(target))


def sync(path: str) -> None:
    """Make the file or the names in the folder ``path`` durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
