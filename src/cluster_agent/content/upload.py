"""Writing a file of a project as a whole: beside its place first, then in its place by a rename."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
import threading
from collections.abc import Iterator

from cluster_agent import errors, protocol
from cluster_agent.content.beneath import Place
from cluster_agent.isolation.rights import Rights, acting_with

_MAX_NAME_BYTES = 255 - len("..") - 16 - len(".tmp")


class Upload:
    """A file being written beside its place; :meth:`commit` or :meth:`abort` ends it, once.

    It is made by whoever has the ``rights`` that it is to be ended with.
    """

    def __init__(self, place: Place, path: str, lock: threading.Lock, rights: Rights | None = None) -> None:
        self._path = path
        self._rights = rights
        self._lock = lock
        self._sha256 = hashlib.sha256()
        self._temporary = f".{place.name}.{secrets.token_hex(8)}.tmp"
        if len(os.fsencode(place.name)) > _MAX_NAME_BYTES:
            raise errors.BadRequest(f"{place.name!r} is longer than {_MAX_NAME_BYTES} bytes", field="path")
        self._place = Place(os.dup(place.folder), place.name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._descriptor = os.open(self._temporary, flags, 0o666, dir_fd=self._place.folder)
        except BaseException:
            os.close(self._place.folder)
            raise
        self._open = True

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        with told(self._path):
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]
        self._sha256.update(data)

    def commit(self, if_match: str | None = None) -> protocol.FileEntry:
        """Put what was written at its place, durably and as a whole; returns its entry with ``sha256``.

        Parameters
        ----------
        if_match
            None for no condition; an etag that the file must have now; ``*`` when any file must be there;
            empty when none may be.

        Raises
        ------
        errors.StaleWrite
            When the condition does not hold. Nothing is changed, and the upload is over.

        Notes
        -----
        Test and replacement are one step among writers that come through the agent. Writers that share
        the folder directly do not take part in this.
        """
        try:
            with told(self._path):
                os.fsync(self._descriptor)
                with self._lock, acting_with(self._rights):
                    self._test(if_match)
                    folder = self._place.folder
                    os.rename(self._temporary, self._place.name, src_dir_fd=folder, dst_dir_fd=folder)
                    status = os.fstat(self._descriptor)
                os.fsync(folder)
        except BaseException:
            self.abort()
            raise
        self._close()
        return entry(self._path, status, sha256=self._sha256.hexdigest())

    def abort(self) -> None:
        """Forget what was written. Does nothing after the upload's end."""
        if not self._open:
            return
        with contextlib.suppress(FileNotFoundError, PermissionError), acting_with(self._rights):
            os.unlink(self._temporary, dir_fd=self._place.folder)
        self._close()

    def _test(self, if_match: str | None) -> None:
        wanted = None if if_match is None else if_match.strip('"')
        try:
            status = self._place.stat()
        except FileNotFoundError:
            if wanted:
                message = f"{self._path!r} is not there any more; nothing was written"
                raise errors.StaleWrite(message, field="if_match") from None
            return
        if wanted not in (None, "*", etag(status)):
            message = f"{self._path!r} " + ("has changed since it was read" if wanted else "exists already")
            raise errors.StaleWrite(f"{message}; nothing was written", field="if_match")
        # A file that is replaced keeps its permissions, whatever the umask of this process.
        os.fchmod(self._descriptor, status.st_mode & 0o777)

    def _close(self) -> None:
        self._open = False
        os.close(self._descriptor)
        os.close(self._place.folder)


def etag(status: os.stat_result) -> str:
    """Text that changes when the file's content does."""
    return f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"


def entry(path: str, status: os.stat_result, *, sha256: str | None = None) -> protocol.FileEntry:
    """What is told of the file or folder at ``path``.

    Raises
    ------
    errors.Forbidden
        When it is neither.
    """
    if stat.S_ISDIR(status.st_mode):
        return protocol.FileEntry(path=path, type="directory", mtime=status.st_mtime)
    if not stat.S_ISREG(status.st_mode):
        raise errors.Forbidden(f"{path!r} is a pipe, socket or device, not a file", field="path")
    return protocol.FileEntry(
        path=path,
        type="file",
        size=status.st_size,
        mtime=status.st_mtime,
        etag=etag(status),
        sha256=sha256,
    )


@contextlib.contextmanager
def told(path: str) -> Iterator[None]:
    """Turn what the operating system refuses into an error of the wire that names ``path``."""
    try:
        yield
    except FileNotFoundError:
        raise errors.NotFound(f"there is no {path!r} in this project", field="path") from None
    except NotADirectoryError:
        raise errors.Conflict(f"a part of {path!r} is a file, not a folder", field="path") from None
    except IsADirectoryError:
        raise errors.Conflict(f"{path!r} is a folder, not a file", field="path") from None
    except PermissionError:
        raise errors.Forbidden(f"the agent's user may not do that with {path!r}", field="path") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise errors.BadRequest(f"{path!r} is too long", field="path") from None
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise errors.Forbidden(f"{path!r} is not a file or folder any more", field="path") from None
        raise errors.StorageFault(f"the agent's disk refused {path!r}: {error.strerror}") from error
