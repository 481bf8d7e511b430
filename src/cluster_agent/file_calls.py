"""The calls of a client that move bytes: output, display data, results, files of a job and of a project."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

from cluster_agent.errors import BadRequest, NotFound
from cluster_agent.protocol import BYTES, JSON, Blob, FileEntry, FileList, ResultEntry, ResultList, Stream

if TYPE_CHECKING:
    from cluster_agent.transport import Body, Reply, Transport

_UPLOAD_BYTES = 262144
_PART_BYTES = 2**20
_RESULT = f"{JSON}, {BYTES}"
Buffer = bytes | bytearray | memoryview


class FileCalls:
    """A part of :class:`cluster_agent.client.AgentClient`."""

    def __init__(self, transport: Transport, silence_s: float) -> None:
        self._transport = transport
        self._silence_s = silence_s

    def output(self, job_id: int, stream: Stream, offset: int = 0) -> Iterator[bytes]:
        """The exact bytes of a stream so far, from ``offset`` on."""
        return self._bytes(f"/v1/jobs/{job_id}/output/{stream}", start=offset)

    def blob(self, job_id: int, sha256: str) -> bytes:
        """Display data that was too large for its event."""
        return b"".join(self._bytes(f"/v1/jobs/{job_id}/blobs/{segment(sha256)}"))

    def passed(
        self, path: str, *, accept: str, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> AbstractContextManager[Reply]:
        """The answer to a GET of ``path`` as it comes in, for somebody who passes it on."""
        return self._transport.open(
            "GET", path, accept=accept, params=params, headers=headers, silence_s=self._silence_s
        )

    def results(self, job_id: int) -> list[ResultEntry]:
        """The variables that the job was asked to keep and came to: how each can be had, or why not."""
        return self._transport.call("GET", f"/v1/jobs/{job_id}/results", ResultList).results

    def result(self, job_id: int, name: str) -> bytes:
        """The value of a kept variable, in the format that its entry tells.

        Raises
        ------
        NotFound
            When there is none of that name; the message says why, or what there is.
        """
        return b"".join(self.result_parts(job_id, name))

    def result_parts(self, job_id: int, name: str) -> Iterator[bytes]:
        """As :meth:`result`, in pieces."""
        return self._bytes(_result(job_id, name), accept=_RESULT)

    def result_of(self, job_id: int, entry: ResultEntry) -> tuple[bytearray, str]:
        """The bytes of a result that is known to have ``entry.size`` of them, and their SHA-256."""
        buffer = bytearray(entry.size)
        path = _result(job_id, entry.name)
        with self._transport.open("GET", path, accept=_RESULT, silence_s=self._silence_s) as reply:
            return buffer, reply.read_into(buffer, self._silence_s)

    def has_blob(self, sha256: str) -> bool:
        """Whether the agent has this blob of the caller's; it then stays for another day."""
        try:
            with self._transport.open("HEAD", _blob(sha256), accept=BYTES):
                return True
        except NotFound:
            return False

    def send_blob(self, sha256: str, size: int, pieces: Iterable[Buffer]) -> Blob:
        """Send the ``size`` bytes whose hash is ``sha256``, in pieces.

        Raises
        ------
        BadRequest
            When they have another hash.
        TooLarge, StorageFault
            When the agent has no room for them.
        """
        headers = {"Content-Type": BYTES, "Content-Length": str(size)}
        return self._transport.call(
            "PUT", _blob(sha256), Blob, content=_parts(pieces), headers=headers, silence_s=self._silence_s
        )

    def give_blob(self, sha256: str, file: str) -> Blob:
        """Give the agent of one's own the file that lies in the folder which ``Info.blob_folder`` names."""
        return self._transport.call("PUT", _blob(sha256), Blob, headers={"Blob-File": file})

    def input_parts(self, job_id: int, sha256: str) -> Iterator[bytes]:
        """What travelled with a job, a value or module, in pieces; its hash is to be checked."""
        return self._bytes(f"/v1/jobs/{job_id}/inputs/{segment(sha256)}")

    def lock(self, job_id: int) -> str:
        """Exactly which packages were installed for the job.

        Raises
        ------
        NotFound
            When none were asked for, or it has not come to that.
        """
        return b"".join(self._bytes(f"/v1/jobs/{job_id}/lock", accept="text/plain")).decode()

    def job_files(self, job_id: int) -> list[FileEntry]:
        """What the job left in its working folder."""
        return self._transport.call("GET", f"/v1/jobs/{job_id}/files", FileList).files

    def job_file(self, job_id: int, path: str) -> Iterator[bytes]:
        """The bytes of a file in the job's working folder."""
        return self._bytes(f"/v1/jobs/{job_id}/files/{_path(path)}")

    def list_files(self, project: str, path: str = "") -> list[FileEntry]:
        """What lies in a folder of the project."""
        return self._transport.call("GET", _project(project, path), FileList, params={"list": 1}).files

    def read_file(
        self, project: str, path: str, start: int | None = None, end: int | None = None
    ) -> Iterator[bytes]:
        """The bytes of a file of the project, from ``start`` up to, not including, ``end``."""
        return self._bytes(_project(project, path), start=start or 0, end=end)

    def file_info(self, project: str, path: str) -> FileEntry:
        """One file or folder of the project."""
        with self._transport.open("HEAD", _project(project, path), accept=BYTES) as reply:
            told = reply.headers
            return FileEntry(
                path=path,
                type="directory" if told.get("File-Type") == "directory" else "file",
                size=int(told.get("Content-Length", "0")),
                mtime=float(told.get("Last-Modified-Seconds", "0")),
                etag=told.get("ETag", "").strip('"'),
            )

    def write_file(
        self,
        project: str,
        path: str,
        content: bytes | BinaryIO | Iterable[bytes],
        if_match: str | None = None,
    ) -> FileEntry:
        """The file as it was written: as a whole, or not at all.

        Raises
        ------
        StaleWrite
            When ``if_match`` is given and is not the file's etag any more; empty means: no file yet.
        """
        headers = {"Content-Type": BYTES}
        if if_match is not None:
            headers["If-Match"] = if_match if if_match in {"", "*"} else f'"{if_match}"'
        return self._transport.call(
            "PUT",
            _project(project, path),
            FileEntry,
            content=_body(content),
            headers=headers,
            silence_s=self._silence_s,
        )

    def delete_file(self, project: str, path: str, recursive: bool = False) -> None:
        """Delete a file or an empty folder; with ``recursive`` a folder with all that is in it."""
        params = {"recursive": 1} if recursive else None
        with self._transport.open("DELETE", _project(project, path), accept=JSON, params=params):
            pass

    def _bytes(
        self, path: str, *, start: int = 0, end: int | None = None, accept: str = BYTES
    ) -> Iterator[bytes]:
        if end is not None and end <= start:
            return
        headers = {}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        with self._transport.open("GET", path, accept=accept, headers=headers) as reply:
            if headers and not reply.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                raise self._transport.no_agent("with other bytes than those asked for")
            yield from reply.chunks()


