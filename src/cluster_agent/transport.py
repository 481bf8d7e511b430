"""Requests to one agent: connections, checks of what answers, and trouble told in one line.

Used by :mod:`cluster_agent.client` only. Nothing of the environment has a say (no proxy, no netrc), redirects
are not followed, and nothing is decompressed, so a token goes to the agent's own address or nowhere.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from cluster_agent import __version__
from cluster_agent.bulk import read_into
from cluster_agent.connections import Pool, Tunnel, tls_context
from cluster_agent.errors import BY_CODE, AgentError, Unconfirmed, Unreachable
from cluster_agent.protocol import JSON, ErrorReply, encode
from cluster_agent.trouble import why_no_connection
from cluster_agent.units import format_duration

_MAX_REPLY_BYTES = 64 * 2**20
_MAX_ERROR_BYTES = 2**20
#: What h11 says when the other side just went away, and did not speak another protocol.
_CUT_OFF = re.compile("peer closed|unexpectedly closed")
_SAFE = frozenset({"GET", "HEAD"})
_T = TypeVar("_T")
_Query = Mapping[str, str | int | float | None]
Body = bytes | Iterable[bytes]


@dataclass(frozen=True, slots=True)
class Reply:
    """The head of a good answer, and its body as it comes in."""

    status: int
    headers: Mapping[str, str]
    _response: httpx.Response

    def chunks(self) -> Iterator[bytes]:
        """The body's bytes."""
        return self._response.iter_raw()

    def read_into(self, buffer: bytearray, silence_s: float) -> str:
        """Fill ``buffer`` with the body, which has as many bytes; their SHA-256."""
        return read_into(self._response, buffer, silence_s)

    def break_off(self) -> None:
        """End the body, from whatever thread: who reads it finds the connection broken."""
        stream = self._response.extensions.get("network_stream")
        connection = stream.get_extra_info("socket") if stream is not None else None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Transport:
    """Speaks with the agent at ``url``, or behind the Unix socket ``uds``; for several threads at once."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        uds: str | None,
        ca: str | None,
        timeout_s: float,
        pin: str = "",
        own_only: bool = False,
        tunnel: Tunnel | None = None,
    ) -> None:
        self.url = _checked_url(url)
        self.timeout_s = timeout_s
        self._address = tunnel.address if tunnel else f"the agent's socket {uds}" if uds else self.url
        # who takes the connection is ssh, and not the agent
        self._still_there = "; does the agent still run there?" if tunnel is not None else ""
        headers = {"User-Agent": f"mlmagics/{__version__}", "Accept-Encoding": "identity"}
        if token is not None:
            headers["Authorization"] = f"Bearer {_checked_token(token)}"
        self._client = httpx.Client(
            transport=Pool(
                tls_context(ca, pin) if self.url.startswith("https:") else None,
                uds,
                pin=pin,
                own_only=own_only,
                tunnel=tunnel,
            ),
            headers=headers,
            timeout=timeout_s,
            follow_redirects=False,
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def call(self, method: str, path: str, reply: type[_T], *, json: Any = None, **request: Any) -> _T:
        """The answer to a request, as a value of the type ``reply``."""
        if json is not None:
            request["content"] = encode(json)
            request["headers"] = {"Content-Type": JSON} | request.get("headers", {})
        with self.open(method, path, accept=JSON, **request) as answer:
            body = self._read(answer.chunks(), _MAX_REPLY_BYTES)
        try:
            return msgspec.json.decode(body, type=reply)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self.no_agent(f"with JSON that is not an agent's ({error})") from None

    @contextmanager
    def open(
        self,
        method: str,
        path: str,
        *,
        accept: str,
        params: _Query | None = None,
        content: Body | None = None,
        headers: Mapping[str, str] | None = None,
        silence_s: float | None = None,
    ) -> Iterator[Reply]:
        """The answer to a request, checked to be a good one of a media type in ``accept``.

        A parameter that is None is left out. ``silence_s`` is how long to wait for each part of the answer,
        in place of the client's time limit.

        Raises
        ------
        AgentError
            The agent's own, by its code.
        Unconfirmed
            When the connection broke after the request may have been sent.
        Unreachable
            Every other trouble with the connection, and answers that are not an agent's.
        """
        request = self._client.build_request(
            method,
            self.url + path,
            params={key: str(value) for key, value in (params or {}).items() if value is not None},
            content=content,
            headers={"Accept": accept, **(headers or {})},
            timeout=httpx.Timeout(self.timeout_s, read=silence_s or self.timeout_s),
        )
        try:
            response = self._send(request)
            try:
                self._check(response, accept)
                yield Reply(response.status_code, response.headers, response)
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise self._trouble(error, silence_s or self.timeout_s) from error

    def no_agent(self, how: str) -> Unreachable:
        """The error for an answer that no agent gives; ``how`` goes on ``it answers ...``."""
        return Unreachable(f"{self._address} is no agent: it answers {how}; check the address")

    def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            return self._client.send(request, stream=True)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            # an idle connection that the agent closed at this moment: a new one tells the truth
            if request.method not in _SAFE:
                raise
            return self._client.send(request, stream=True)

    def _check(self, response: httpx.Response, accept: str) -> None:
        status = response.status_code
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if 300 <= status < 400:
            target = _printable(response.headers.get("Location", "another address"))
            raise self.no_agent(f"with a redirect to {target}, which is not followed")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise self.no_agent("with compressed data that nobody asked for")
        if status >= 400:
            raise self._error(response, kind)
        if status != 204 and kind not in accept.split(", "):
            raise self.no_agent(f"{status} with {_printable(kind) or 'no content type'} instead of {accept}")
        if response.request.method != "HEAD" and status != 204 and not _has_length(response):
            raise self.no_agent("without a length, so that nobody can tell whether all of it came")

    def _error(self, response: httpx.Response, kind: str) -> AgentError:
        status = response.status_code
        if response.request.method == "HEAD" and kind in {"", JSON}:
            return _by_status(status)()
        if kind == JSON:
            body = self._read(response.iter_raw(), _MAX_ERROR_BYTES)
            try:
                error = msgspec.json.decode(body, type=ErrorReply).error
            except (msgspec.DecodeError, UnicodeDecodeError):
                pass
            else:
                known = BY_CODE.get(error.code) or _by_status(status)
                return known(_printable(error.message, 2000), field=error.field, nearest=error.nearest)
        shown = f"{status} {_printable(response.reason_phrase)}".strip()
        if status in {502, 503, 504}:
            return Unreachable(
                f"{self._address}: a proxy answers {shown}; the agent behind it does not answer"
            )
        return self.no_agent(f"{shown} with {_printable(kind) or 'no content type'}")

    def _read(self, chunks: Iterator[bytes], limit: int) -> bytes:
        body = bytearray()
        for chunk in chunks:
            body += chunk
            if len(body) > limit:
                raise self.no_agent(f"with more than {limit // 2**20} MiB")
        return bytes(body)

    def _trouble(self, error: httpx.HTTPError, silence_s: float) -> Unreachable:
        where = self._address
        if isinstance(error, httpx.ConnectTimeout):
            waited = format_duration(self.timeout_s)
            return Unreachable(
                f"{where}: no connection within {waited}; is the box up, and the network or VPN?"
            )
        if isinstance(error, httpx.ReadTimeout):
            return Unconfirmed(f"{where}: connected, but nothing came for {format_duration(silence_s)}")
        if isinstance(error, httpx.ConnectError):
            return Unreachable(why_no_connection(error, where, self.url))
        if isinstance(error, httpx.RemoteProtocolError):
            if "without sending a response" in str(error):
                hint = self._still_there or "; is it the agent's port, and the right one of http and https?"
                return Unconfirmed(f"{where}: hung up without an answer{hint}")
            if not _CUT_OFF.search(str(error)):
                return self.no_agent("in something else than HTTP")
        return Unconfirmed(f"{where}: the connection broke before the answer was complete{self._still_there}")


def _by_status(status: int) -> type[AgentError]:
    return next((known for known in BY_CODE.values() if known.http_status == status), AgentError)


def _has_length(response: httpx.Response) -> bool:
    return "Content-Length" in response.headers or "chunked" in response.headers.get("Transfer-Encoding", "")


def _printable(text: str, limit: int = 100) -> str:
    """``text`` of the other side, fit for a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text[:limit])


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{url!r} is not an agent's address: write https://HOST:PORT or http://HOST:PORT")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "an agent's address has no user, password, query or fragment: write https://HOST:PORT"
        )
    return url.rstrip("/")


def _checked_token(token: str) -> str:
    if not token.isascii() or not token.isprintable() or not token or " " in token:
        raise ValueError("the token has characters that no token has; was it copied as a whole?")
    return token
