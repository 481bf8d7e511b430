"""How the commands for ops write: tables, moments, and the way to the running agent."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cluster_agent.client import AgentClient
from cluster_agent.config import ConfigError
from cluster_agent.errors import Unreachable
from cluster_agent.harmless import harmless
from cluster_agent.home import Home

#: How long a command waits for the agent.
_TIMEOUT_S = 10.0


@contextlib.contextmanager
def agent_or_none(home: Path, timeout_s: float = _TIMEOUT_S) -> Iterator[AgentClient | None]:
    """A client on the control socket; None when no agent serves from this home."""
    if not home.is_dir():
        raise ConfigError(f"there is no agent in {home}; cluster-agent init or serve makes one")
    socket = Home(home).socket
    client = AgentClient("http://localhost", uds=str(socket), timeout_s=timeout_s)
    try:
        yield client if socket.exists() and _answers(client) else None
    finally:
        client.close()


def _answers(client: AgentClient) -> bool:
    try:
        client.info()
    except Unreachable:
        return False
    return True


@contextlib.contextmanager
def agent(home: Path, timeout_s: float = _TIMEOUT_S) -> Iterator[AgentClient]:
    """A client on the control socket of the agent that serves from this home."""
    with agent_or_none(home, timeout_s) as client:
        if client is None:
            raise ConfigError(
                f"no agent serves from {home}; start it with: cluster-agent serve --home {home}"
            )
        yield client


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines with their columns aligned; nothing in them speaks to the terminal."""
    rows = [[harmless(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def day(at: float) -> str:
    """The day of a moment."""
    return time.strftime("%Y-%m-%d", time.localtime(at))


def minute(at: float | None) -> str:
    """A moment to the minute; a dash for none."""
    return "-" if at is None else time.strftime("%m-%d %H:%M", time.localtime(at))
