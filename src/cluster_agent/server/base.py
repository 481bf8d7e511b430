"""One request: through the gate (host, origin, token, role, size, type), to a call, back as a reply.

The gate reads everything from the route table (:mod:`cluster_agent.server.routes`); a request that no route
declares gets no further. Calls know nothing of tornado but :class:`Call`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import unquote

import msgspec
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler, stream_request_body

from cluster_agent.errors import (
    AgentError,
    BadRequest,
    BadType,
    Forbidden,
    NotFound,
    ServerFault,
    TooLarge,
    Unauthorized,
    WrongMethod,
)
from cluster_agent.protocol import ErrorBody, ErrorReply, Role, encode
from cluster_agent.server.auth import Caller, socket_owner

if TYPE_CHECKING:
    from cluster_agent.server.app import Agent

_log = logging.getLogger(__name__)
_JSON = "application/json"
S = TypeVar("S")


class Sink(Protocol):
    """Where a large body goes while it comes in."""

    def write(self, data: bytes) -> None:
        """Take the next bytes."""

    def abort(self) -> None:
        """The body will not be completed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What a call answers, when it is more than a value with status 200."""

    value: msgspec.Struct | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One line of the route table. What is not declared here is refused."""

    method: str
    #: with ``{job_id}``, ``{name}`` (one component) and ``{path}`` (any number)
    path: str
    call: Callable[[Call], Awaitable[msgspec.Struct | Reply | None]]
    #: least role; None is open to everybody
    role: Role | None
    summary: str
    #: whether a token of the history page may use it, for its own job
    view: bool = False
    #: type of a JSON body
    takes: type[msgspec.Struct] | None = None
    #: for a body that is not JSON: opens what it is written to
    sink: Callable[[Call], Awaitable[Sink]] | None = None
    max_body: int = 0
    #: type of the JSON reply, or the content type of another
    gives: type[msgspec.Struct] | str | None = None
    status: int = 200
    #: query parameters and what they mean
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def pattern(self) -> str:
        """The path as a regular expression."""
        parts = {"job_id": r"[0-9]{1,15}", "path": r".*"}
        return re.sub(r"\{(\w+)\}", lambda m: f"(?P<{m[1]}>{parts.get(m[1], '[^/]+')})", self.path)


class Call:
    """A request as a call sees it."""

    def __init__(
        self, agent: Agent, handler: Endpoint, args: Mapping[str, str], caller: Caller | None
    ) -> None:
        self.agent = agent
        self.args = {name: unquote(value) for name, value in args.items()}
        self.headers = handler.request.headers
        self.sink: Sink | None = None
        self._handler = handler
        self._caller = caller
        self._body = bytearray()

    @property
    def caller(self) -> Caller:
        """Who asks; only on routes with a role."""
        assert self._caller is not None
        return self._caller

    @property
    def job_id(self) -> int:
        """The ``{job_id}`` of the path."""
        return int(self.args["job_id"])

    def as_caller(self, caller: Caller) -> Call:
        """The same call, made by somebody who was identified on an open route."""
        self._caller = caller
        return self

    def query(self, name: str) -> str | None:
        """A query parameter, or None."""
        return self._handler.get_query_argument(name, None)

    def number(self, name: str, *, least: float = 0) -> float | None:
        """A query parameter as a number.

        Raises
        ------
        BadRequest
            When it is none, or below ``least``.
        """
        text = self.query(name)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value < 1e15:
            raise BadRequest(f"{name}={text[:40]!r} is not a number from {least:g} on", field=name)
        return value

    def flag(self, name: str) -> bool:
        """Whether a query parameter is set."""
        text = self.query(name) or "0"
        if text not in {"0", "1", "true", "false"}:
            raise BadRequest(f"{name}={text[:40]!r} is neither 0 nor 1", field=name)
        return text in {"1", "true"}

    def json(self, kind: type[S]) -> S:
        """The body as a value.

        Raises
        ------
        BadRequest
            Naming the field that is wrong.
        """
        try:
            return msgspec.json.decode(bytes(self._body), type=kind)
        except msgspec.ValidationError as error:
            message, field_name = _blame(str(error))
            raise BadRequest(message, field=field_name) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequest(f"the body is not valid JSON: {error}") from None

    async def take(self, chunk: bytes, limit: int) -> None:
        """Collect a part of the body, or hand it to the sink."""
        if self.sink is not None:
            await asyncio.to_thread(self.sink.write, chunk)
            return
        self._body += chunk
        if len(self._body) > limit:
            raise TooLarge(f"the body is larger than {limit} bytes, which is what this address takes")

    def abort(self) -> None:
        """Forget a body that will not be completed."""
        if self.sink is not None:
            self.sink.abort()

    def start(
        self, content_type: str, headers: Mapping[str, str] | None = None, *, status: int = 200
    ) -> None:
        """Begin a streamed reply."""
        stream: Any = getattr(self._handler.request.connection, "stream", None)
        if stream is not None:
            stream.set_nodelay(True)  # a line must not wait for the acknowledgement of the one before
        self._handler.set_status(status)
        self._handler.set_header("Content-Type", content_type)
        for name, value in (headers or {}).items():
            self._handler.set_header(name, value)

    async def send(self, data: bytes) -> None:
        """Send a part of a streamed reply; returns when the connection has taken it.

        Raises
        ------
        StreamClosedError
            When the other side is gone.
        """
        self._handler.write(data)
        await self._handler.flush()


