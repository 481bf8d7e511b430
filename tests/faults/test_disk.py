"""The disk is full, breaks, becomes read-only: states are kept, nothing is accepted that is not, all is told."""

import os
import shutil
import sqlite3
import subprocess

import psutil
import pytest
from disks import fill, refused_start, use_up_files

from cluster_agent.errors import StorageFault
from cluster_agent.protocol import State, Submit
from running import agent_command, text_of, until, wait_ended

FILL = """
import os, time
print("filling", flush=True)
with open("big", "wb", buffering=0) as file:
    while True:
        try:
            file.write(bytes(65536))
        except OSError:
            break
{then}
"""


def refused(client, key=None):
    """Whether a submit is refused because of the disk."""
    try:
        client.submit(Submit(source="1"), key or os.urandom(8).hex())
    except StorageFault:
        return True
    return False


def healthy(client):
    try:
        return client.health().status == "ok"
    except StorageFault:
        return False


def test_a_job_that_fills_the_disk_and_fails_is_told_to_have_failed(tmpfs, make_agent):
    agent = make_agent(tmpfs / "home")
    agent.start()
    client = agent.client()
    then = "print('x' * 200_000)\nraise SystemExit(3)"
    job = client.submit(Submit(source=FILL.format(then=then)), "k")
    ended = wait_ended(client, job.job_id)
    assert (ended.state, ended.exit_code, ended.complete) == (State.FAILED, 3, True)
    assert text_of(list(client.events(job.job_id))) == "filling\n" + "x" * 200_000 + "\n"


def test_a_full_disk_is_told_everywhere_and_passes(tmpfs, make_agent):
    agent = make_agent(tmpfs / "home")
    agent.start()
    client = agent.client()
    first = client.submit(Submit(source="print(1)"), "first")
    wait_ended(client, first.job_id)
    filler = fill(tmpfs)
    assert refused(client, "another")
    assert not healthy(client)
    assert "refuses to write" in client.info().remark
    assert any(line.startswith("REMARK") for line in agent_command(agent.home, "status"))
    assert client.submit(Submit(source="print(1)"), "first").job_id == first.job_id  # accepted is known
    assert text_of(list(client.events(first.job_id))) == "1\n"
    filler.unlink()
    until(lambda: healthy(client))
    assert client.info().remark == ""
    job = client.submit(Submit(source="1"), "another")
    assert wait_ended(client, job.job_id).state is State.SUCCEEDED
    assert len(client.jobs().jobs) == 2


def test_a_disk_that_takes_no_more_files_is_told_and_passes(few_files, make_agent):
    agent = make_agent(few_files / "home")
    agent.start()
    client = agent.client()
    job = client.submit(Submit(source="import time\nprint(1, flush=True)\ntime.sleep(600)"), "k")
    until(lambda: text_of(list(client.events(job.job_id))))
    files = use_up_files(few_files)
    assert refused(client, "another")
    assert not healthy(client)
    assert "all inodes are in use" in client.info().remark
    agent.kill()
    agent.start()
    client = agent.client()
    client.cancel(job.job_id)
    assert wait_ended(client, job.job_id).state is State.CANCELLED
    assert refused(client, "another")
    shutil.rmtree(files)
    until(lambda: healthy(client))
    again = client.submit(Submit(source="1"), "another")
    assert wait_ended(client, again.job_id).state is State.SUCCEEDED
    assert len(client.jobs().jobs) == 2


def test_a_job_that_keeps_the_disk_full_is_cancelled(tmpfs, make_agent):
    agent = make_agent(tmpfs / "home")
    agent.start()
    client = agent.client()
    then = "while True: print('x' * 1000, flush=True)"
    job = client.submit(Submit(source=FILL.format(then=then), grace_s=1), "k")
    until(lambda: not healthy(client))
    client.cancel(job.job_id)
    ended = wait_ended(client, job.job_id)
    assert (ended.state, ended.complete) == (State.CANCELLED, True)
    assert "filling" in text_of(list(client.events(job.job_id)))


