"""What travelled with an earlier job, sent once more from where it is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cluster_agent.protocol import Inputs
from mlmagics.errors import UserError
from mlmagics.sending.parcel import Parcel
from mlmagics.sending.pickling import Packed

if TYPE_CHECKING:
    from mlmagics.job.handle import Job


class _Kept:
    """The bytes of one part, read from its cluster each time that they are gone through."""

    def __init__(self, job: Job, name: str, sha256: str) -> None:
        self._job, self._name, self._sha256 = job, name, sha256

    def __iter__(self) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for part in self._job.input_parts(self._sha256):
            digest.update(part)
            yield part
        if digest.hexdigest() != self._sha256:
            raise UserError(
                f"{self._name} is no longer what was sent with {self._job.ref}, which has changed it: say --send here, "
                "or run the cell again"
            )


def sent_with(job: Job) -> Parcel:
    """What travelled with ``job``; only what is needed is read from its cluster."""
    info = job.info
    blobs = [_blob(job, file.path, "file", file.sha256, file.size) for file in info.files]
    blobs += [_blob(job, value.name, value.kind, value.sha256, value.size) for value in info.values]
    return Parcel(
        inputs=Inputs(sources=info.sources, files=info.files, values=info.values),
        blobs={blob.sha256: blob for blob in blobs},
    )


def _blob(job: Job, name: str, kind: str, sha256: str, size: int) -> Packed:
    return Packed(name=name, kind=kind, pieces=_Kept(job, name, sha256), size=size, sha256=sha256)
