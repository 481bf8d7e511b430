"""Many connections that come at once are taken a few at a time."""

import socket
from contextlib import ExitStack

from cluster_agent.server.connections import PacedSocket


def accepted(listening: socket.socket, kept: ExitStack) -> int:
    """How many it gives until it says that there are no more."""
    count = 0
    while True:
        try:
            connection, _ = listening.accept()
        except BlockingIOError:
            return count
        kept.enter_context(connection)
        count += 1


def test_connections_are_given_four_at_a_time_until_there_are_none():
    with ExitStack() as kept:
        plain = socket.create_server(("127.0.0.1", 0), backlog=32)
        listening = kept.enter_context(PacedSocket(plain))
        assert plain.fileno() == -1
        address = listening.getsockname()
        for _ in range(10):
            kept.enter_context(socket.create_connection(address))
        assert [accepted(listening, kept) for _ in range(4)] == [4, 4, 2, 0]
        kept.enter_context(socket.create_connection(address))
        assert accepted(listening, kept) == 1
