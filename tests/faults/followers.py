"""Very many followers in one process: some read all, some never read."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
from urllib.parse import urlsplit

#: How much the kernel takes for one that never reads.
_RECEIVE_BYTES = 4096


async def _connect(
    url: str, token: str, job_id: int, after: str, *, narrow: bool
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(url)
    connection = socket.socket()
    connection.setblocking(False)
    if narrow:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
    await asyncio.get_running_loop().sock_connect(connection, (address.hostname, address.port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=65536)
    request = (
        f"GET /v1/jobs/{job_id}/events?follow=1&after={after} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Authorization: Bearer {token}\r\nAccept: application/x-ndjson\r\n\r\n"
    )
    writer.write(request.encode())
    return reader, writer


async def _read_all(url: str, token: str, job_id: int, after: str) -> str:
    """The digest of all stored lines that came, to the last."""
    reader, writer = await _connect(url, token, job_id, after, narrow=False)
    digest, rest = hashlib.sha256(), b""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head.splitlines()[0], head
        while size := int(await reader.readline(), 16):
            *lines, rest = (rest + await reader.readexactly(size)).split(b"\n")
            await reader.readexactly(2)
            for line in lines:
                if line.startswith(b'{"seq":'):
                    digest.update(line + b"\n")
        assert not rest
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return digest.hexdigest()


async def follow_all(
    url: str, token: str, job_id: int, *, readers: int, idle: int, after: str = "0"
) -> list[str]:
    """The digests of what ``readers`` followers saw behind the cursor ``after``, beside ``idle`` that never read."""
    deaf = [await _connect(url, token, job_id, after, narrow=True) for _ in range(idle)]
    for reader, _ in deaf:
        reader._transport.pause_reading()
    try:
        return await asyncio.gather(*(_read_all(url, token, job_id, after) for _ in range(readers)))
    finally:
        for _, writer in deaf:
            writer.transport.abort()
