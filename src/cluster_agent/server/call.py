"""A request as the calls see it, the reply they give, and one line of the route table.

Calls know nothing of tornado but :class:`Call`; what stands before them is :mod:`cluster_agent.server.gate`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec
from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from cluster_agent import __version__
from cluster_agent.errors import BadRequest, TooLarge
from cluster_agent.harmless import harmless
from cluster_agent.protocol import Role
from cluster_agent.server.auth import Caller

if TYPE_CHECKING:
    from cluster_agent.server.app import Agent

S = TypeVar("S")
#: A reader that takes nothing for so long is cut off.
SEND_S = 60.0
_SINK_BYTES = 2**20
#: So much of a body has so long to come in.
_BODY_PART_BYTES, _BODY_PART_S = 65536, 30.0


class Patience:
    """Ends the connection of a body that comes in too slowly; made when it begins."""

    def __init__(self, give_up: Callable[[], None]) -> None:
        self._give_up = give_up
        self._left = 0
        self._timer: asyncio.TimerHandle | None = None
        self.take(0)

    def take(self, count: int) -> None:
        """Take note that ``count`` bytes have come."""
        self._left -= count
        if self._left <= 0:
            self.end()
            self._left = _BODY_PART_BYTES
            self._timer = asyncio.get_running_loop().call_later(_BODY_PART_S, self._give_up)

    def end(self) -> None:
        """Nothing more is waited for."""
        if self._timer is not None:
            self._timer.cancel()


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


#: bytes that a body of a few fields may have
SMALL = 65536


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
    #: what it does, as the audit log calls it; empty for what only reads
    act: str = ""
    #: open to everybody and takes a secret, so failures are limited
    guarded: bool = False
    #: type of a JSON body
    takes: type[msgspec.Struct] | None = None
    #: for a body that is not JSON: opens what it is written to; None when this request has no body
    sink: Callable[[Call], Awaitable[Sink | None]] | None = None
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
        self, agent: Agent, handler: RequestHandler, args: Mapping[str, str], caller: Caller | None
    ) -> None:
        self.agent = agent
        self.args = args
        self.headers = handler.request.headers
        self.sink: Sink | None = None
        #: whether it came over the agent's Unix socket: then the caller is the agent's own user
        self.on_control_socket = agent.on_control_socket(handler.request)
        #: where it comes from, when that is an address
        self.address = handler.request.remote_ip or "-"
        #: what the audit log is told of this act beside who and when
        self.facts: dict[str, str | int | float | bool | None] = {}
        self._handler = handler
        self._caller = caller
        self._body = bytearray()
        #: parts of a body on their way to the sink
        self._held: list[bytes] = []
        self._held_bytes = 0

    @property
    def caller(self) -> Caller:
        """Who asks; only on routes with a role."""
        assert self._caller is not None
        return self._caller

    @property
    def job_id(self) -> int:
        """The ``{job_id}`` of the path."""
        return int(self.args["job_id"])

    def note(self, **facts: str | int | float | bool | None) -> None:
        """Tell the audit log more of this act: never what people typed, nor a secret."""
        self.facts |= facts

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
            self._held.append(chunk)
            self._held_bytes += len(chunk)
            if self._held_bytes >= _SINK_BYTES:
                await self.pass_on()
            return
        self._body += chunk
        if len(self._body) > limit:
            raise TooLarge(f"the body is larger than {limit} bytes, which is what this address takes")

    async def pass_on(self) -> None:
        """Hand to the sink what was collected for it: a thread is asked once for many small parts."""
        if self._held and self.sink is not None:
            data = self._held[0] if len(self._held) == 1 else b"".join(self._held)
            self._held, self._held_bytes = [], 0
            await asyncio.to_thread(self.sink.write, data)

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
        try:
            await asyncio.wait_for(self._handler.flush(), SEND_S)
        except asyncio.TimeoutError:
            # It does not read. It can come back with its cursor; its connection is not held for it.
            connection: Any = self._handler.request.connection
            connection.stream.close()
            raise StreamClosedError from None


def _blame(text: str) -> tuple[str, str | None]:
    """A message and the field that it is about, from msgspec's wording."""
    message, _, place = text.partition(" - at `$")
    name = place.rstrip("`").lstrip(".").replace("[...]", "") or None
    if unknown := re.match(r"Object contains unknown field `(.+)`", message, re.DOTALL):
        name = harmless(f"{name}.{unknown[1]}" if name else unknown[1], 80)
        return f"this agent ({__version__}) knows no field {name!r}: is it older than what sent it?", name
    if missing := re.match(r"Object missing required field `(.+)`", message):
        return f"the field {missing[1]!r} is missing", missing[1]
    message = harmless(message, 300)
    return (f"{name}: {message}" if name else message), name
