"""Writing a large body to a file while its hash is taken in a thread beside it."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from pathlib import Path

from cluster_agent.errors import StorageFault

#: Parts that wait to be hashed.
_PARTS = 8


class Receiver:
    """A new file; a thread hashes what is written to it, as long as it is open."""

    def __init__(self, path: Path) -> None:
        self.size = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise _refused(error) from error
        self._open = True
        #: held while the file is used: another thread may let go of it at any time
        self._guard = threading.Lock()
        self._sha256 = hashlib.sha256()
        self._parts: queue.Queue[bytes | None] = queue.Queue(_PARTS)
        self._thread: threading.Thread | None = None

    def write(self, data: bytes) -> None:
        """Append ``data``; nothing once it is closed."""
        with self._guard:
            if not self._open:
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._hash, name="blob-hash", daemon=True)
                self._thread.start()
            self._parts.put(data)
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(self._descriptor, view) :]
            except OSError as error:
                raise _refused(error) from error
            self.size += len(data)

    def finish(self) -> str:
        """The SHA-256 of all that was written, which is on disk when this returns."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise _refused(error) from error
        self.close()
        return self._sha256.hexdigest()

    def close(self) -> None:
        """Let go of file and thread; more than once is as good."""
        with self._guard:
            if not self._open:
                return
            self._open = False
            os.close(self._descriptor)
            if self._thread is not None:
                self._parts.put(None)
                self._thread.join()

    def _hash(self) -> None:
        while (part := self._parts.get()) is not None:
            self._sha256.update(part)


def _refused(error: OSError) -> StorageFault:
    return StorageFault(f"the agent's disk refused ({error.strerror}); nothing was accepted")
