"""What the commands for tokens and invites do: through a serving agent, and for tokens else on its database."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from cluster_agent.audit import Audit
from cluster_agent.config import ConfigError, load_config
from cluster_agent.console import agent, agent_or_none, columns, day, minute
from cluster_agent.errors import NotFound
from cluster_agent.home import Home, user_name
from cluster_agent.jobs.access import add_token, expire_token, tokens
from cluster_agent.jobs.access import revoke_token as mark_revoked
from cluster_agent.jobs.sql import HomeInUse, NoDatabase, connect
from cluster_agent.jobs.store import migrate
from cluster_agent.protocol import InviteInfo, Role, TokenInfo
from cluster_agent.server.auth import check_new_user, digest, new_token, rotated


@contextlib.contextmanager
def database(home: Path) -> Iterator[sqlite3.Connection]:
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
    with database(home) as db:
        check_new_user((info for _, info in tokens(db)), user, shared_uid=shared_uid)
        token, info = new_token(user, role, now=time.time(), label=label, expires_s=expires_s)
        add_token(db, digest(token), info)
        _audit(home, "create-token", token_id=info.token_id, for_user=user, for_role=role)
    return token


def list_tokens(home: Path) -> list[str]:
    """A table of all tokens."""
    infos = _token_infos(home)
    rows = [("TOKEN", "USER", "ROLE", "CREATED", "USED", "STATE", "LABEL")]
    rows += [
        (
            info.token_id,
            info.user,
            info.role,
            day(info.created_at),
            "never" if info.last_used_at is None else day(info.last_used_at),
            _token_state(info),
            info.label,
        )
        for info in infos
    ]
    return columns(rows)


def _token_infos(home: Path) -> list[TokenInfo]:
    with agent_or_none(home) as client:
        if client is not None:
            return client.list_tokens()
    with database(home) as db:
        return [info for _, info in tokens(db)]


def _token_state(info: TokenInfo) -> str:
    if info.revoked_at is not None:
        return f"revoked {day(info.revoked_at)}"
    if info.expires_at is not None:
        return f"{'expired' if info.expires_at < time.time() else 'until'} {day(info.expires_at)}"
    return "valid"


def rotate_token(home: Path, token_id: str, *, overlap_s: float, expires_s: float | None) -> list[str]:
    """A token in place of another, told this once, and when the old one ends."""
    with agent_or_none(home) as client:
        if client is not None:
            made = client.rotate_token(token_id, overlap_s=overlap_s, expires_s=expires_s)
            return [made.token, _ends(token_id, client.list_tokens())]
    with database(home) as db:
        old = _known(db, token_id)
        token, info, ends_at = rotated(old, now=time.time(), overlap_s=overlap_s, expires_s=expires_s)
        add_token(db, digest(token), info)
        expire_token(db, token_id, ends_at)
        _audit(home, "rotate-token", token_id=info.token_id, in_place_of=token_id, for_user=info.user)
        return [token, _ends(token_id, [known for _, known in tokens(db)])]


def _ends(token_id: str, infos: list[TokenInfo]) -> str:
    (ends_at,) = (info.expires_at for info in infos if info.token_id == token_id)
    assert ends_at is not None
    return f"token {token_id} works until {minute(ends_at)}"


def revoke_tokens(home: Path, token_ids: list[str], user: str | None) -> Iterator[str]:
    """Make tokens invalid, those named and all of ``user``; a line for each."""
    if user is not None:
        token_ids = token_ids + [
            info.token_id for info in _token_infos(home) if info.user == user and info.revoked_at is None
        ]
        if not token_ids:
            raise NotFound(f"{user} has no token that could be revoked")
    for token_id in token_ids:
        _revoke(home, token_id)
        yield f"token {token_id} is revoked"


def _revoke(home: Path, token_id: str) -> None:
    with agent_or_none(home) as client:
        if client is not None:
            client.revoke_token(token_id)
            return
    with database(home) as db:
        info = _known(db, token_id)
        mark_revoked(db, token_id, time.time())
        _audit(home, "revoke-token", token_id=token_id, for_user=info.user)


def _known(db: sqlite3.Connection, token_id: str) -> TokenInfo:
    for _, info in tokens(db):
        if info.token_id == token_id:
            return info
    raise NotFound(f"there is no token {token_id}")


def _audit(home: Path, act: str, **facts: str) -> None:
    """Tell the audit log what was done to the database of an agent that does not serve."""
    user = user_name(os.geteuid())
    Audit(Home(home).audit).note(act, user=user, role="admin", **{"from": "box"}, **facts, outcome="ok")


def invite(home: Path, user: str, role: Role, *, label: str, expires_s: float | None) -> list[str]:
    """The line that ``user`` pastes, and what to know of it."""
    with agent(home) as client:
        made = client.create_invite(user, role=role, label=label, expires_s=expires_s)
    return [
        f"%attachments add {made.name} {made.url}",
        f"for {user}, to be pasted into a notebook; it works once, until {minute(made.info.expires_at)}",
    ]


def list_invites(home: Path) -> list[str]:
    """A table of all invites."""
    with agent(home) as client:
        infos = client.list_invites()
    rows = [("INVITE", "USER", "ROLE", "MADE BY", "STATE", "LABEL")]
    rows += [
        (info.invite_id, info.user, info.role, info.created_by, _invite_state(info), info.label)
        for info in infos
    ]
    return columns(rows)


def _invite_state(info: InviteInfo) -> str:
    if info.used_at is not None:
        return f"used {minute(info.used_at)}, token {info.token_id}"
    if info.revoked_at is not None:
        return f"revoked {minute(info.revoked_at)}"
    return f"{'expired' if info.expires_at < time.time() else 'until'} {minute(info.expires_at)}"


def revoke_invite(home: Path, invite_id: str) -> list[str]:
    """Make an invite invalid; a line that says so."""
    with agent(home) as client:
        info = client.revoke_invite(invite_id)
    return [f"the invite {invite_id} of {info.user} is revoked"]
