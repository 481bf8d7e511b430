"""The database: steps from older versions, lists, and what is asked about the past."""

import asyncio
import contextlib
import sqlite3

import pytest

from cluster_agent.jobs.access import tokens as tokens_of
from cluster_agent.jobs.past import Ended, Past
from cluster_agent.jobs.records import JobRecord
from cluster_agent.jobs.sql import SqlThread, connect
from cluster_agent.jobs.store import SCHEMA_VERSION, Filter, NewerDatabase, Store, migrate
from cluster_agent.protocol import ACTIVE, DONE, State

#: As the first release made it.
VERSION_1 = """
CREATE TABLE jobs (
    job_id            INTEGER PRIMARY KEY,
    name              TEXT NOT NULL,
    user              TEXT NOT NULL,
    project           TEXT NOT NULL,
    state             TEXT NOT NULL,
    submitted_at      REAL NOT NULL,
    started_at        REAL,
    ended_at          REAL,
    key               TEXT NOT NULL,
    body_sha256       TEXT NOT NULL,
    gpus              INTEGER NOT NULL,
    cpus              INTEGER NOT NULL,
    memory_bytes      INTEGER NOT NULL,
    timeout_s         REAL NOT NULL,
    grace_s           REAL NOT NULL,
    priority          TEXT NOT NULL,
    python            TEXT NOT NULL,
    cluster           TEXT NOT NULL,
    notebook          TEXT NOT NULL,
    retry_of          INTEGER,
    env_names         TEXT NOT NULL,
    log_tag           TEXT NOT NULL,
    nonce             TEXT,
    boot_id           TEXT,
    gpu_ids           TEXT NOT NULL,
    cancel_by         TEXT,
    exit_code         INTEGER,
    signal            TEXT,
    reason            TEXT,
    complete          INTEGER,
    seconds           REAL,
    peak_memory_bytes INTEGER,
    source            TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX jobs_by_key ON jobs (user, key);
CREATE INDEX jobs_by_state ON jobs (state, job_id);
CREATE INDEX jobs_by_user ON jobs (user, job_id);
CREATE TABLE tokens (
    token_id     TEXT PRIMARY KEY,
    sha256       TEXT NOT NULL UNIQUE,
    user         TEXT NOT NULL,
    role         TEXT NOT NULL,
    label        TEXT NOT NULL,
    created_at   REAL NOT NULL,
    expires_at   REAL,
    revoked_at   REAL
) STRICT;
INSERT INTO jobs VALUES (
    7, 'train', 'ada', 'default', 'succeeded', 1.0, 2.0, 3.0, 'k', 'sha', 1, 2, 4096, 14400.0, 60.0, 'normal',
    '/usr/bin/python3', 'box', 'nb', NULL, '["KEY"]', '0badcafe', 'nonce', 'boot', '["GPU-1"]', NULL, 0, NULL,
    NULL, 1, 1.0, 99, 'print(1)'
);
INSERT INTO tokens VALUES ('t', 'hash', 'ada', 'admin', 'first start', 1.0, NULL, NULL);
PRAGMA user_version = 1;
"""


def record(job_id, **more):
    values = {
        "name": "",
        "user": "ada",
        "project": "default",
        "state": State.SUCCEEDED,
        "submitted_at": float(job_id),
        "key": f"key-{job_id}",
        "body_sha256": "sha",
        "gpus": 0,
        "cpus": 1,
        "memory_bytes": 0,
        "timeout_s": 60.0,
        "grace_s": 1.0,
        "priority": "normal",
        "python": "python3",
        "cluster": "",
        "notebook": "",
        "env_names": [],
        "log_tag": "0badcafe",
        "source": f"print({job_id})",
    }
    return JobRecord(job_id=job_id, **values | more)


def with_store(path, act):
    """Run ``act(store, past)`` on the database at ``path``."""

    async def main():
        db = connect(path)
        migrate(db)
        sql = SqlThread(db)
        try:
            return await act(Store(sql), Past(sql))
        finally:
            await sql.close()

    return asyncio.run(main())


def test_a_database_of_the_first_version_is_brought_to_this_one(tmp_path):
    path = tmp_path / "agent.db"
    with sqlite3.connect(path) as db:
        db.executescript(VERSION_1)
    db.close()

    async def act(store, past):
        await store.add(record(8, source="print(8)", left_behind=[(4711, 5.0)], role="admin"))
        return (
            await store.get(7),
            await store.get(8),
            await store.listed(Filter()),
            await store._sql.read(tokens_of),
        )

    old, new, listed, tokens = with_store(path, act)
    assert (old.source, old.env_names, old.gpu_ids, old.complete) == ("print(1)", ["KEY"], ["GPU-1"], True)
    assert (old.fetch, old.role, old.moved_at, old.left_behind, old.disk_bytes) == (
        [],
        "user",
        None,
        [],
        None,
    )
    assert (new.source, new.left_behind, new.role) == ("print(8)", [(4711, 5.0)], "admin")
    assert (old.params, old.packages, old.work_sha256) == ({}, [], "")
    assert [(job.job_id, job.source) for job in listed] == [(8, ""), (7, "")]
    assert tokens[0][1].user == "ada"
    # a second start finds nothing to do
    assert with_store(path, lambda store, past: store.get(7)).source == "print(1)"