def test_an_agent_starts_on_a_full_disk_and_tells_what_has_happened(tmpfs, make_agent):
    agent = make_agent(tmpfs / "home")
    agent.start()
    client = agent.client()
    job = client.submit(Submit(source="import time\nprint(1, flush=True)\ntime.sleep(600)"), "k")
    until(lambda: text_of(list(client.events(job.job_id))))
    filler = fill(tmpfs)
    agent.kill()
    agent.start()
    client = agent.client()
    assert refused(client)
    client.cancel(job.job_id)
    assert wait_ended(client, job.job_id).state is State.CANCELLED
    filler.unlink()
    until(lambda: healthy(client))
    assert not refused(client)


def test_a_sync_that_fails_accepts_nothing_until_one_has_succeeded(tmp_path, make_agent, failing_sync):
    agent = make_agent(tmp_path / "home")
    agent.variables, mark = failing_sync
    agent.start()
    client = agent.client()
    mark.touch()
    assert refused(client, "k")
    assert not healthy(client)
    assert client.jobs().jobs == []
    mark.unlink()
    until(lambda: healthy(client))
    job = client.submit(Submit(source="print(1)"), "k")
    assert wait_ended(client, job.job_id).state is State.SUCCEEDED
    agent.kill()
    agent.start()
    assert [known.job_id for known in agent.client().jobs().jobs] == [job.job_id]


def test_a_disk_that_the_kernel_gives_up_is_told_and_nothing_is_lost(ext4, make_agent, tmp_path):
    agent = make_agent(ext4.folder / "home")
    agent.stderr = tmp_path / "stderr"
    agent.start()
    client = agent.client()
    ended = client.submit(Submit(source="print(1)"), "ended")
    wait_ended(client, ended.job_id)
    running = client.submit(Submit(source="import time\nprint(2, flush=True)\ntime.sleep(600)"), "running")
    until(lambda: text_of(list(client.events(running.job_id))))
    ext4.fail()
    assert refused(client, "third")
    assert not healthy(client)
    with pytest.raises(StorageFault):
        client.cancel(running.job_id)
    assert text_of(list(client.events(ended.job_id))) == "1\n"
    started = next(event for event in client.events(running.job_id) if event.type == "started")
    agent.kill()
    assert "read-only" in refused_start(agent)
    psutil.Process(started.pid).kill()
    until(lambda: not psutil.pid_exists(started.pid) or psutil.Process(started.pid).status() == "zombie")
    until(lambda: subprocess.run(["fuser", "-s", "-m", ext4.folder], check=False).returncode)
    ext4.repair()
    agent.start()
    client = agent.client()
    assert text_of(list(client.events(ended.job_id))) == "1\n"
    assert wait_ended(client, running.job_id).state is State.LOST
    assert client.submit(Submit(source="1"), "third").job_id > running.job_id


@pytest.mark.parametrize(("offset", "size"), [(0, 100), (8192, 40_000)], ids=["head", "pages"])
def test_a_damaged_database_is_one_line_and_the_logs_stay(agent, offset, size):
    client = agent.client()
    job = client.submit(Submit(source="print('kept')"), "k")
    wait_ended(client, job.job_id)
    agent.stop()
    database = agent.home / "agent.db"
    with sqlite3.connect(database) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    good = database.read_bytes()
    database.write_bytes(good[:offset] + b"\xa5" * size + good[offset + size :])
    damaged = database.read_bytes()
    assert "damaged" in refused_start(agent)
    assert database.read_bytes() == damaged
    assert b"kept" in (agent.home / "jobs" / str(job.job_id) / "events.ndjson").read_bytes()
    database.write_bytes(good)
    agent.start()
    assert text_of(list(agent.client().events(job.job_id))) == "kept\n"
