"""What the commands for ops do: through the control socket of a serving agent, else on its database."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from cluster_agent.client import AgentClient
from cluster_agent.config import ConfigError, load_config
from cluster_agent.errors import NotFound, Unreachable
from cluster_agent.home import Home
from cluster_agent.jobs.ids import highest_folder
from cluster_agent.jobs.sql import HomeInUse, connect
from cluster_agent.jobs.store import add_token, highest_id, migrate, tokens
from cluster_agent.jobs.store import revoke_token as mark_revoked
from cluster_agent.protocol import ACTIVE, Info, Role, TokenInfo
from cluster_agent.server.auth import check_new_user, digest, new_token
from cluster_agent.units import format_duration, format_size


@contextlib.contextmanager
def _client(home: Path) -> Iterator[AgentClient | None]:
    """A client on the control socket; None when no agent serves from this home."""
    if not home.is_dir():
        raise ConfigError(f"there is no agent in {home}; cluster-agent init or serve makes one")
    socket = Home(home).socket
    client = AgentClient("http://localhost", uds=str(socket), timeout_s=5.0)
    try:
        if socket.exists():
            client.info()
            yield client
            return
    except Unreachable:
        pass
    finally:
        client.close()
    yield None


@contextlib.contextmanager
def _database(home: Path) -> Iterator[sqlite3.Connection]:
    """The database of an agent that does not serve at present."""
    try:
        db = connect(Home(home).database)
    except HomeInUse as error:
        raise ConfigError(f"{error}, but does not answer on its socket") from None
    try:
        migrate(db)
        yield db
    finally:
        db.close()


def status(home: Path, *, as_json: bool) -> list[str]:
    """Lines that tell what runs and waits."""
    with _client(home) as client:
        if client is None:
            raise ConfigError(
                f"no agent serves from {home}; start it with: cluster-agent serve --home {home}"
            )
        info = client.info()
        jobs = client.jobs(states=ACTIVE).jobs
    if as_json:
        return [msgspec.json.format(msgspec.json.encode(info), indent=2).decode()]
    return _status_lines(info) + [
        f"  {job.job_id:>6}  {job.state.value:<10} {job.user:<12} {job.gpus} GPU  {job.name or '-'}"
        for job in jobs
    ]


def _status_lines(info: Info) -> list[str]:
    lines = [
        f"cluster-agent {info.version} at {info.public_url}, up {format_duration(info.uptime_s)}",
        f"agent id   {info.agent_id}",
        f"GPUs       {info.gpus_free} of {info.gpus} free",
        f"CPUs       {info.cpus_free} of {info.cpus} free",
        f"memory     {format_size(info.memory_free_bytes)} of {format_size(info.memory_bytes)} free",
        f"jobs       {info.running} running, {info.queued} queued",
        f"python     {info.python} ({info.python_version})",
        *(f"project    {project.name}: {project.url}" for project in info.projects),
        f"isolation  {info.isolation}: all jobs run as one unix user, which is one trust domain",
        f"restart    jobs {'outlive' if info.survives_restart else 'DO NOT outlive'} a restart of the agent",
    ]
    return [*lines, f"REMARK     {info.remark}"] if info.remark else lines


def create_token(home: Path, user: str, role: Role, *, label: str, expires_s: float | None) -> str:
    """A new token, told this once."""
    with _client(home) as client:
        if client is not None:
            return client.create_token(user, role=role, label=label, expires_s=expires_s).token
    shared_uid = load_config({"home": str(home)}, {}).shared_uid
    with _database(home) as db:
        check_new_user((info for _, info in tokens(db)), user, shared_uid=shared_uid)
        token, info = new_token(user, role, now=time.time(), label=label, expires_s=expires_s)
        add_token(db, digest(token), info)
    return token


def list_tokens(home: Path) -> list[str]:
    """A table of all tokens."""
    infos = _token_infos(home)
    rows = [("TOKEN", "USER", "ROLE", "CREATED", "STATE", "LABEL")]
    rows += [
        (info.token_id, info.user, info.role, _day(info.created_at), _token_state(info), info.label)
        for info in infos
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _token_infos(home: Path) -> list[TokenInfo]:
    with _client(home) as client:
        if client is not None:
            return client.list_tokens()
    with _database(home) as db:
        return [info for _, info in tokens(db)]


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(at))


def _token_state(info: TokenInfo) -> str:
    if info.revoked_at is not None:
        return f"revoked {_day(info.revoked_at)}"
    if info.expires_at is not None:
        return f"{'expired' if info.expires_at < time.time() else 'until'} {_day(info.expires_at)}"
    return "valid"


def revoke_token(home: Path, token_id: str) -> str:
    """Make a token invalid; a line that says so."""
    with _client(home) as client:
        if client is not None:
            client.revoke_token(token_id)
            return f"token {token_id} is revoked"
    with _database(home) as db:
        if token_id not in {info.token_id for _, info in tokens(db)}:
            raise NotFound(f"there is no token {token_id}")
        mark_revoked(db, token_id, time.time())
    return f"token {token_id} is revoked"


def restore(home: Path) -> str:
    """Accept a copied or restored home; a line that tells the first id that will be given."""
    with _database(home) as db:
        highest = max(highest_id(db), highest_folder(Home(home).jobs))
    instance = Home(home).restore(highest)
    return f"{home} is accepted; job ids go on at {instance.first_id}"
