"""Variables of the cell that are kept as results: which of them, and what is told of each. Pure but for the file.

The bytes lie in the job's folder, named by their hash, so that no name that a cell gives becomes one of a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from cluster_agent.folder import write_durably
from cluster_agent.units import format_size

#: Formats that are kept, and where in a frame's ``data`` their bytes are.
_MIME_TYPES = {"json": "application/json"}
#: Of all results of a job.
MAX_RESULTS_BYTES = 2**30
_WORD_LENGTH = 200
_REASON_LENGTH = 500


class ResultFrame(msgspec.Struct, frozen=True, kw_only=True):
    """The kit's packet with one variable: its value, or why it cannot be kept."""

    name: str
    kind: str = ""
    format: str = ""
    #: MIME type to the value, as it was sent
    data: dict[str, msgspec.Raw] = {}
    reason: str | None = None
    ack: bool = False


class Results:
    """Takes each variable that the job was asked for, once."""

    def __init__(self, folder: Path, wanted: Collection[str]) -> None:
        self._folder = folder
        self._wanted = set(wanted)
        self._left_bytes = MAX_RESULTS_BYTES

    def judge(self, frame: ResultFrame) -> tuple[dict[str, Any], bytes] | None:
        """Fields of the event and the bytes to keep (none with a reason); None for what nobody asked for."""
        if frame.name not in self._wanted:
            return None
        self._wanted.discard(frame.name)
        told: dict[str, Any] = {"name": frame.name, "kind": frame.kind[:_WORD_LENGTH] or None}
        content = bytes(frame.data.get(_MIME_TYPES.get(frame.format, ""), b""))
        reason = frame.reason[:_REASON_LENGTH] if frame.reason is not None else self._fault(frame, content)
        if reason is not None:
            return {**told, "reason": reason or "its kit gave no reason"}, b""
        self._left_bytes -= len(content)
        digest = hashlib.sha256(content).hexdigest()
        return {**told, "format": frame.format, "size": len(content), "sha256": digest}, content

    def keep(self, sha256: str, content: bytes) -> None:
        """Put the bytes of a result on disk.

        Raises
        ------
        OSError
            When the disk refuses; the same call again goes on.
        """
        path = self._folder / sha256
        self._folder.mkdir(mode=0o700, exist_ok=True)
        if not path.exists():
            write_durably(path, content)

    def _fault(self, frame: ResultFrame, content: bytes) -> str | None:
        if frame.format not in _MIME_TYPES:
            return f"it came in the format {frame.format[:_WORD_LENGTH]!r}, which this agent does not keep"
        if not content:
            return "it came without a value"
        if len(content) > self._left_bytes:
            size, limit = format_size(len(content)), format_size(MAX_RESULTS_BYTES)
            return (
                f"it has {size}, and the results of a job have {limit} in all; write it to project:// instead"
            )
        try:
            content.decode()
        except UnicodeDecodeError:
            return "its text is not valid UTF-8"
        return None
