"""Bounds of the web server: connections in all and of one address, requests of one person, how long a dead one lasts."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream, StreamClosedError

from cluster_agent.errors import TooBusy
from cluster_agent.protocol import ErrorBody, ErrorReply, encode
from cluster_agent.server.auth import peer_uid

#: Nothing of what was sent has arrived for so long, or nobody has made room for it: the other side is gone.
_GONE_S = 18
#: What the kernel holds for a reader who makes no room, beside what is under way.
_UNSENT_BYTES = 131072
_OPTIONS = (
    ("TCP_KEEPIDLE", 10),
    ("TCP_KEEPINTVL", 5),
    ("TCP_KEEPCNT", 3),
    ("TCP_USER_TIMEOUT", _GONE_S * 1000),
    ("TCP_NOTSENT_LOWAT", _UNSENT_BYTES),
)
#: Each makes some milliseconds of work, and that of others comes in between.
_ACCEPTED_AT_ONCE = 4
#: Who is refused may take so long to read why; beyond this number of them nobody is told.
_TOLD_S = 2.0
_MAX_TOLD = 100


class Crowd:
    """Who has how many requests under way, so that one person's followers leave room for those of others."""

    def __init__(self) -> None:
        #: how many one person may have; set when the agent begins to listen
        self.most_of_one = 0
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def one_more(self, user: str) -> Iterator[None]:
        """Counts a request of ``user`` while the block runs.

        Raises
        ------
        TooBusy
            When that is one too many.
        """
        if self._under_way[user] >= self.most_of_one:
            raise TooBusy(
                f"{user} has {self.most_of_one} requests under way, such as logs that are followed, which is the"
                " limit for one person (setting max_connections)"
            )
        self._under_way[user] += 1
        try:
            yield
        finally:
            self._under_way[user] -= 1
            if not self._under_way[user]:
                del self._under_way[user]


class PacedSocket(socket.socket):
    """A listening socket that gives few connections at a time: many that come at once are taken in one after the other.

    Takes over ``listening``. To whoever accepts until there is none it says that there is none, and that is woken
    again for the others.
    """

    def __init__(self, listening: socket.socket) -> None:
        super().__init__(fileno=listening.detach())
        self.setblocking(False)
        self._left = _ACCEPTED_AT_ONCE

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection, as :meth:`socket.socket.accept`."""
        self._left -= 1
        try:
            if self._left < 0:
                raise BlockingIOError
            return super().accept()
        except OSError:
            self._left = _ACCEPTED_AT_ONCE
            raise


class BoundedServer(HTTPServer):
    """A tornado server that takes so many connections and tells the others why not."""

    def initialize(  # type: ignore[override]
        self, *args: Any, most: int, most_of_one: int, **kwargs: Any
    ) -> None:
        """Called by the constructor.

        Parameters
        ----------
        most
            Connections in all.
        most_of_one
            Those of one address, or of one user of this machine.
        """
        self._most, self._most_of_one = most, most_of_one
        self._of: Counter[str] = Counter()
        self._refused: set[asyncio.Task[None]] = set()
        super().initialize(*args, **kwargs)

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Take connections from them, a few at a time."""
        super().add_sockets(map(PacedSocket, sockets))

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Take a connection, or refuse it."""
        address = _counted_for(stream, address)
        peer = str(address[0])
        _bound(stream.socket)
        if self._of.total() >= self._most:
            self._refuse(stream, f"the agent has {self._most} connections, which is all that it takes")
        elif self._of[peer] >= self._most_of_one:
            self._refuse(
                stream, f"{peer} has {self._most_of_one} connections to the agent, which is the limit"
            )
        else:
            self._of[peer] += 1
            super().handle_stream(stream, address)

    def on_close(self, server_conn: Any) -> None:
        """A connection has ended."""
        peer = str(server_conn.context.address[0])
        self._of[peer] -= 1
        if not self._of[peer]:
            del self._of[peer]
        super().on_close(server_conn)

    def _refuse(self, stream: IOStream, why: str) -> None:
        if len(self._refused) >= _MAX_TOLD:
            stream.close()
            return
        task = asyncio.ensure_future(_tell(stream, f"{why}; try again in a moment (setting max_connections)"))
        self._refused.add(task)
        task.add_done_callback(self._refused.discard)


async def _tell(stream: IOStream, why: str) -> None:
    """Answer without having read the request, and see that the answer is read."""
    body = encode(ErrorReply(error=ErrorBody(code=TooBusy.code, message=why)))
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"Retry-After: 2\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    timer = asyncio.get_running_loop().call_later(_TOLD_S, stream.close)
    try:
        await stream.write(head.encode() + body)
        stream.socket.shutdown(socket.SHUT_WR)
        while True:
            # to its end, for a close with unread bytes would take the answer back
            await stream.read_bytes(65536, partial=True)
    except (StreamClosedError, OSError):
        pass
    finally:
        timer.cancel()
        stream.close()


def _counted_for(stream: IOStream, address: Any) -> Any:
    """The address of a connection; in place of one the user, where it comes from this machine."""
    if stream.socket.family == socket.AF_UNIX:
        return f"the unix user {peer_uid(stream.socket)}", 0
    return address


def _bound(connection: socket.socket) -> None:
    """Find out when the other side is gone, and hold little for it."""
    if connection.family == socket.AF_UNIX:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _OPTIONS:
        if (option := getattr(socket, name, None)) is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
