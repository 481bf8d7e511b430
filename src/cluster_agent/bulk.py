"""A large body straight from its connection into memory of the right size, hashed by a thread as it comes.

What parses HTTP hands out a body in small parts, each a copy; behind the head of a body whose length is known there is
nothing to parse.
"""

from __future__ import annotations

import hashlib
import queue
import threading

import httpx

#: Below this a body takes the usual way: its connection can then be used again.
LARGE_BYTES = 2**20
_PART_BYTES = 2**20


def read_into(response: httpx.Response, buffer: bytearray, silence_s: float) -> str:
    """Fill ``buffer`` with the body of ``response``, which has just so many bytes; their SHA-256.

    Raises
    ------
    httpx.HTTPError
        When the body is shorter or longer, or nothing comes for ``silence_s``.
    """
    with _Hash() as digest:
        view, at = memoryview(buffer), 0
        parts = response.iter_raw()
        for part in parts:
            if at + len(part) > len(buffer):
                raise httpx.RemoteProtocolError("the body is longer than announced")
            view[at : at + len(part)] = part
            digest.put(view[at : at + len(part)])
            at += len(part)
            if len(buffer) - at >= LARGE_BYTES and _has_length(response, len(buffer)):
                at = _receive(response, view, at, silence_s, digest)
                break
        if at < len(buffer):
            raise httpx.RemoteProtocolError("peer closed the connection before the body was complete")
    return digest.hexdigest()


def _has_length(response: httpx.Response, size: int) -> bool:
    return response.headers.get("Content-Length") == str(size) and "network_stream" in response.extensions


def _receive(response: httpx.Response, view: memoryview, at: int, silence_s: float, digest: _Hash) -> int:
    """Take the rest from the socket itself: all that was read of it so far has been handed out."""
    connection = response.extensions["network_stream"].get_extra_info("socket")
    connection.settimeout(silence_s)
    try:
        while at < len(view):
            start, end = at, min(len(view), at + _PART_BYTES)
            while at < end:
                count = connection.recv_into(view[at:end])
                if not count:
                    return at
                at += count
            digest.put(view[start:end])
    except TimeoutError as error:
        raise httpx.ReadTimeout(str(error)) from error
    except OSError as error:
        raise httpx.ReadError(str(error)) from error
    return at


class _Hash:
    """A SHA-256 of parts that are put in one after another, taken in a thread of its own."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._parts: queue.SimpleQueue[memoryview | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="mlmagics-hash", daemon=True)

    def __enter__(self) -> _Hash:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.put(None)
        self._thread.join()

    def put(self, part: memoryview) -> None:
        """Take the next part, which must not change."""
        self._parts.put(part)

    def hexdigest(self) -> str:
        """The hash of all parts."""
        return self._digest.hexdigest()

    def _work(self) -> None:
        while (part := self._parts.get()) is not None:
            self._digest.update(part)
