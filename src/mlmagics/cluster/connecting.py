"""A client for an attachment: what it may believe of who answers there."""

from __future__ import annotations

from cluster_agent.client import AgentClient
from mlmagics.cluster.store import Attachment


def client_of(attachment: Attachment, token: str | None = None) -> AgentClient:
    """A client of the agent of ``attachment``; without ``token`` nothing secret is sent.

    Raises
    ------
    ValueError
        When the file of its CA cannot be used.
    """
    return AgentClient(
        attachment.url, token=token, ca=attachment.ca, pin=attachment.pin, own_only=attachment.own_only
    )