def _result(job_id: int, name: str) -> str:
    if not name.isidentifier():
        raise BadRequest(f"{name[:100]!r} is not the name of a variable", field="name")
    return f"/v1/jobs/{job_id}/results/{segment(name)}"


def _blob(sha256: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise BadRequest(f"{sha256[:64]!r} is not a SHA-256", field="sha256")
    return f"/v1/blobs/{segment(sha256)}"


def _parts(pieces: Iterable[Buffer]) -> Iterator[bytes]:
    """Pieces of a size that neither costs many calls nor much memory."""
    for piece in pieces:
        view = memoryview(piece)
        for start in range(0, view.nbytes, _PART_BYTES):
            yield bytes(view[start : start + _PART_BYTES])


def segment(name: str) -> str:
    """``name`` as one part of a path."""
    return quote(name, safe="")


def _path(path: str) -> str:
    if any(part in {".", ".."} for part in path.split("/")):
        raise BadRequest(f"{path!r} is not a path below its root: leave out . and ..", field="path")
    return quote(path.lstrip("/"), safe="/")


def _project(project: str, path: str) -> str:
    return f"/v1/projects/{segment(project)}/files/{_path(path)}"


def _body(content: bytes | BinaryIO | Iterable[bytes]) -> Body:
    if isinstance(content, bytes):
        return content
    if hasattr(content, "read"):
        return iter(lambda: content.read(_UPLOAD_BYTES), b"")
    return content
