"""The agent as its calls see it, and the tornado application that carries the route table."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest
from tornado.routing import URLSpec
from tornado.web import Application

from cluster_agent.audit import Audit
from cluster_agent.config import Config
from cluster_agent.content.blobs import Blobs
from cluster_agent.content.projects import Projects
from cluster_agent.environments.interpreters import Interpreters
from cluster_agent.environments.provision import Provision
from cluster_agent.errors import Unauthorized
from cluster_agent.executors.spares import Spares
from cluster_agent.isolation.force import InForce
from cluster_agent.jobs.access import Access
from cluster_agent.jobs.dispatcher import Dispatcher
from cluster_agent.jobs.gpu_use import GpuWatch
from cluster_agent.jobs.ids import IdSource
from cluster_agent.jobs.intake import Intake
from cluster_agent.jobs.past import Past
from cluster_agent.jobs.retention import Readers, Retention
from cluster_agent.jobs.slots import Slots
from cluster_agent.jobs.store import Store
from cluster_agent.jobs.submit import Policy
from cluster_agent.log.watch import LogWatcher
from cluster_agent.server.attempts import Attempts
from cluster_agent.server.auth import Caller, Keyring
from cluster_agent.server.call import Route
from cluster_agent.server.connections import Crowd
from cluster_agent.server.gate import Endpoint
from cluster_agent.server.metrics import Meter
from cluster_agent.server.peers import Peers
from cluster_agent.server.reading import Reading
from cluster_agent.storage import Storage

#: What one address may get wrong in a minute.
_TOKEN_TRIES, _CODE_TRIES = 60, 20


@dataclass(kw_only=True)
class Agent:
    """Everything that calls work with; made once by :mod:`cluster_agent.service`."""

    agent_id: str
    config: Config
    policy: Policy
    store: Store
    storage: Storage
    past: Past
    ids: IdSource
    dispatcher: Dispatcher
    intake: Intake
    retention: Retention
    readers: Readers
    crowd: Crowd = field(default_factory=Crowd)
    reading: Reading = field(default_factory=Reading)
    keyring: Keyring
    peers: Peers
    access: Access
    audit: Audit
    slots: Slots
    #: what waits for a job
    spares: Spares
    gpu_watch: GpuWatch
    projects: Projects
    blobs: Blobs
    interpreters: Interpreters
    provision: Provision
    isolation: InForce
    watcher: LogWatcher
    routes: Sequence[Route]
    static: dict[str, bytes]
    python_version: str
    survives_restart: bool
    #: SHA-256 of its certificate, and when that ends; empty and None without TLS
    certificate_print: bytes = b""
    certificate_ends_at: float | None = None
    #: failed tries: tokens, and codes that are exchanged for tokens
    token_attempts: Attempts = field(default_factory=lambda: Attempts(_TOKEN_TRIES))
    code_attempts: Attempts = field(default_factory=lambda: Attempts(_CODE_TRIES))
    meter: Meter = field(default_factory=Meter)
    #: of this machine
    host_name: str = field(default_factory=socket.gethostname)
    #: scheme, host and port under which it listens
    own_url: str = ""
    #: path of the socket that is for the agent's own user
    control_socket: str = ""
    #: monotonic times
    started: float = field(default_factory=time.monotonic)
    last_request: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        names = {"localhost", self.config.host, socket.gethostname(), socket.getfqdn()}
        names |= {urlsplit(self.config.public_url).hostname or ""} | set(self.config.allowed_hosts)
        self.host_names = {name.lower() for name in names if name}

    def touch(self) -> None:
        """Note that somebody uses this agent."""
        self.last_request = time.monotonic()

    def identify(self, token: str, address: str) -> Caller:
        """Whose ``token`` it is; a wrong one is held against the ``address`` that it comes from.

        Raises
        ------
        Unauthorized
            When it is unknown, revoked or expired.
        TooManyTries
            When it is, and that address has sent too many such.
        """
        try:
            return self.keyring.identify(token)
        except Unauthorized:
            self.token_attempts.check(address)
            self.token_attempts.failed(address)
            raise

    def base_url(self, host: str) -> str:
        """Address for history URLs: the public one, else the one that the caller used."""
        if self.config.public_url:
            return self.config.public_url
        name = host.partition(":")[0]
        if not host or name == "localhost" or self.config.loopback:
            return self.own_url
        return f"{'https' if self.config.tls else 'http'}://{host}"

    def on_control_socket(self, request: HTTPServerRequest) -> bool:
        """Whether the request came over the Unix socket of the agent's own user."""
        connection = _unix_socket(request)
        return connection is not None and connection.getsockname() == self.control_socket

    def on_people_socket(self, request: HTTPServerRequest) -> bool:
        """Whether it came over the Unix socket for people of this machine."""
        return _unix_socket(request) is not None and not self.on_control_socket(request)


def _unix_socket(request: HTTPServerRequest) -> socket.socket | None:
    stream: Any = getattr(request.connection, "stream", None)
    connection: socket.socket | None = stream.socket if stream is not None else None
    return connection if connection is not None and connection.family == socket.AF_UNIX else None


def make_application(agent: Agent) -> Application:
    """The tornado application: one handler class, one rule for each path of the table."""
    by_pattern: dict[str, dict[str, Route]] = {}
    for route in agent.routes:
        by_pattern.setdefault(route.pattern, {})[route.method] = route
    rules: list[Any] = [
        URLSpec(pattern + "$", Endpoint, {"agent": agent, "routes": routes})
        for pattern, routes in by_pattern.items()
    ]
    return Application(
        rules,
        default_handler_class=Endpoint,
        default_handler_args={"agent": agent, "routes": {}},
        log_function=lambda handler: None,  # noqa: ARG005 - faults are logged where they happen
    )
