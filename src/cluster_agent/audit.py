"""Who did what: one JSON line for each act, in a file that only grows and is turned over by its size.

::

    {"at":1790000000.123,"act":"cancel","user":"ada","role":"user","from":"10.0.0.7","job_id":42,"outcome":"ok"}

Never in it: cells, values, tokens, codes, and words that people type. A line that cannot be written does not keep
anybody from acting: it is counted, and told in the agent's log.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

import msgspec

_log = logging.getLogger(__name__)
_MOST_BYTES, _FILES = 16 * 2**20, 8
_encode = msgspec.json.Encoder().encode


class Audit:
    """The audit log at ``path``; older parts are ``path.1`` and so on.

    Parameters
    ----------
    most_bytes
        Of one file; then it is turned over.
    files
        How many are kept beside the one that grows.
    """

    def __init__(self, path: Path, *, most_bytes: int = _MOST_BYTES, files: int = _FILES) -> None:
        self._path = path
        self._most_bytes, self._files = most_bytes, files
        #: lines that could not be written
        self.lost = 0

    def note(self, act: str, **facts: Any) -> None:
        """Append one line."""
        line = _encode({"at": round(time.time(), 3), "act": act, **facts}) + b"\n"
        try:
            self._append(line)
        except OSError as error:
            if not self.lost:
                _log.error("%s cannot be written: %s; acts are not recorded", self._path, error.strerror)
            self.lost += 1

    def _append(self, line: bytes) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self._path, flags, 0o600)
        try:
            written = os.write(descriptor, line)
            if written < len(line):
                raise OSError(None, "it was written in part only")
            size = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        if size >= self._most_bytes:
            self._turn_over()

    def _turn_over(self) -> None:
        for number in range(self._files, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            newer = self._path.with_name(f"{self._path.name}.{number - 1}") if number > 1 else self._path
            if newer.exists():
                newer.replace(older)
