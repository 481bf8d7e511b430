"""Verbs on tokens and invites in the database. Only hashes of either are kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import msgspec

from cluster_agent.errors import Conflict, Forbidden, NotFound
from cluster_agent.jobs.sql import SqlThread
from cluster_agent.protocol import InviteInfo, TokenInfo
from cluster_agent.units import format_clock

#: Invites that nobody can use any more are told of for so long.
_TOLD_S = 30 * 86400.0


class Access:
    """Tokens and invites on disk. Each verb is atomic and, where it writes, durable when it returns."""

    def __init__(self, sql: SqlThread) -> None:
        self._sql = sql

    async def tokens(self) -> list[tuple[str, TokenInfo]]:
        """All tokens as (sha256 of the token, what is told of it), oldest first."""
        return await self._sql.read(tokens)

    async def add_token(self, sha256: str, info: TokenInfo) -> None:
        """Keep a new token by its hash."""
        await self._sql.write(lambda db: add_token(db, sha256, info))

    async def replace_token(self, sha256: str, info: TokenInfo, old: str, expires_at: float) -> None:
        """Keep a new token, and let the token ``old`` end at ``expires_at``."""

        def verb(db: sqlite3.Connection) -> None:
            add_token(db, sha256, info)
            db.execute("UPDATE tokens SET expires_at = ? WHERE token_id = ?", (expires_at, old))

        await self._sql.write(verb)

    async def revoke_token(self, token_id: str, at: float) -> None:
        """Make the token invalid; no error when it is already."""
        await self._sql.write(lambda db: revoke_token(db, token_id, at))

    async def note_uses(self, used: Mapping[str, float]) -> None:
        """Keep when tokens were used last, by their ids."""
        rows = [(at, token_id) for token_id, at in used.items()]
        await self._sql.write(
            lambda db: db.executemany("UPDATE tokens SET last_used_at = ? WHERE token_id = ?", rows)
        )

    async def invites(self) -> list[InviteInfo]:
        """All invites, oldest first."""
        return await self._sql.read(_invites)

    async def add_invite(self, sha256: str, info: InviteInfo) -> None:
        """Keep a new invite by the hash of its secret; those of long ago are forgotten."""

        def verb(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM invites WHERE expires_at < ?", (info.created_at - _TOLD_S,))
            _insert(db, "invites", msgspec.structs.asdict(info) | {"sha256": sha256})

        await self._sql.write(verb)

    async def revoke_invite(self, invite_id: str, at: float) -> InviteInfo:
        """The invite, which nobody can use any more.

        Raises
        ------
        NotFound
            When there is none.
        Conflict
            When it was used: then its token is what can be revoked.
        """

        def verb(db: sqlite3.Connection) -> InviteInfo:
            found = next((info for info in _invites(db) if info.invite_id == invite_id), None)
            if found is None:
                raise NotFound(f"there is no invite {invite_id}")
            if found.used_at is not None:
                raise Conflict(f"invite {invite_id} was used; revoke its token, {found.token_id}")
            db.execute(
                "UPDATE invites SET revoked_at = coalesce(revoked_at, ?) WHERE invite_id = ?", (at, invite_id)
            )
            return msgspec.structs.replace(found, revoked_at=found.revoked_at or at)

        return await self._sql.write(verb)

    async def invite(self, sha256: str, now: float) -> InviteInfo:
        """The invite with this hash, which can be used.

        Raises
        ------
        Forbidden
            With the reason why it cannot.
        """
        return await self._sql.read(lambda db: _usable(db, sha256, now))

    async def redeem(self, invite_sha256: str, sha256: str, info: TokenInfo) -> None:
        """Use up an invite for a new token; both or neither.

        Raises
        ------
        Forbidden
            With the reason why it cannot be used.
        """

        def verb(db: sqlite3.Connection) -> None:
            found = _usable(db, invite_sha256, info.created_at)
            add_token(db, sha256, info)
            db.execute(
                "UPDATE invites SET used_at = ?, token_id = ? WHERE invite_id = ?",
                (info.created_at, info.token_id, found.invite_id),
            )

        await self._sql.write(verb)


def tokens(db: sqlite3.Connection) -> list[tuple[str, TokenInfo]]:
    """All tokens as (sha256, info), oldest first."""
    rows = [dict(row) for row in db.execute("SELECT * FROM tokens ORDER BY created_at, token_id")]
    return [(row.pop("sha256"), msgspec.convert(row, TokenInfo)) for row in rows]


def add_token(db: sqlite3.Connection, sha256: str, info: TokenInfo) -> None:
    """Keep a token by its hash."""
    _insert(db, "tokens", msgspec.structs.asdict(info) | {"sha256": sha256})


def revoke_token(db: sqlite3.Connection, token_id: str, at: float) -> None:
    """Make a token invalid from ``at`` on."""
    db.execute("UPDATE tokens SET revoked_at = coalesce(revoked_at, ?) WHERE token_id = ?", (at, token_id))


def expire_token(db: sqlite3.Connection, token_id: str, at: float) -> None:
    """Let a token end at ``at``."""
    db.execute("UPDATE tokens SET expires_at = ? WHERE token_id = ?", (at, token_id))


def revoke_invites(db: sqlite3.Connection, at: float) -> int:
    """Make all invites invalid that nobody has used; how many could have been."""
    return db.execute(
        "UPDATE invites SET revoked_at = ? WHERE used_at IS NULL AND revoked_at IS NULL AND expires_at > ?",
        (at, at),
    ).rowcount


def _invites(db: sqlite3.Connection) -> list[InviteInfo]:
    rows = [dict(row) for row in db.execute("SELECT * FROM invites ORDER BY created_at, invite_id")]
    return [msgspec.convert(row, InviteInfo) for row in rows]


def _usable(db: sqlite3.Connection, sha256: str, now: float) -> InviteInfo:
    row = db.execute("SELECT * FROM invites WHERE sha256 = ?", (sha256,)).fetchone()
    if row is None:
        raise Forbidden(
            "this agent knows no such invite: it is of another one, or older than a month", field="code"
        )
    info = msgspec.convert(dict(row), InviteInfo)
    if info.used_at is not None:
        raise Forbidden(f"this invite was used already, {_when(info.used_at, now)}", field="code")
    if info.revoked_at is not None:
        raise Forbidden(f"this invite was revoked {_when(info.revoked_at, now)}", field="code")
    if info.expires_at <= now:
        raise Forbidden(f"this invite has expired, {_when(info.expires_at, now)}", field="code")
    return info


def _when(at: float, now: float) -> str:
    return f"at {format_clock(at, now)}"


def _insert(db: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> None:
    names = ", ".join(row)
    marks = ", ".join(f":{name}" for name in row)
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", row)  # noqa: S608 - our own names
