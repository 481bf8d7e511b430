"""Questions about jobs that have ended: what each user had of the box, and what is to be deleted. With SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cluster_agent.jobs.need import Need
from cluster_agent.jobs.sql import SqlThread
from cluster_agent.protocol import State


class Use(NamedTuple):
    """What one job held, from when to when."""

    user: str
    need: Need
    started_at: float
    ended_at: float


class Turnout(NamedTuple):
    """What one job came to, as far as a report of usage counts it."""

    user: str
    state: State
    gpus: int
    cpus: int
    submitted_at: float
    started_at: float | None
    ended_at: float | None


class Ended(NamedTuple):
    """A job that has ended, as far as it matters for how long it is kept."""

    job_id: int
    ended_at: float
    disk_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What the jobs take that have ended and were measured."""

    jobs: int = 0
    disk_bytes: int = 0


class Past:
    """Verbs on jobs that have ended; each is atomic and, where it writes, durable when it returns."""

    def __init__(self, sql: SqlThread) -> None:
        self._sql = sql

    async def uses(self, since: float) -> list[Use]:
        """What jobs held that have ended at ``since`` or later."""
        query = """
            SELECT user, gpus, cpus, memory_bytes, started_at, ended_at FROM jobs
            WHERE ended_at >= ? AND started_at IS NOT NULL
        """

        def verb(db: sqlite3.Connection) -> list[Use]:
            return [
                Use(row[0], Need(gpus=row[1], cpus=row[2], memory_bytes=row[3]), row[4], row[5])
                for row in db.execute(query, (since,))
            ]

        return await self._sql.read(verb)

    async def turnouts(self, since: float) -> list[Turnout]:
        """Jobs that ended at ``since`` or later, or have not ended."""
        query = """
            SELECT user, state, gpus, cpus, submitted_at, started_at, ended_at FROM jobs
            WHERE ended_at >= ? OR ended_at IS NULL
        """

        def verb(db: sqlite3.Connection) -> list[Turnout]:
            return [Turnout(row[0], State(row[1]), *row[2:]) for row in db.execute(query, (since,))]

        return await self._sql.read(verb)

    async def complete_since(self) -> float | None:
        """From when on all jobs are here that have ended; None when none seems to be missing."""

        def verb(db: sqlite3.Connection) -> float | None:
            count, highest, first_end = db.execute(
                "SELECT count(*), max(job_id), min(ended_at) FROM jobs"
            ).fetchone()
            return first_end if count and count < highest else None

        return await self._sql.read(verb)

    async def newest_end(self) -> float | None:
        """When the last job ended; None when none has."""
        return await self._sql.read(lambda db: db.execute("SELECT max(ended_at) FROM jobs").fetchone()[0])

    async def ended(self) -> set[int]:
        """Ids of all jobs that have ended."""
        query = "SELECT job_id FROM jobs WHERE ended_at IS NOT NULL"
        return await self._sql.read(lambda db: {row[0] for row in db.execute(query)})

    async def kept(self) -> dict[str, Kept]:
        """What ended jobs take, by user."""
        query = """
            SELECT user, count(*), coalesce(sum(disk_bytes), 0) FROM jobs
            WHERE ended_at IS NOT NULL GROUP BY user
        """

        def verb(db: sqlite3.Connection) -> dict[str, Kept]:
            return {row[0]: Kept(jobs=row[1], disk_bytes=row[2]) for row in db.execute(query)}

        return await self._sql.read(verb)

    async def unmeasured(self, limit: int) -> list[int]:
        """Ids of jobs that have ended and whose folder was not measured yet."""
        query = """
            SELECT job_id FROM jobs WHERE disk_bytes IS NULL AND ended_at IS NOT NULL ORDER BY job_id LIMIT ?
        """
        return await self._sql.read(lambda db: [row[0] for row in db.execute(query, (limit,))])

    async def set_sizes(self, sizes: Mapping[int, int]) -> None:
        """Note what folders take on disk."""
        rows = [(size, job_id) for job_id, size in sizes.items()]
        await self._sql.write(
            lambda db: db.executemany("UPDATE jobs SET disk_bytes = ? WHERE job_id = ?", rows)
        )

    async def oldest(self, after: Ended | None, limit: int) -> list[Ended]:
        """Jobs in the order in which they ended, from the one after ``after`` on."""
        query = """
            SELECT job_id, ended_at, coalesce(disk_bytes, 0) FROM jobs
            WHERE ended_at IS NOT NULL AND (ended_at, job_id) > (?, ?) ORDER BY ended_at, job_id LIMIT ?
        """
        start = (after.ended_at, after.job_id) if after else (float("-inf"), 0)
        return await self._sql.read(lambda db: [Ended(*row) for row in db.execute(query, (*start, limit))])

    async def known(self, job_ids: Collection[int]) -> set[int]:
        """Those of ``job_ids`` that there are records of."""

        def verb(db: sqlite3.Connection) -> set[int]:
            return {
                job_id
                for job_id in job_ids
                if db.execute("SELECT 1 FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
            }

        return await self._sql.read(verb)

    async def forget(self, job_ids: Iterable[int]) -> None:
        """Delete the records of jobs."""
        rows = [(job_id,) for job_id in job_ids]

        def verb(db: sqlite3.Connection) -> None:
            db.executemany("DELETE FROM jobs WHERE job_id = ?", rows)
            db.executemany("DELETE FROM sources WHERE job_id = ?", rows)
            db.executemany("DELETE FROM inputs WHERE job_id = ?", rows)

        await self._sql.write(verb)
