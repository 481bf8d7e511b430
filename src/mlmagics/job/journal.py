"""Submits whose reply was never seen, so that the same cell run again finds its job and does not run twice.

Each submit has a key of its own; the agent answers the same key and body with the same job. When the reply is
lost (the kernel was killed, the network broke) the key would be lost too, so it is written down before the
request and removed with the reply: ``<config>/submits/KEY.json``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from cluster_agent.client import Unconfirmed
from cluster_agent.errors import AgentError

#: A cell run again later than this is meant to run again.
_KEEP_S = 86400.0


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    #: of cluster and request body
    digest: str
    pid: int
    pid_started: float
    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Submitting:
    """One submit under way."""

    key: str
    #: when an equal submit was made whose reply was never seen; its key is used again
    earlier_at: float | None


class Journal:
    """Keys of submits that are under way, in a folder that this person's kernels share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mine: set[str] = set()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def submitting(self, cluster: str, body: bytes, *, again: bool = True) -> Iterator[Submitting]:
        """The key for one request; do the request inside the ``with`` block.

        Parameters
        ----------
        cluster, body
            What is sent where; equal ones whose reply was lost share a key.
        again
            False takes a new key in any case.
        """
        digest = hashlib.sha256(cluster.encode() + b"\0" + body).hexdigest()
        with self._lock:
            left = self._left_over(digest) if again else None
            key = left.key if left else uuid.uuid4().hex
            self._mine.add(key)
        path = self._write(key, digest)
        try:
            yield Submitting(key=key, earlier_at=left.at if left else None)
        except Unconfirmed:
            raise  # whether it arrived is not known: the entry stays
        except AgentError:
            _remove(path)
            raise
        else:
            _remove(path)
        finally:
            with self._lock:
                self._mine.discard(key)

    def _write(self, key: str, digest: str) -> Path | None:
        process = psutil.Process()
        entry = _Entry(
            key=key, digest=digest, pid=process.pid, pid_started=process.create_time(), at=time.time()
        )
        path = self.folder / f"{key}.json"
        new = self.folder / f".{key}.{os.getpid()}"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.write_bytes(msgspec.json.encode(entry))
            new.replace(path)
        except OSError:
            # where nothing can be written down a cell can be sent all the same
            return None
        return path

    def _left_over(self, digest: str) -> _Entry | None:
        found = None
        for path in self.folder.glob("*.json"):
            try:
                entry = msgspec.json.decode(path.read_bytes(), type=_Entry)
            except FileNotFoundError:
                continue
            except msgspec.DecodeError:
                path.unlink(missing_ok=True)
                continue
            if time.time() - entry.at > _KEEP_S:
                path.unlink(missing_ok=True)
            elif entry.digest == digest and not self._under_way(entry):
                found = entry
        return found

    def _under_way(self, entry: _Entry) -> bool:
        if entry.pid == os.getpid():
            return entry.key in self._mine
        try:
            started = psutil.Process(entry.pid).create_time()
        except psutil.Error:
            return False
        return abs(started - entry.pid_started) < 1.0


def _remove(path: Path | None) -> None:
    if path is not None:
        path.unlink(missing_ok=True)