def _blame(text: str) -> tuple[str, str | None]:
    """A message and the field that it is about, from msgspec's wording."""
    message, _, place = text.partition(" - at `$")
    name = place.rstrip("`").lstrip(".").replace("[...]", "") or None
    if unknown := re.match(r"Object contains unknown field `(.+)`", message):
        name = f"{name}.{unknown[1]}" if name else unknown[1]
        return f"there is no field {name!r} (a newer client than agent?)", name
    if missing := re.match(r"Object missing required field `(.+)`", message):
        return f"the field {missing[1]!r} is missing", missing[1]
    return (f"{name}: {message}" if name else message), name


@stream_request_body
class Endpoint(RequestHandler):
    """The gate and the reply. One handler class for all routes; the table makes the difference."""

    def initialize(self, agent: Agent, routes: Mapping[str, Route]) -> None:
        """Called by tornado for each request."""
        self._agent = agent
        self._routes = routes
        self._call: Call | None = None

    def set_default_headers(self) -> None:
        """Headers of every reply."""
        self.set_header("Server", "cluster-agent")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")

    async def prepare(self) -> None:
        """Let a request with a body through the gate before a byte of the body is read.

        A refusal here ends the connection, since the body would have to be read otherwise; a request without
        a body goes through the same gate in :meth:`_answer`, which keeps the connection.
        """
        if self._has_body():
            await self._pass_gate()

    def _has_body(self) -> bool:
        headers = self.request.headers
        return headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in headers

    async def _pass_gate(self) -> None:
        """Check everything that the table declares."""
        self._agent.touch()
        self._check_host()
        route = self._routes.get(self.request.method or "")
        caller = self._identify(route)
        if route is None:
            if not self._routes:
                raise NotFound(f"there is nothing at {self.request.path[:200]}")
            raise WrongMethod(f"{self.request.path[:200]} takes {', '.join(self._routes)}")
        self._call = Call(self._agent, self, self.path_kwargs, caller)
        self._check_body(route)
        if route.sink is not None:
            self._call.sink = await route.sink(self._call)

    async def data_received(self, chunk: bytes) -> None:
        """Take a part of the body; one that cannot be taken is answered now and not read any further."""
        if self._call is None:
            return
        try:
            await self._call.take(chunk, self._routes[self.request.method or ""].max_body)
        except AgentError:
            self._call.abort()
            self._call = None
            self.send_error(exc_info=sys.exc_info())

    async def _answer(self, **_: str) -> None:
        if not self._has_body():
            await self._pass_gate()
        if self._call is None:
            return  # answered while its body came in
        route = self._routes[self.request.method or ""]
        try:
            result = await route.call(self._call)
        except StreamClosedError:
            return
        if result is None:
            return
        reply = result if isinstance(result, Reply) else Reply(value=result, status=route.status)
        self.set_status(reply.status)
        for name, value in reply.headers.items():
            self.set_header(name, value)
        if reply.value is not None:
            self.set_header("Content-Type", _JSON)
            self.write(encode(reply.value))

    get = post = put = delete = head = patch = options = _answer

    def on_connection_close(self) -> None:
        """The other side is gone: a body that was coming in will not be completed."""
        self._abort_sink()
        super().on_connection_close()

    def on_finish(self) -> None:
        """Let go of a body that was not taken to its end."""
        if self.get_status() >= 400:
            self._abort_sink()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """The one place where errors become replies."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if error is None and status_code < 500:
            error = BadRequest()
        if isinstance(error, HTTPError):
            error = BadRequest(error.log_message or "the request is not well formed")
        if not isinstance(error, AgentError):
            error = ServerFault()
        self.set_status(error.http_status)
        self.set_header("Content-Type", _JSON)
        if isinstance(error, Unauthorized):
            self.set_header("WWW-Authenticate", "Bearer")
        if isinstance(error, WrongMethod):
            self.set_header("Allow", ", ".join(self._routes))
        if self._has_body():
            self.set_header("Connection", "close")
        body = ErrorBody(code=error.code, message=error.message, field=error.field, nearest=error.nearest)
        self.finish(encode(ErrorReply(error=body)))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log faults of ours only; what a caller did wrong is told to the caller."""
        if not isinstance(value, (AgentError, HTTPError, StreamClosedError)):
            _log.error("%s %s failed", self.request.method, self.request.path, exc_info=(typ, value, tb))

    def compute_etag(self) -> None:
        """No ETag by content: replies are small or streamed."""
        return

    def _abort_sink(self) -> None:
        if self._call is not None:
            self._call.abort()

    def _check_host(self) -> None:
        """Only names of this agent: a page that rebinds its own name to this address gets nothing."""
        if self.request.connection is None or self._agent.on_control_socket(self.request):
            return
        name = self.request.host_name.lower()
        if not _is_address(name) and name not in self._agent.host_names:
            raise Forbidden(f"this agent does not go by the name {name[:100]!r} (setting allowed_hosts)")
        origin = self.request.headers.get("Origin")
        if origin is not None and origin != f"{self.request.protocol}://{self.request.host}":
            raise Forbidden("requests from other web pages are refused")

    def _identify(self, route: Route | None) -> Caller | None:
        if route is not None and route.role is None:
            return None
        if self._agent.on_control_socket(self.request):
            return socket_owner(self.request.connection.stream.socket)  # type: ignore[union-attr]
        kind, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise Unauthorized()
        caller = self._agent.keyring.identify(token.strip())
        if route is not None and route.role is not None:
            if caller.job_id is not None:
                self._check_view(route, caller)
            elif not caller.may(route.role):
                raise Forbidden(f"this needs the role {route.role}; this token has {caller.role}")
        return caller

    def _check_view(self, route: Route, caller: Caller) -> None:
        if not route.view or self.path_kwargs.get("job_id") not in {None, str(caller.job_id)}:
            raise Forbidden(f"this token reads job {caller.job_id} and nothing else")

    def _check_body(self, route: Route) -> None:
        length = self.request.headers.get("Content-Length", "0")
        if length.isdigit() and int(length) > route.max_body:
            raise TooLarge(
                f"the body has {length} bytes; {route.method} {route.path} takes {route.max_body} at most"
            )
        if route.takes is not None:
            kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if kind != _JSON:
                raise BadType(f"the body must be {_JSON}, not {kind or 'without a type'}")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
