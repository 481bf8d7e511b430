"""Where the agent listens: its address and its control socket."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import msgspec
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets, bind_unix_socket
from tornado.web import Application

from cluster_agent import __version__
from cluster_agent.config import Config, ConfigError
from cluster_agent.folder import write_durably
from cluster_agent.home import Home
from cluster_agent.protocol import PROTOCOL_VERSION, Ready
from cluster_agent.server.app import Agent, make_application
from cluster_agent.server.connections import BoundedServer
from cluster_agent.server.peers import prepare_folder, socket_path

_MAX_HEADER_BYTES = 65536
#: Each follower takes two descriptors; so many are for everything else.
_OTHER_DESCRIPTORS = 256


@contextlib.contextmanager
def listening(agent: Agent, home: Home) -> Iterator[None]:
    """Serve on the address and the control socket, and say so in the home."""
    application = make_application(agent)
    most = min(agent.config.max_connections, _most_by_descriptors())
    web = BoundedServer(
        application,
        most=most,
        most_of_one=max(1, most // 2),
        ssl_options=_tls(agent.config),
        max_body_size=2**50,  # each route has its own limit, checked before the body is read
        max_header_size=_MAX_HEADER_BYTES,
        idle_connection_timeout=120,
        chunk_size=2**20,
        xheaders=False,
    )
    agent.crowd.most_of_one = max(1, most * 3 // 8)
    sockets = _bind(agent.config, home)
    port = sockets[0].getsockname()[1]
    web.add_sockets(sockets)
    agent.own_url = _own_url(agent.config, port)
    control = HTTPServer(
        application, max_body_size=2**50, max_header_size=_MAX_HEADER_BYTES, chunk_size=2**20
    )
    control.add_socket(bind_unix_socket(str(home.socket), 0o600))
    agent.control_socket = str(home.socket)
    people = _for_people(agent, home, application, most // 2)
    ready = Ready(
        url=agent.own_url,
        socket=str(home.socket),
        pid=os.getpid(),
        version=__version__,
        protocol=PROTOCOL_VERSION,
        agent_id=agent.agent_id,
    )
    agent.storage.keep(lambda: write_durably(home.ready, msgspec.json.encode(ready)))
    try:
        yield
    finally:
        home.ready.unlink(missing_ok=True)
        web.stop()
        control.stop()
        home.socket.unlink(missing_ok=True)
        if people is not None:
            server, path = people
            server.stop()
            path.unlink(missing_ok=True)


def _for_people(
    agent: Agent, home: Home, application: Application, most: int
) -> tuple[HTTPServer, Path] | None:
    """Listen on the socket for people, whoever they are: requests tell by the kernel whose they are."""
    path = socket_path(agent.config, home)
    if path is None:
        return None
    prepare_folder(path)
    server = BoundedServer(
        application,
        most=most,
        most_of_one=max(1, most // 2),
        max_body_size=2**50,
        max_header_size=_MAX_HEADER_BYTES,
        idle_connection_timeout=120,
        chunk_size=2**20,
    )
    # where nobody tells who is at the other end, only the agent's own user may be
    mode = 0o666 if hasattr(socket, "SO_PEERCRED") else 0o600
    try:
        server.add_socket(bind_unix_socket(str(path), mode))
    except (OSError, ValueError) as error:
        raise ConfigError(f"--people-socket {path} cannot be used: {error}") from None
    return server, path


def _most_by_descriptors() -> int:
    return max(16, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHER_DESCRIPTORS) // 2)


def _tls(config: Config) -> ssl.SSLContext | None:
    if config.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"--tls-cert {config.tls_cert} cannot be used: {error}") from None
    return context


def _bind(config: Config, home: Home) -> list[socket.socket]:
    """The listening sockets; an agent of one's own takes the port again that it had last."""
    port = config.port
    if config.local and port == 0 and home.port.exists():
        with contextlib.suppress(OSError, ValueError):
            return bind_sockets(int(home.port.read_text(encoding="ascii")), config.host)
    try:
        sockets = bind_sockets(port, config.host)
    except OSError as error:
        hint = "; --port 0 takes a free one" if error.errno == errno.EADDRINUSE else ""
        raise ConfigError(f"{config.host}:{port} cannot be used: {error.strerror}{hint}") from None
    if config.local:
        home.port.write_text(str(sockets[0].getsockname()[1]), encoding="ascii")
    return sockets


def _own_url(config: Config, port: int) -> str:
    host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(config.host, config.host)
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if config.tls else 'http'}://{shown}:{port}"
