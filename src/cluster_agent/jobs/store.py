"""Verbs on the database: jobs and tokens. The only place with SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from importlib import resources
from typing import Any

import msgspec

from cluster_agent.errors import AgentError
from cluster_agent.jobs.records import JobRecord
from cluster_agent.jobs.sql import SqlThread
from cluster_agent.protocol import ACTIVE, State, TokenInfo

SCHEMA_VERSION = 3
_COLUMNS = [name for name in JobRecord.__struct_fields__ if name != "source"]
_LISTS = ("env_names", "gpu_ids", "fetch", "left_behind")
#: a job with its cell, which lies in a table of its own, so that lists do not wade through cells
_WITH_SOURCE = "SELECT jobs.*, sources.source FROM jobs JOIN sources USING (job_id)"


class NewerDatabase(AgentError):
    """The database was written by a newer agent."""


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which jobs to list; None means any."""

    states: Collection[State] | None = None
    user: str | None = None
    project: str | None = None
    name: str | None = None
    notebook: str | None = None
    #: submitted at or after, Unix seconds
    since: float | None = None
    #: only ids below this one
    below: int | None = None
    limit: int = 100


def migrate(db: sqlite3.Connection) -> None:
    """Bring the database to this version's schema, or refuse one of a newer agent."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise NewerDatabase(
            f"the database has version {version}, this agent knows {SCHEMA_VERSION}:"
            " it was written by a newer agent, which must be installed again"
        )
    steps = resources.files("cluster_agent.jobs").joinpath("schema")
    for number in range(version + 1, SCHEMA_VERSION + 1):
        step = steps.joinpath(f"{number}.sql").read_text(encoding="utf-8")
        db.executescript(f"BEGIN; {step} PRAGMA user_version = {number}; COMMIT;")


class Store:
    """Jobs and tokens on disk. Each verb is atomic and, where it writes, durable when it returns."""

    def __init__(self, sql: SqlThread) -> None:
        self._sql = sql

    async def add(self, record: JobRecord) -> None:
        """Keep a new job."""

        def verb(db: sqlite3.Connection) -> None:
            _insert(db, "jobs", _row(record))
            _insert(db, "sources", {"job_id": record.job_id, "source": record.source})

        await self._sql.write(verb)

    async def change(self, job_id: int, **values: Any) -> JobRecord:
        """The job with ``values`` changed."""
        names = ", ".join(f"{name} = :{name}" for name in values)
        row = _plain(values) | {"job_id": job_id}

        def verb(db: sqlite3.Connection) -> JobRecord:
            db.execute(f"UPDATE jobs SET {names} WHERE job_id = :job_id", row)  # noqa: S608 - our own names
            found = _get(db, job_id)
            assert found is not None
            return found

        return await self._sql.write(verb)

    async def get(self, job_id: int) -> JobRecord | None:
        """One job with its source, or None."""
        return await self._sql.read(lambda db: _get(db, job_id))

    async def by_key(self, user: str, key: str) -> JobRecord | None:
        """The job that ``user`` submitted under ``key``, or None."""

        def verb(db: sqlite3.Connection) -> JobRecord | None:
            rows = db.execute(f"{_WITH_SOURCE} WHERE user = ? AND key = ?", (user, key))
            return next((_record(row) for row in rows), None)

        return await self._sql.read(verb)

    async def listed(self, which: Filter) -> list[JobRecord]:
        """Jobs without their source, newest first, at most ``which.limit``."""
        where, values = _where(which)
        query = f"SELECT * FROM jobs {where} ORDER BY job_id DESC LIMIT ?"  # noqa: S608

        def verb(db: sqlite3.Connection) -> list[JobRecord]:
            return [_record(row) for row in db.execute(query, [*values, which.limit])]

        return await self._sql.read(verb)

    async def active(self) -> list[JobRecord]:
        """All jobs that have not ended, oldest first, without their source."""
        return await self._some(f"state IN ({_marks(ACTIVE)})", [state.value for state in ACTIVE])

    async def left_behind(self) -> list[JobRecord]:
        """Jobs that have ended and left processes behind, without their source."""
        return await self._some("left_behind <> '[]'", [])

    async def _some(self, where: str, values: list[Any]) -> list[JobRecord]:
        query = f"SELECT * FROM jobs WHERE {where} ORDER BY job_id"  # noqa: S608 - our own conditions
        return await self._sql.read(lambda db: [_record(row) for row in db.execute(query, values)])

    async def highest_id(self) -> int:
        """The highest id in the database, 0 when it is empty."""
        return await self._sql.read(highest_id)

    async def tokens(self) -> list[tuple[str, TokenInfo]]:
        """All tokens as (sha256 of the token, what is told of it), oldest first."""
        return await self._sql.read(tokens)

    async def add_token(self, sha256: str, info: TokenInfo) -> None:
        """Keep a new token by its hash."""
        await self._sql.write(lambda db: add_token(db, sha256, info))

    async def revoke_token(self, token_id: str, at: float) -> None:
        """Make the token invalid; no error when it is already."""
        await self._sql.write(lambda db: revoke_token(db, token_id, at))


def highest_id(db: sqlite3.Connection) -> int:
    """The highest job id, 0 when there is none."""
    return int(db.execute("SELECT coalesce(max(job_id), 0) FROM jobs").fetchone()[0])


def tokens(db: sqlite3.Connection) -> list[tuple[str, TokenInfo]]:
    """All tokens as (sha256, info), oldest first."""
    rows = [dict(row) for row in db.execute("SELECT * FROM tokens ORDER BY created_at, token_id")]
    return [(row.pop("sha256"), msgspec.convert(row, TokenInfo)) for row in rows]


def add_token(db: sqlite3.Connection, sha256: str, info: TokenInfo) -> None:
    """Keep a token by its hash."""
    row = msgspec.structs.asdict(info) | {"sha256": sha256}
    row.pop("last_used_at")  # known while the agent runs, not worth a sync on each request
    _insert(db, "tokens", row)


def revoke_token(db: sqlite3.Connection, token_id: str, at: float) -> None:
    """Make a token invalid from ``at`` on."""
    db.execute("UPDATE tokens SET revoked_at = coalesce(revoked_at, ?) WHERE token_id = ?", (at, token_id))


def _insert(db: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    names = ", ".join(row)
    marks = ", ".join(f":{name}" for name in row)
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", row)  # noqa: S608 - our own names


def _get(db: sqlite3.Connection, job_id: int) -> JobRecord | None:
    rows = db.execute(f"{_WITH_SOURCE} WHERE job_id = ?", (job_id,))
    return next((_record(row) for row in rows), None)


def _where(which: Filter) -> tuple[str, list[Any]]:
    clauses: list[str] = []
    values: list[Any] = []
    few = which.states is not None and ACTIVE.issuperset(which.states)
    for column in ("user", "project", "name", "notebook"):
        if (value := getattr(which, column)) is not None:
            clauses.append(f"{'+' if few else ''}{column} = ?")
            values.append(value)
    if which.states is not None:
        # Few jobs are active: those are found by their state. Most have ended: then the newest are looked
        # through until there are enough, and the plus keeps SQLite from sorting all of a state instead.
        by_state = few or len(which.states) == 1
        clauses.append(f"{'' if by_state else '+'}state IN ({_marks(which.states)})")
        values += [state.value for state in which.states]
    if which.since is not None:
        clauses.append("submitted_at >= ?")
        values.append(which.since)
    if which.below is not None:
        clauses.append("job_id < ?")
        values.append(which.below)
    return ("WHERE " + " AND ".join(clauses) if clauses else ""), values


def _marks(values: Collection[Any]) -> str:
    return ", ".join("?" for _ in values)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Column values that SQLite takes: lists as JSON, states as their wire value."""
    return {
        name: msgspec.json.encode(value).decode()
        if name in _LISTS
        else value.value
        if isinstance(value, State)
        else value
        for name, value in values.items()
    }


def _row(record: JobRecord) -> dict[str, Any]:
    return _plain({name: getattr(record, name) for name in _COLUMNS})


def _record(row: sqlite3.Row) -> JobRecord:
    values = dict(row)
    for name in _LISTS:
        values[name] = msgspec.json.decode(values[name])
    if values["complete"] is not None:
        values["complete"] = bool(values["complete"])
    return msgspec.convert(values, JobRecord)
