"""Files of projects, and blobs that a submit names."""

from __future__ import annotations

from cluster_agent import protocol
from cluster_agent.server import blobs, files
from cluster_agent.server.call import Route

_FILE = "/v1/projects/{project}/files/{path}"

ROUTES: list[Route] = [
    Route(
        method="HEAD",
        path="/v1/blobs/{sha256}",
        call=blobs.look,
        role="user",
        summary="Whether a blob of the caller's is here; keeps it for another 24 h",
    ),
    Route(
        method="PUT",
        path="/v1/blobs/{sha256}",
        call=blobs.put,
        act="send-blob",
        role="user",
        sink=blobs.open_upload,
        max_body=2**40,
        gives=protocol.Blob,
        summary="Send a file or value that a submit will name; kept for 24 h and with jobs that name it",
    ),
    Route(
        method="GET",
        path=_FILE,
        call=files.read,
        role="user",
        gives=protocol.BYTES,
        summary="A project's file, honouring Range; a folder as a FileList",
        query={"list": "1: the entry itself as a FileList"},
    ),
    Route(
        method="HEAD",
        path=_FILE,
        call=files.info,
        role="user",
        summary="What is at the path: File-Type, Content-Length, ETag, Last-Modified-Seconds",
    ),
    Route(
        method="PUT",
        path=_FILE,
        call=files.write,
        act="write-file",
        role="user",
        sink=files.open_upload,
        max_body=2**50,
        gives=protocol.FileEntry,
        summary="Write a file as a whole; If-Match makes it a compare-and-set",
    ),
    Route(
        method="DELETE",
        path=_FILE,
        call=files.delete,
        act="delete-file",
        role="user",
        status=204,
        summary="Delete a file or folder",
        query={"recursive": "1: a folder with all that it holds"},
    ),
]
