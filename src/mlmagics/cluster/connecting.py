"""A client for an attachment: what it may believe of who answers there."""

from __future__ import annotations

from urllib.parse import urlsplit

from cluster_agent.client import AgentClient
from mlmagics.cluster.addresses import host_and_port
from mlmagics.cluster.ssh_addresses import parse_ssh
from mlmagics.cluster.ssh_tunnel import SshTunnel
from mlmagics.cluster.store import Attachment


def client_of(attachment: Attachment, token: str | None = None) -> AgentClient:
    """A client of the agent of ``attachment``; without ``token`` nothing secret is sent.

    Raises
    ------
    ValueError
        When the file of its CA cannot be used.
    """
    if attachment.over_ssh:
        return AgentClient("http://localhost", tunnel=tunnel_of(attachment))
    return AgentClient(
        attachment.url, token=token, ca=attachment.ca, pin=attachment.pin, own_only=attachment.own_only
    )


def tunnel_of(attachment: Attachment) -> SshTunnel:
    """The tunnel of an attachment over ssh, the same for all programs of this person."""
    return SshTunnel(parse_ssh(attachment.url))


def page_base(attachment: Attachment, told: str) -> str:
    """The address from which a browser here gets the agent's pages, which the agent itself has ``told`` as its own.

    Over ssh a port of this machine leads to the agent's own port, where everybody needs a token or a code: who can
    connect to this machine's ports may be others, so they must not get to the socket that needs none.

    Raises
    ------
    NoTunnel
        When there is no way.
    """
    if not attachment.over_ssh:
        return attachment.url
    if attachment.public_url.startswith("http"):
        return attachment.public_url
    _, port = host_and_port(told)
    return f"{urlsplit(told).scheme}://127.0.0.1:{tunnel_of(attachment).page(port)}"
