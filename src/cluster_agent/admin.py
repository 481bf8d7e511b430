"""What the commands for tokens and backups do: through a serving agent, else on its database."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from cluster_agent.config import ConfigError, load_config
from cluster_agent.console import agent_or_none, columns, day
from cluster_agent.errors import NotFound
from cluster_agent.home import Home
from cluster_agent.jobs.ids import highest_folder
from cluster_agent.jobs.sql import HomeInUse, NoDatabase, connect
from cluster_agent.jobs.store import add_token, highest_id, migrate, tokens
from cluster_agent.jobs.store import revoke_token as mark_revoked
from cluster_agent.protocol import Role, TokenInfo
from cluster_agent.server.auth import check_new_user, digest, new_token


@contextlib.contextmanager
def _database(home: Path) -> Iterator[sqlite3.Connection]:
    """The database of an agent that does not serve at present."""
    try:
        db = connect(Home(home).database)
    except HomeInUse as error:
        raise ConfigError(f"{error}, but does not answer on its socket") from None
    except NoDatabase as error:
        raise ConfigError(str(error)) from None
    try:
        migrate(db)
        yield db
    finally:
        db.close()


def create_token(home: Path, user: str, role: Role, *, label: str, expires_s: float | None) -> str:
    """A new token, told this once."""
    with agent_or_none(home) as client:
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
        (info.token_id, info.user, info.role, day(info.created_at), _token_state(info), info.label)
        for info in infos
    ]
    return columns(rows)


def _token_infos(home: Path) -> list[TokenInfo]:
    with agent_or_none(home) as client:
        if client is not None:
            return client.list_tokens()
    with _database(home) as db:
        return [info for _, info in tokens(db)]


def _token_state(info: TokenInfo) -> str:
    if info.revoked_at is not None:
        return f"revoked {day(info.revoked_at)}"
    if info.expires_at is not None:
        return f"{'expired' if info.expires_at < time.time() else 'until'} {day(info.expires_at)}"
    return "valid"


def revoke_token(home: Path, token_id: str) -> str:
    """Make a token invalid; a line that says so."""
    with agent_or_none(home) as client:
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