def test_a_database_of_a_newer_agent_is_refused(tmp_path):
    db = connect(tmp_path / "agent.db")
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(NewerDatabase, match="written by a newer agent"):
        migrate(db)
    db.close()


def test_lists_by_what_people_ask_for(tmp_path):
    async def act(store, past):
        for job_id in range(1, 31):
            state = {0: State.QUEUED, 1: State.FAILED}.get(job_id % 10, State.SUCCEEDED)
            more = {"ended_at": float(job_id)} if state is not State.QUEUED else {}
            user = "ada" if job_id % 2 else "grace"
            await store.add(record(job_id, state=state, user=user, name=f"n{job_id % 3}", **more))

        async def ids(**which):
            return [job.job_id for job in await store.listed(Filter(**which))]

        assert await ids(limit=3) == [30, 29, 28]
        assert await ids(below=28, limit=2) == [27, 26]
        assert await ids(states=ACTIVE) == [30, 20, 10]
        assert await ids(states=ACTIVE, user="grace") == [30, 20, 10]
        assert await ids(states={State.FAILED}, user="ada") == [21, 11, 1]
        assert await ids(states=DONE, user="ada", limit=2) == [29, 27]
        assert await ids(name="n0", limit=2) == [30, 27]
        assert await ids(since=29.0) == [30, 29]
        assert [job.job_id for job in await store.active()] == [10, 20, 30]

    with_store(tmp_path / "agent.db", act)


def test_what_is_asked_about_jobs_that_have_ended(tmp_path):
    async def act(store, past):
        await store.add(record(1, started_at=1.0, ended_at=5.0, gpus=2))
        await store.add(record(2, started_at=1.0, ended_at=3.0))
        await store.add(record(3, state=State.QUEUED))
        assert await past.unmeasured(10) == [1, 2]
        await past.set_sizes({1: 100, 2: 50})
        assert await past.unmeasured(10) == []
        assert await past.oldest(None, 10) == [Ended(2, 3.0, 50), Ended(1, 5.0, 100)]
        assert await past.oldest(Ended(2, 3.0, 50), 10) == [Ended(1, 5.0, 100)]
        assert {user: (kept.jobs, kept.disk_bytes) for user, kept in (await past.kept()).items()} == {
            "ada": (2, 150)
        }
        assert [(use.user, use.need.gpus, use.ended_at) for use in await past.uses(4.0)] == [("ada", 2, 5.0)]
        assert len(await past.turnouts(4.0)) == 2
        assert await past.complete_since() is None
        assert await past.known([1, 2, 3, 4]) == {1, 2, 3}
        await past.forget([2])
        assert await past.known([1, 2, 3, 4]) == {1, 3}
        assert await store.get(2) is None
        assert await past.complete_since() == 5.0

    with_store(tmp_path / "agent.db", act)


def test_equal_jobs_are_found_by_what_they_do(tmp_path):
    async def act(store, past):
        for job_id, state in enumerate((State.SUCCEEDED, State.FAILED, State.RUNNING, State.SUCCEEDED), 1):
            await store.add(
                record(job_id, state=state, work_sha256="same", user="grace" if job_id > 3 else "ada")
            )
        await store.add(record(9, work_sha256="other"))

        async def ids(user, *states):
            return [job.job_id for job in await store.same_work("same", user, states)]

        assert await ids(None, State.RUNNING, State.SUCCEEDED) == [4, 3, 1]
        assert await ids("ada", State.RUNNING, State.SUCCEEDED) == [3, 1]
        assert await ids("ada", State.QUEUED) == []

    with_store(tmp_path / "agent.db", act)


def test_a_copy_is_made_amid_writes(tmp_path):
    async def act(store, past):
        jobs = [asyncio.create_task(store.add(record(number))) for number in range(1, 20)]
        copy = asyncio.create_task(store.copy_to(tmp_path / "copy.db"))
        more = [asyncio.create_task(store.add(record(number))) for number in range(20, 40)]
        await asyncio.wait_for(asyncio.gather(*jobs, copy, *more), 30)
        with pytest.raises(FileExistsError):
            await store.copy_to(tmp_path / "copy.db")
        return await store.highest_id()

    assert with_store(tmp_path / "agent.db", act) == 39
    with contextlib.closing(sqlite3.connect(tmp_path / "copy.db")) as db:
        assert db.execute("SELECT max(job_id) FROM jobs").fetchone()[0] >= 19
