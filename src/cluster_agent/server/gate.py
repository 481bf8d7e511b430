"""The gate that every request passes: host, origin, token, role, size, type; then the call; then the reply.

The gate reads everything from the route table (:mod:`cluster_agent.server.routes`); a request that no route
declares gets no further.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import sys
import weakref
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from tornado.iostream import IOStream, StreamClosedError
from tornado.web import HTTPError, RequestHandler, stream_request_body

from cluster_agent.errors import (
    AgentError,
    BadRequest,
    BadType,
    Forbidden,
    NotFound,
    ServerFault,
    TooLarge,
    TooManyTries,
    Unauthorized,
    WrongMethod,
)
from cluster_agent.harmless import harmless
from cluster_agent.pages import PLAIN_HEADERS
from cluster_agent.protocol import JSON, ErrorBody, ErrorReply, encode
from cluster_agent.server.auth import Caller, bearer, socket_owner
from cluster_agent.server.call import Call, Patience, Reply, Route

if TYPE_CHECKING:
    from cluster_agent.server.app import Agent

_log = logging.getLogger(__name__)
#: A token that ends while a request lasts ends that too, within this time.
_LOOK_AGAIN_S = 15.0
#: Connections that end with a refusal: what was sent behind it may be read before that is done.
_ENDING: weakref.WeakSet[IOStream] = weakref.WeakSet()
#: Characters of an error, and of the name of the field that it is about.
_MOST_TOLD, _MOST_FIELD = 4000, 100


@stream_request_body
class Endpoint(RequestHandler):
    """The gate and the reply. One handler class for all routes; the table makes the difference."""

    def initialize(self, agent: Agent, routes: Mapping[str, Route]) -> None:
        """Called by tornado for each request."""
        self._agent = agent
        self._routes = routes
        self._call: Call | None = None
        self._caller: Caller | None = None
        self._patience: Patience | None = None
        self._leash: asyncio.TimerHandle | None = None
        #: whether the request was read to its end
        self._came_in = False

    def set_default_headers(self) -> None:
        """Headers of every reply."""
        self.set_header("Server", "cluster-agent")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")
        for name, value in PLAIN_HEADERS.items():
            self.set_header(name, value)

    async def prepare(self) -> None:
        """Let a request with a body through the gate before a byte of the body is read.

        A refusal here ends the connection, since the body would have to be read otherwise; a request without
        a body goes through the same gate in :meth:`_answer`, which keeps the connection.
        """
        if self._has_body():
            await self._pass_gate()
            self._patience = Patience(self.request.connection.stream.close)  # type: ignore[union-attr]

    def _has_body(self) -> bool:
        headers = self.request.headers
        return headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in headers

    async def _pass_gate(self) -> None:
        """Check everything that the table declares."""
        self._agent.touch()
        if self.request.connection.stream in _ENDING:  # type: ignore[union-attr]
            raise BadRequest("the request before this one was refused, and its connection ends")
        self._check_host()
        route = self._routes.get(self.request.method or "")
        caller = self._caller = await self._identify(route)
        if route is None:
            if not self._routes:
                raise NotFound(f"there is nothing at {self.request.path[:200]}")
            raise WrongMethod(f"{self.request.path[:200]} takes {', '.join(self._routes)}")
        if route.guarded:
            self._agent.code_attempts.check(self._address)
        self._call = Call(self._agent, self, self.path_kwargs, caller)
        self._check_body(route)
        if route.sink is not None:
            self._call.sink = await route.sink(self._call)

    async def data_received(self, chunk: bytes) -> None:
        """Take a part of the body; one that cannot be taken is answered now and not read any further."""
        if self._call is None:
            return
        if self._patience is not None:
            self._patience.take(len(chunk))
        try:
            await self._call.take(chunk, self._routes[self.request.method or ""].max_body)
        except AgentError:
            self._call.abort()
            self._call = None
            self.send_error(exc_info=sys.exc_info())

    async def _answer(self, **_: str) -> None:
        self._came_in = True
        if self._patience is not None:
            self._patience.end()
        if not self._has_body():
            await self._pass_gate()
        if self._call is None:
            return  # answered while its body came in
        await self._call.pass_on()
        route = self._routes[self.request.method or ""]
        job_id = int(self.path_kwargs.get("job_id") or 0)
        try:
            with self._agent.readers.reading(job_id), self._room():
                result = await route.call(self._call)
        except StreamClosedError:
            return
        self._record("ok")
        if result is None:
            return
        reply = result if isinstance(result, Reply) else Reply(value=result, status=route.status)
        self.set_status(reply.status)
        for name, value in reply.headers.items():
            self.set_header(name, value)
        if reply.value is not None:
            self.set_header("Content-Type", JSON)
            self.write(encode(reply.value))

    def _room(self) -> AbstractContextManager[None]:
        """One more request of the caller; ops on the control socket are not counted."""
        if self._caller is None or self._agent.on_control_socket(self.request):
            return nullcontext()
        return self._agent.crowd.one_more(self._caller.user)

    get = post = put = delete = head = patch = options = _answer

    def on_connection_close(self) -> None:
        """The other side is gone: a body that was coming in will not be completed."""
        self._let_go()
        self._abort_sink()
        super().on_connection_close()

    def on_finish(self) -> None:
        """Let go of a body that was not taken to its end, and count the request."""
        self._let_go()
        if self.get_status() >= 400:
            self._abort_sink()
        route = self._routes.get(self.request.method or "")
        self._agent.meter.count(route, self.get_status(), self.request.request_time())
        if _log.isEnabledFor(logging.INFO):
            self._log_request(route)

    def _let_go(self) -> None:
        if self._patience is not None:
            self._patience.end()
        if self._leash is not None:
            self._leash.cancel()

    def _log_request(self, route: Route | None) -> None:
        """One line in the agent's log: the route as the table has it, so nothing that a caller wrote."""
        shown = f"{route.method} {route.path}" if route else "no route"
        user = self._caller.user if self._caller else "-"
        took_ms = self.request.request_time() * 1000
        facts = {"route": shown, "status": self.get_status(), "user": user, "from": self._address}
        _log.info(
            "%s %d %s from %s, %.1f ms", shown, self.get_status(), user, self._address, took_ms,
            extra={"facts": facts | {"ms": round(took_ms, 1)}},
        )  # fmt: skip

    def _record(self, outcome: str) -> None:
        """Tell the audit log of an act."""
        route = self._routes.get(self.request.method or "")
        if route is None or not route.act:
            return
        who = {"user": self._caller.user, "role": self._caller.role} if self._caller else {}
        if self._caller is not None and self._caller.token_id:
            who["by_token"] = self._caller.token_id
        job_id = self.path_kwargs.get("job_id")
        about = {"job_id": int(job_id)} if job_id else {}
        more = self._call.facts if self._call is not None else {}
        self._agent.audit.note(
            route.act, **{**who, "from": self._address, **about, **more, "outcome": outcome}
        )

    @property
    def _address(self) -> str:
        """Where the request comes from."""
        if self._agent.on_control_socket(self.request):
            return "socket"
        if self._agent.on_people_socket(self.request):
            return "people-socket"
        return self.request.remote_ip or "-"

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """The one place where errors become replies."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if error is None and status_code < 500:
            error = BadRequest()
        if isinstance(error, HTTPError) and error.status_code == WrongMethod.http_status:
            error = WrongMethod(f"{self.request.path[:200]} takes {', '.join(self._routes) or 'nothing'}")
        elif isinstance(error, HTTPError):
            error = BadRequest(error.log_message or "the request is not well formed")
        if not isinstance(error, AgentError):
            error = ServerFault()
        route = self._routes.get(self.request.method or "")
        if route is not None and route.guarded and not isinstance(error, TooManyTries):
            self._agent.code_attempts.failed(self._address)
        if self._caller is not None or self._call is not None:
            self._record(error.code)
        self.set_status(error.http_status)
        self.set_header("Content-Type", JSON)
        if isinstance(error, TooManyTries):
            self.set_header("Retry-After", "60")
        if isinstance(error, Unauthorized):
            self.set_header("WWW-Authenticate", "Bearer")
        if isinstance(error, WrongMethod):
            self.set_header("Allow", ", ".join(self._routes))
        if self._has_body() or not self._came_in:
            # tornado ends a connection whose request was answered before it was read; who sent it is told
            self.set_header("Connection", "close")
            _ENDING.add(self.request.connection.stream)  # type: ignore[union-attr]
        # it quotes what the caller sent, and ends in terminals and logs
        message, field = (
            harmless(error.message, _MOST_TOLD),
            error.field and harmless(error.field, _MOST_FIELD),
        )
        body = ErrorBody(code=error.code, message=message, field=field, nearest=error.nearest)
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
        if self._agent.on_people_socket(self.request):
            if "Origin" in self.request.headers or "Sec-Fetch-Site" in self.request.headers:
                raise Forbidden(
                    "this socket is for programs: a browser that gets here was led here by another page"
                )
            return
        name = self.request.host_name.lower()
        if not _is_address(name) and name not in self._agent.host_names:
            raise Forbidden(f"this agent does not go by the name {name[:100]!r} (setting allowed_hosts)")
        origin = self.request.headers.get("Origin")
        if origin is not None and origin != f"{self.request.protocol}://{self.request.host}":
            raise Forbidden("requests from other web pages are refused")

    async def _identify(self, route: Route | None) -> Caller | None:
        if route is not None and route.role is None:
            return None
        if self._agent.on_control_socket(self.request):
            return socket_owner(self.request.connection.stream.socket)  # type: ignore[union-attr]
        if self._agent.on_people_socket(self.request):
            person = self._caller = await self._agent.peers.caller(self.request.connection.stream.socket)  # type: ignore[union-attr]
            if route is not None and route.role is not None and not person.may(route.role):
                raise Forbidden(f"this needs the role {route.role}; {person.user} has {person.role} here")
            return person
        token = bearer(self.request.headers.get("Authorization"))
        if not token:
            raise Unauthorized()
        caller = self._caller = self._known(token)
        if route is not None and route.role is not None:
            if caller.job_id is not None:
                self._check_view(route, caller)
            elif not caller.may(route.role):
                raise Forbidden(f"this needs the role {route.role}; this token has {caller.role}")
        return caller

    def _known(self, token: str) -> Caller:
        """Whose token it is; it is looked at again while the request lasts, so that its end ends a stream."""
        caller = self._agent.identify(token, self._address)
        self._look_again(token)
        return caller

    def _look_again(self, token: str) -> None:
        def look() -> None:
            try:
                self._agent.keyring.identify(token)
            except Unauthorized:
                self.request.connection.stream.close()  # type: ignore[union-attr]
            else:
                self._look_again(token)

        self._leash = asyncio.get_running_loop().call_later(_LOOK_AGAIN_S, look)

    def _check_view(self, route: Route, caller: Caller) -> None:
        if not route.view or self.path_kwargs.get("job_id") not in {None, str(caller.job_id)}:
            raise Forbidden(f"this token reads job {caller.job_id} and nothing else")

    def _check_body(self, route: Route) -> None:
        length = self.request.headers.get("Content-Length", "0")
        if not re.fullmatch(r"[0-9]{1,18}", length):
            raise BadRequest(
                f"Content-Length: {length[:40]!r} is not a number of bytes", field="Content-Length"
            )
        if int(length) > route.max_body:
            raise TooLarge(
                f"the body has {length} bytes; {route.method} {route.path} takes {route.max_body} at most"
            )
        if route.takes is not None:
            kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if kind != JSON:
                raise BadType(f"the body must be {JSON}, not {kind or 'without a type'}")


def _is_address(name: str) -> bool:
    if "%" in name:
        return False  # a zone, in which anything may stand
    try:
        ipaddress.ip_address(name[1:-1] if name.startswith("[") and name.endswith("]") else name)
    except ValueError:
        return False
    return True
