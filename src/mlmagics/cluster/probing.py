"""The first question to an agent, and why there may be no answer."""

from __future__ import annotations

import socket
import ssl

from cluster_agent.client import AgentClient, Unconfirmed
from cluster_agent.protocol import Info
from mlmagics.cluster.addresses import host_and_port
from mlmagics.cluster.session import told
from mlmagics.errors import BadValue

_LIMIT_S = 2.0


def speaks_tls(url: str) -> bool:
    """Whether what listens at the host and port of ``url`` answers as TLS does. Nothing is sent but a greeting."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # whoever it is: nothing is told to it and nothing that it says is believed
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, port = host_and_port(url)
    try:
        with (
            socket.create_connection((host, port), timeout=_LIMIT_S) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return True
    except OSError:
        return False


def first_answer(client: AgentClient, cluster: str) -> Info:
    """What the agent behind ``client`` says of itself.

    Raises
    ------
    BadValue
        When its address is http:// and TLS is spoken there.
    ClusterError
        When it refuses, or does not answer.
    """
    with told(cluster):
        try:
            return client.info()
        except Unconfirmed:
            # connected, and then nothing that could be understood
            if not client.url.startswith("http:") or not speaks_tls(client.url):
                raise
    raise BadValue(f"{client.url} speaks TLS: write {client.url.replace('http:', 'https:', 1)}", field="url")
