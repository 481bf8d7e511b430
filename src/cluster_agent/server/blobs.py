"""Calls on blobs: what travels with a cell, sent ahead of it, and read again with its job."""

from __future__ import annotations

import asyncio

from cluster_agent.content.blobs import BlobUpload
from cluster_agent.errors import BadRequest, Forbidden, NotFound
from cluster_agent.protocol import BYTES, Blob
from cluster_agent.server.call import Call, Reply, Sink
from cluster_agent.server.files import open_left, send_file
from cluster_agent.server.jobs import job_of


async def look(call: Call) -> Reply:
    """Whether the blob is here, which keeps it for another day."""
    found = await asyncio.to_thread(call.agent.blobs.find, call.caller.user, call.args["sha256"])
    if found is None:
        raise NotFound("no such blob of yours is here", field="sha256")
    headers = {"Content-Length": str(found.size), "Content-Type": BYTES}
    return Reply(headers=headers)


async def open_upload(call: Call) -> Sink | None:
    """Where the body of a PUT goes; seen by nobody before it is complete."""
    call.note(sha256=call.args["sha256"][:64])
    call.agent.storage.check()
    if "Blob-File" in call.headers:
        if call.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in call.headers:
            raise BadRequest("a file in place of a body, not beside it", field="Blob-File")
        return None
    length = call.headers.get("Content-Length", "")
    size = int(length) if length.isdigit() else None
    return await asyncio.to_thread(call.agent.blobs.begin, call.caller.user, call.args["sha256"], size)


async def put(call: Call) -> Blob:
    """Keep the uploaded bytes; on the control socket a file of the folder that Info names, in their place."""
    user, sha256, file = call.caller.user, call.args["sha256"], call.headers.get("Blob-File")
    call.note(sha256=sha256[:64])
    if file is not None:
        if not call.on_control_socket:
            raise Forbidden("files are taken on the agent's own socket only", field="Blob-File")
        return await asyncio.to_thread(call.agent.blobs.adopt, user, sha256, file)
    upload = call.sink
    assert isinstance(upload, BlobUpload)
    kept = await asyncio.to_thread(upload.commit)
    call.note(bytes=kept.size)
    return kept


async def read_input(call: Call) -> None:
    """A value that travelled with a job, or a module as the job has left it."""
    record = await job_of(call)
    folder, sha256 = call.agent.dispatcher.folder_of(record.job_id), call.args["sha256"]
    path = next((file.path for file in record.inputs.files if file.sha256 == sha256), None)
    if any(value.sha256 == sha256 for value in record.inputs.values):
        file, info = await asyncio.to_thread(open_left, folder.values, sha256)
    elif path is not None:
        file, info = await asyncio.to_thread(open_left, folder.inputs, path)
    else:
        raise NotFound(f"nothing of that hash was sent with job {record.job_id}", field="sha256")
    await send_file(call, file, info)
