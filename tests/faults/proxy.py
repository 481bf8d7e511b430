"""A network that can be cut: a proxy before an agent, on a port of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit


class Proxy:
    """Forwards to the agent at ``url``; the connections can be cut, or stall without a word."""

    def __init__(self, url: str) -> None:
        self.target = url
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._flows = threading.Event()
        self._flows.set()
        self._open = True
        self._cut = False
        self._pairs: set[socket.socket] = set()
        self._guard = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def stall(self) -> None:
        """Forward nothing any more; nobody is told."""
        self._flows.clear()

    def cut(self) -> None:
        """End all connections, and each new one."""
        self._cut = True
        self._end_all()

    def heal(self) -> None:
        """Forward again."""
        self._cut = False
        self._flows.set()

    def close(self) -> None:
        self._open = False
        self._flows.set()
        # wakes the thread that accepts
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._end_all()

    def _end_all(self) -> None:
        with self._guard:
            for side in self._pairs:
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while self._open:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        address = urlsplit(self.target)
        with near:
            if self._cut:
                return
            try:
                far = socket.create_connection((address.hostname or "", address.port or 80))
            except OSError:
                return
            with far:
                with self._guard:
                    self._pairs |= {near, far}
                back = threading.Thread(target=self._forward, args=(far, near), daemon=True)
                back.start()
                self._forward(near, far)
                back.join()
                with self._guard:
                    self._pairs -= {near, far}

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                sink.sendall(data)
        for side in (source, sink):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
