"""Verbs on the database about jobs; those about tokens are in :mod:`cluster_agent.jobs.access`."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from cluster_agent.errors import AgentError
from cluster_agent.jobs.records import JobRecord
from cluster_agent.jobs.sql import NoDatabase, SqlThread, connect, is_full, why_not
from cluster_agent.protocol import ACTIVE, Event, Inputs, State
from cluster_agent.storage import Storage

SCHEMA_VERSION = 8
#: Of equal jobs in one state no more are looked at.
_MOST_ALIKE = 20
_COLUMNS = [name for name in JobRecord.__struct_fields__ if name not in {"source", "inputs"}]
_AS_JSON = ("env_names", "isolation", "gpu_ids", "fetch", "left_behind", "packages", "params", "inputs")
#: a job with its cell and what came with it: in tables of their own, so that lists do not wade through them
_WHOLE = """
    SELECT jobs.*, sources.source, coalesce(inputs.inputs, '{}') AS inputs
    FROM jobs JOIN sources USING (job_id) LEFT JOIN inputs USING (job_id)
"""


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


def open_database(path: Path, storage: Storage) -> sqlite3.Connection:
    """The database at ``path`` in this version's schema; where the disk is full, with the help of the reserve.

    Raises
    ------
    HomeInUse, NoDatabase, NewerDatabase
        When it cannot be used; one line for people.
    """
    while True:
        db = None
        try:
            db = connect(path)
            migrate(db)
            return db
        except (sqlite3.Error, NoDatabase) as error:
            if db is not None:
                db.close()
            if is_full(error) and storage.give_up_part():
                continue
            if isinstance(error, NoDatabase):
                raise
            raise NoDatabase(why_not(path, error)) from None


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
    """Jobs on disk. Each verb is atomic and, where it writes, durable when it returns."""

    def __init__(self, sql: SqlThread) -> None:
        self._sql = sql

    async def add(self, record: JobRecord) -> None:
        """Keep a new job."""

        def verb(db: sqlite3.Connection) -> None:
            _insert(db, "jobs", _row(record))
            _insert(db, "sources", {"job_id": record.job_id, "source": record.source})
            if record.inputs != Inputs():
                _insert(db, "inputs", _plain({"job_id": record.job_id, "inputs": record.inputs}))

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
            rows = db.execute(f"{_WHOLE} WHERE user = ? AND key = ?", (user, key))
            return next((_record(row) for row in rows), None)

        return await self._sql.read(verb)

    async def same_work(
        self, work_sha256: str, user: str | None, states: Collection[State]
    ) -> list[JobRecord]:
        """Jobs in ``states`` that do this, newest first, without source; those of ``user``, or None: of anybody."""
        query = """
            SELECT * FROM jobs WHERE work_sha256 = ? AND state = ? AND (? IS NULL OR user = ?)
            ORDER BY job_id DESC LIMIT ?
        """

        def verb(db: sqlite3.Connection) -> list[JobRecord]:
            found = [
                _record(row)
                for state in states
                for row in db.execute(query, (work_sha256, state.value, user, user, _MOST_ALIKE))
            ]
            return sorted(found, key=lambda record: record.job_id, reverse=True)

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

    async def copy_to(self, path: Path) -> None:
        """Write the database as it is now to the new file ``path`` (0600)."""
        # alone: within a transaction of its own connection, a copy would wait for ever for the end of that
        await self._sql.alone(lambda db: copy_database(db, path))

    async def counts(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        query = "SELECT state, count(*) FROM jobs GROUP BY state"
        return await self._sql.read(lambda db: {row[0]: row[1] for row in db.execute(query)})

    async def highest_id(self) -> int:
        """The highest id in the database, 0 when it is empty."""
        return await self._sql.read(highest_id)


def copy_database(db: sqlite3.Connection, path: Path) -> None:
    """Write the database as it is now to the new file ``path`` (0600)."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    target = sqlite3.connect(path)
    try:
        db.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")
    finally:
        target.close()


def active_jobs(db: sqlite3.Connection) -> list[JobRecord]:
    """All jobs that have not ended, without their source."""
    query = f"SELECT * FROM jobs WHERE state IN ({_marks(ACTIVE)}) ORDER BY job_id"  # noqa: S608 - marks only
    return [_record(row) for row in db.execute(query, [state.value for state in ACTIVE])]


def lose_job(db: sqlite3.Connection, job_id: int, ended: Event) -> None:
    """Put the end of a job that nobody will carry on into the database."""
    db.execute(
        "UPDATE jobs SET state = ?, ended_at = ?, reason = ?, complete = ? WHERE job_id = ?",
        ((ended.state or State.LOST).value, ended.at, ended.reason, ended.complete, job_id),
    )


def highest_id(db: sqlite3.Connection) -> int:
    """The highest job id, 0 when there is none."""
    return int(db.execute("SELECT coalesce(max(job_id), 0) FROM jobs").fetchone()[0])


def _insert(db: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    names = ", ".join(row)
    marks = ", ".join(f":{name}" for name in row)
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", row)  # noqa: S608 - our own names


def _get(db: sqlite3.Connection, job_id: int) -> JobRecord | None:
    rows = db.execute(f"{_WHOLE} WHERE job_id = ?", (job_id,))
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
    """Column values that SQLite takes: lists and their like as JSON, states as their wire value."""
    return {
        name: msgspec.json.encode(value).decode()
        if name in _AS_JSON
        else value.value
        if isinstance(value, State)
        else value
        for name, value in values.items()
    }


def _row(record: JobRecord) -> dict[str, Any]:
    return _plain({name: getattr(record, name) for name in _COLUMNS})


def _record(row: sqlite3.Row) -> JobRecord:
    values = dict(row)
    for name in _AS_JSON:
        if name in values:
            values[name] = msgspec.json.decode(values[name])
    if values["complete"] is not None:
        values["complete"] = bool(values["complete"])
    return msgspec.convert(values, JobRecord)
