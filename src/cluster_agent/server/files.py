"""Calls on files: those of a project, and what a job left in its working folder."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import BinaryIO

from cluster_agent.content.beneath import resolve
from cluster_agent.content.upload import Upload, entry, told
from cluster_agent.errors import BadRequest, BeyondEnd
from cluster_agent.folder import JobFolder
from cluster_agent.isolation.rights import Rights, acting_with
from cluster_agent.log.follow import events_of
from cluster_agent.protocol import BYTES, Event, FileEntry, FileList
from cluster_agent.server.call import Call, Reply, Sink
from cluster_agent.server.jobs import job_of

_CHUNK = 2**20


async def read(call: Call) -> FileList | None:
    """A file of the project, from a Range on; a folder as a list of its entries."""
    where = await _place(call)
    info = await asyncio.to_thread(call.agent.projects.info, *where)
    if info.type == "directory" or call.flag("list"):
        return FileList(files=await asyncio.to_thread(call.agent.projects.list, *where))
    file, info = await asyncio.to_thread(call.agent.projects.open_read, *where)
    await send_file(call, file, info)
    return None


async def _place(call: Call) -> tuple[str, str, Rights | None]:
    """The project and the path that are asked for, and the rights of whoever asks."""
    rights = await asyncio.to_thread(call.agent.isolation.rights, call.caller.user)
    return call.args["project"], call.args["path"], rights


def _note(call: Call) -> None:
    """Tell the audit log which file it is about."""
    call.note(project=call.args["project"][:100], path=call.args["path"][:500])


async def info(call: Call) -> Reply:
    """What is at the path, as headers: ``Content-Length``, ``ETag``, ``Last-Modified-Seconds``, ``File-Type``."""
    found = await asyncio.to_thread(call.agent.projects.info, *await _place(call))
    headers = {
        "File-Type": found.type,
        "Last-Modified-Seconds": repr(found.mtime),
        "Content-Length": str(found.size),
        "Content-Type": BYTES,
    }
    if found.etag:
        headers["ETag"] = f'"{found.etag}"'
    return Reply(headers=headers)


async def open_upload(call: Call) -> Sink:
    """Where the body of a PUT goes; seen by nobody before it is complete."""
    _note(call)
    return await asyncio.to_thread(call.agent.projects.begin_write, *await _place(call))


async def write(call: Call) -> FileEntry:
    """Put the uploaded file in its place, as a whole, if ``If-Match`` (an ETag; empty: no file yet) holds."""
    upload = call.sink
    assert isinstance(upload, Upload)
    written = await asyncio.to_thread(upload.commit, call.headers.get("If-Match"))
    call.note(bytes=written.size)
    return written


async def delete(call: Call) -> Reply:
    """Delete a file, an empty folder, or with ``recursive=1`` a folder with all that it holds."""
    _note(call)
    project, path, rights = await _place(call)
    recursive = call.flag("recursive")
    await asyncio.to_thread(call.agent.projects.delete, project, path, rights, recursive=recursive)
    return Reply(status=204)


async def list_left(call: Call) -> FileList:
    """Files that the job left in its working folder, as its log tells them."""
    record = await job_of(call)
    return FileList(files=await asyncio.to_thread(_left, call.agent.dispatcher.folder_of(record.job_id)))


def _left(folder: JobFolder) -> list[FileEntry]:
    return [_entry_of(event) for event in events_of(folder.log, "file")]


def _entry_of(event: Event) -> FileEntry:
    return FileEntry(path=event.path or "", type="file", size=event.size or 0, sha256=event.sha256)


async def read_left(call: Call) -> None:
    """A file that the job left in its working folder."""
    record = await job_of(call)
    work = call.agent.dispatcher.folder_of(record.job_id).work
    file, info = await asyncio.to_thread(open_left, work, call.args["path"])
    await send_file(call, file, info)


def open_left(work: Path, path: str) -> tuple[BinaryIO, FileEntry]:
    """The regular file at ``path`` below ``work``, open, and its entry; no link leads out.

    What belongs to another user is read with the rights of that one.
    """
    with (
        told(path),
        acting_with(Rights.of_owner(work.lstat())),
        resolve(work, path, follow=False, root_may_be_link=False) as place,
    ):
        file = os.fdopen(place.open_file(), "rb")
        return file, entry(path, os.fstat(file.fileno()))


async def read_blob(call: Call) -> None:
    """Display data of the job that was too large for a line of its log."""
    record = await job_of(call)
    name = call.args["sha256"]
    if not re.fullmatch(r"[0-9a-f]{64}", name):
        raise BadRequest(f"{name[:64]!r} is not a SHA-256", field="sha256")
    path = call.agent.dispatcher.folder_of(record.job_id).blobs / name
    file, info = await asyncio.to_thread(open_left, path.parent, name)
    await send_file(call, file, info)


async def send_file(call: Call, file: BinaryIO, info: FileEntry, content_type: str = BYTES) -> None:
    """Send an open file, or the Range of it that is asked for, and close it."""
    with file:
        first, last = byte_range(call.headers.get("Range"), info.size)
        headers = {
            "Content-Length": str(last + 1 - first),
            "Accept-Ranges": "bytes",
            "ETag": f'"{info.etag}"',
        }
        partial = "Range" in call.headers
        if partial:
            headers["Content-Range"] = f"bytes {first}-{last}/{info.size}"
        call.start(content_type, headers, status=206 if partial else 200)
        file.seek(first)
        left = last + 1 - first
        while left and (data := await asyncio.to_thread(file.read, min(left, _CHUNK))):
            await call.send(data)
            left -= len(data)


def byte_range(header: str | None, size: int) -> tuple[int, int]:
    """First and last byte that ``header`` asks for, of ``size`` bytes.

    Raises
    ------
    BadRequest
        When it is not one range of bytes.
    BeyondEnd
        When it begins behind the last byte.
    """
    if header is None:
        return 0, size - 1
    match = re.fullmatch(r"bytes=(\d{1,15})?-(\d{1,15})?", header.strip())
    if match is None or not (match[1] or match[2]):
        raise BadRequest(f"Range: {header[:60]!r} is not bytes=FIRST-LAST", field="Range")
    if match[1] is None:
        first, last = max(0, size - int(match[2])), size - 1
    else:
        first, last = int(match[1]), min(size - 1, int(match[2]) if match[2] else size - 1)
    if first > last:
        raise BeyondEnd(f"there are {size} bytes", field="Range")
    return first, last
