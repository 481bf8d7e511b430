"""A real HTTP server that sends exactly the bytes that a test wants, and may hang up after any of them."""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO
from urllib.parse import parse_qs, urlsplit

from cluster_agent.log.format import encode_line

TAG = "0a1b2c3d"
NDJSON = "application/x-ndjson"
JSON = "application/json"


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Request], Iterable[bytes]]


class WireServer:
    """Answers each request with the chunks that ``answer`` gives; then it hangs up.

    An answer that ends with :data:`KEEP` leaves the connection open for the next request.
    """

    def __init__(self, answer: Answer, *, tls: ssl.SSLContext | None = None, uds: str | None = None) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                outer.connections += 1
                try:
                    if tls is not None:
                        self.connection = tls.wrap_socket(self.request, server_side=True)
                        self.rfile = self.connection.makefile("rb")
                    while request := read_request(self.rfile):
                        outer.requests.append(request)
                        chunks = list_or_iter(answer(request))
                        for chunk in chunks:
                            if chunk is KEEP:
                                break
                            self.connection.sendall(chunk)
                        else:
                            return
                except OSError:
                    pass  # the client went away, or does not like the certificate
                finally:
                    if tls is not None:
                        self.rfile.close()
                        self.connection.close()

        bases = (
            socketserver.ThreadingMixIn,
            socketserver.UnixStreamServer if uds else socketserver.TCPServer,
        )
        kind = type("Server", bases, {"daemon_threads": True, "request_queue_size": 128})
        self._server = kind(uds or ("127.0.0.1", 0), Handler)
        self.port = None if uds else self._server.server_address[1]
        self.url = "http://localhost" if uds else f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> WireServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


#: The end of an answer after which the connection stays open.
KEEP = b"KEEP"


def list_or_iter(chunks: Iterable[bytes]) -> Iterator[bytes]:
    return iter([chunks]) if isinstance(chunks, bytes) else iter(chunks)


def read_request(file: BinaryIO) -> Request | None:
    first = file.readline().decode("latin-1").strip()
    if not first:
        return None
    if not first.endswith(("HTTP/1.1", "HTTP/1.0")):
        raise ConnectionAbortedError("the client does not speak HTTP")
    method, target, _ = first.split(" ", 2)
    headers = {}
    while (line := file.readline().strip()) != b"":
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(file.readline(), 16):
            body += file.read(size)
            file.readline()
        file.readline()
    else:
        body = file.read(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    return Request(method, parts.path, query, headers, body)


def reply(body: bytes = b"", kind: str = JSON, status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer with a length."""
    told = {"Content-Type": kind, "Content-Length": str(len(body))}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in told.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def error_reply(status: str, code: str, message: str, **more: str) -> bytes:
    """An agent's error."""
    extra = "".join(f',"{name}":"{value}"' for name, value in more.items())
    return reply(f'{{"error":{{"code":"{code}","message":"{message}"{extra}}}}}'.encode(), status=status)


def stream_head(kind: str = NDJSON, tag: str = TAG) -> bytes:
    """The head of a stream of events."""
    tag_line = f"Log-Tag: {tag}\r\n" if tag else ""
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{tag_line}Transfer-Encoding: chunked\r\n\r\n".encode()


def chunk(data: bytes) -> bytes:
    """A part of a stream."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


#: The proper end of a stream.
END = b"0\r\n\r\n"

HEARTBEAT = b'{"type":"heartbeat","at":1.0}\n'


def a_log(outputs: int = 5, *, ended: bool = True) -> list[bytes]:
    """The lines of a small log."""
    lines = [encode_line(1, 1e9, 0.0, "started", {"tag": TAG, "version": 1})]
    lines += [
        encode_line(seq, 1e9, seq / 10, "output", {"stream": "stdout", "text": f"é {seq}\n"})
        for seq in range(2, outputs + 2)
    ]
    if ended:
        lines.append(encode_line(outputs + 2, 1e9, 9.0, "ended", {"state": "succeeded", "exit_code": 0}))
    return lines


def behind(lines: list[bytes], request: Request) -> list[bytes]:
    """The lines that a right agent sends for the cursor of a request."""
    if "tail" in request.query:
        return lines[-int(request.query["tail"]) :]
    after = request.query["after"]
    return lines[0 if after == "0" else int(after.split(".")[1]) :]
