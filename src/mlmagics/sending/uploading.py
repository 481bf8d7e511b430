"""Sending what is packed, ahead of the job: each blob once, as a file where the agent is on this machine."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from cluster_agent.client import AgentClient
from cluster_agent.errors import BadRequest, Forbidden
from mlmagics.sending.pickling import Packed

_STEP = 2**22
#: Below this a request costs more than the copy that it saves.
_SMALL_BYTES = 2**16

#: Told of bytes that are on their way: name of the part, how many.
Moved = Callable[[str, int], None]


def send_missing(client: AgentClient, blobs: Iterable[Packed], moved: Moved) -> None:
    """Send those of ``blobs`` that the agent has not.

    Raises
    ------
    AgentError
        When the agent refuses, or does not answer.
    """
    missing = []
    for blob in blobs:
        if client.has_blob(blob.sha256):
            moved(blob.name, blob.size)
        else:
            missing.append(blob)
    large = any(blob.size > _SMALL_BYTES for blob in missing)
    folder = client.info().blob_folder if client.on_socket and large else ""
    for blob in missing:
        if not (folder and blob.size > _SMALL_BYTES and _give(client, Path(folder), blob, moved)):
            client.send_blob(blob.sha256, blob.size, _steps(blob, moved))


def _steps(blob: Packed, moved: Moved) -> Iterator[Any]:
    for piece in blob.pieces:
        view = memoryview(piece).cast("B")
        for start in range(0, view.nbytes, _STEP):
            part = view[start : start + _STEP]
            yield part
            moved(blob.name, part.nbytes)


def _give(client: AgentClient, folder: Path, blob: Packed, moved: Moved) -> bool:
    """Write the blob where the agent takes it from; False when it is not this machine's agent."""
    name = f".{blob.sha256}.{secrets.token_hex(8)}.tmp"
    path = folder / name
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        return False
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            for step in _steps(blob, moved):
                view = step
                while view:
                    view = view[file.write(view) :]
        client.give_blob(blob.sha256, name)
    except (BadRequest, Forbidden, OSError):
        # another machine's folder of the same name, or a disk that is full, which its agent can tell better
        return False
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
    return True
