"""The files of a project through its agent, for fsspec: where the notebook's machine does not mount them."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from cluster_agent import errors
from cluster_agent.client import AgentClient
from cluster_agent.protocol import FileEntry
from mlmagics.cluster.session import told

_READ_BYTES = 4 * 2**20


class AgentFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """The files of one project of one cluster.

    Parameters
    ----------
    cluster
        Name of the cluster, for messages.
    project
        Name of the project there.
    client
        Gives the client to ask; asked anew each time, so that a fork or a changed attachment does no harm.
    """

    protocol = "agent"
    cachable = False

    def __init__(self, cluster: str, project: str, client: Callable[[], AgentClient]) -> None:
        super().__init__()
        self.cluster = cluster
        self.project = project
        self._client = client

    @contextlib.contextmanager
    def ask(self, path: str) -> Iterator[AgentClient]:
        """The client; what it raises becomes what Python raises for local files, or one line."""
        with told(self.cluster):
            try:
                yield self._client()
            except errors.NotFound:
                raise FileNotFoundError(f"there is no project://{path} on {self.cluster}") from None
            except errors.Forbidden as error:
                raise PermissionError(f"{self.cluster}: {error.message}") from None
            except errors.Conflict as error:
                raise OSError(f"{self.cluster}: {error.message}") from None
            except errors.StaleWrite as error:
                raise FileExistsError(f"{self.cluster}: {error.message}") from None

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """What is at ``path``."""
        with self.ask(path) as client:
            return _told(client.file_info(self.project, path))

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[dict[str, Any]] | list[str]:
        """What the folder ``path`` holds."""
        with self.ask(path) as client:
            entries = [_told(entry) for entry in client.list_files(self.project, path)]
        return entries if detail else [entry["name"] for entry in entries]

    def ukey(self, path: str) -> str:
        """Text that changes when the file does."""
        return str(self.info(path)["etag"])

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """The bytes of the file, or of a part of it; negative positions count from its end."""
        if (start or 0) < 0 or (end or 0) < 0:
            size = self.info(path)["size"]
            start, end, _step = slice(start, end).indices(size)
        with self.ask(path) as client:
            return b"".join(client.read_file(self.project, path, start, end))

    def rm_file(self, path: str) -> None:
        """Delete a file."""
        with self.ask(path) as client:
            client.delete_file(self.project, path)

    rmdir = rm_file

    def rm(self, path: str | list[str], recursive: bool = False, maxdepth: int | None = None) -> None:
        """Delete files, and with ``recursive`` folders with all they hold."""
        if maxdepth is not None:
            super().rm(path, recursive=recursive, maxdepth=maxdepth)
            return
        for found in self.expand_path(path):
            with self.ask(found) as client:
                client.delete_file(self.project, found, recursive=recursive)

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        """Copy a file, through this machine."""
        if self.isdir(path1):
            return
        with tempfile.TemporaryFile() as copy, self.ask(path1) as client:
            for block in client.read_file(self.project, path1):
                copy.write(block)
            copy.seek(0)
            client.write_file(self.project, path2, copy)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Nothing, unless ``path`` exists: folders come with their first file."""
        if not exist_ok and self.exists(path):
            raise FileExistsError(f"project://{path} exists already")

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:  # noqa: ARG002
        """Nothing, unless ``path`` exists."""
        self.makedirs(path)

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> io.IOBase:
        if mode in ("wb", "xb"):
            return _Upload(self, path, exclusive=mode == "xb", publish=bool(kwargs.get("autocommit", True)))
        if mode != "rb":
            raise ValueError(f"project://{path} cannot be opened with mode {mode!r} through {self.cluster}")
        found = self.info(path)
        if found["type"] == "directory":
            raise IsADirectoryError(f"project://{path} is a folder")
        file: io.IOBase = _Download(self, path, size=found["size"], block_size=_READ_BYTES)
        return file


class _Download(AbstractBufferedFile):  # type: ignore[misc]
    def _fetch_range(self, start: int, end: int) -> bytes:
        data: bytes = self.fs.cat_file(self.path, start, min(end, self.size))
        return data


class _Upload(io.BufferedWriter):
    """A file of this machine that is sent as a whole when it is closed."""

    def __init__(self, files: AgentFileSystem, path: str, *, exclusive: bool, publish: bool) -> None:
        self._files = files
        self._path = path
        self._if_match = "" if exclusive else None
        self._publish = publish
        self._folder = tempfile.TemporaryDirectory(prefix="project-")
        self._local = Path(self._folder.name) / "upload"
        super().__init__(io.FileIO(self._local, "x"))

    def close(self) -> None:
        """Send the file; again does nothing."""
        if self.closed:
            return
        super().close()
        if self._publish:
            self.commit()

    def commit(self) -> None:
        """Send the closed file; called by hand only in a transaction."""
        try:
            with self._local.open("rb") as content, self._files.ask(self._path) as client:
                client.write_file(self._files.project, self._path, content, if_match=self._if_match)
        finally:
            self._folder.cleanup()

    def discard(self) -> None:
        """Forget what was written."""
        self._publish = False
        super().close()
        self._folder.cleanup()

    def __exit__(self, exc_type: object, *_: object) -> None:
        if exc_type is None:
            self.close()
        else:
            self.discard()


def _told(entry: FileEntry) -> dict[str, Any]:
    return {
        "name": entry.path.rstrip("/"),
        "type": entry.type,
        "size": entry.size,
        "mtime": entry.mtime,
        "etag": entry.etag,
    }
