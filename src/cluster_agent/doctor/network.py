"""Asks by which addresses people come, whom they meet there, and who they are."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import sqlite3
import time
from pathlib import Path

import msgspec

from cluster_agent.certificates import certificate_print, read_certificate
from cluster_agent.client import AgentClient
from cluster_agent.config import Config
from cluster_agent.doctor.facts import Address, People, Port, Tls
from cluster_agent.errors import AgentError
from cluster_agent.home import Home
from cluster_agent.jobs.access import tokens
from cluster_agent.protocol import TokenInfo

_ANSWER_S = 5.0
_ENDING_S = 14 * 86400.0


def port(config: Config) -> Port:
    """Whether the agent's port is free."""
    taken = ""
    try:
        family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((config.host, config.port))
    except OSError as error:
        taken = error.strerror or str(error)
    return Port(host=config.host, port=config.port, taken=taken)


def address(url: str, config: Config) -> Address:
    """Who answers at ``url``: whatever certificate is there, and by the agent's own, if it has one."""
    pin = ""
    if config.tls_cert is not None and url.startswith("https:"):
        with contextlib.suppress(OSError, ValueError):
            pin = certificate_print(config.tls_cert).hex()
    try:
        with AgentClient(url, pin=pin, timeout_s=_ANSWER_S) as client:
            return Address(url=url, agent_id=client.health().agent_id)
    except AgentError as error:
        return Address(url=url, error=error.message, other_certificate="another one than" in error.message)


def tls(config: Config, hosts: list[str]) -> Tls | None:
    """The certificate, and which of ``hosts`` it is not for; None without TLS."""
    if config.tls_cert is None or config.tls_key is None:
        return None
    try:
        found = read_certificate(config.tls_cert, config.tls_key)
        mode = config.tls_key.stat().st_mode & 0o777
    except (OSError, ValueError) as error:
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        return Tls(chain=config.tls_cert, error=reason)
    return Tls(
        chain=config.tls_cert,
        names=found.names,
        begins_at=found.begins_at,
        ends_at=found.ends_at,
        missing=tuple(host for host in dict.fromkeys(hosts) if host and not found.covers(host)),
        key_mode=mode,
    )


def people(path: Path, config: Config, infos: list[TokenInfo] | None, *, apart: bool) -> People:
    """Who has valid tokens; read from the database where no agent tells."""
    if infos is None:
        infos = _stored_tokens(Home(path).database)
    now = time.time()
    valid = [info for info in infos if info.revoked_at is None and (info.expires_at or math.inf) > now]
    return People(
        users=tuple(sorted({info.user for info in valid})),
        shared_uid=config.shared_uid,
        apart=apart,
        uid=os.geteuid(),
        ending=tuple(
            f"{info.user} ({info.token_id})"
            for info in valid
            if info.expires_at is not None and info.expires_at - now < _ENDING_S
        ),
    )


def _stored_tokens(file: Path) -> list[TokenInfo]:
    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=1.0)) as db:
            db.row_factory = sqlite3.Row
            return [info for _, info in tokens(db)]
    except (sqlite3.Error, msgspec.ValidationError):
        return []  # told of the database
