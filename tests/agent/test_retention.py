"""Old jobs are deleted as a whole, and their ids answer with 410 for ever after."""

import json
import os
import sqlite3
import threading
import time

import httpx
import pytest

from cluster_agent.errors import Gone, NotFound
from cluster_agent.protocol import State, Submit
from running import agent_command, run_cell, until

LINES = "for i in range(200000): print(i, '.' * 80)"


def age(agent, days, *job_ids):
    """Make jobs as old as that, while no agent serves."""
    with sqlite3.connect(agent.home / "agent.db") as db:
        for job_id in job_ids:
            db.execute("UPDATE jobs SET ended_at = ? WHERE job_id = ?", (time.time() - days * 86400, job_id))
    db.close()


def folders(agent):
    return sorted(int(path.name) for path in (agent.home / "jobs").iterdir())


def gone(call):
    with pytest.raises(Gone, match="has been deleted: jobs are kept for 30 d after their end") as caught:
        call()
    return caught.value.field == "job_id"


def test_a_job_past_its_time_is_deleted_at_start_and_gone_for_ever(agent):
    client = agent.client()
    old, _ = run_cell(client, "open('left', 'w').write('x')\nprint(1)", env={"A": "1"})
    young, _ = run_cell(client, "print(2)")
    again = client.submit(Submit(source="print(3)"), "the key")
    list(client.follow(again.job_id))
    agent.stop()
    age(agent, 31, old.job_id, again.job_id)
    agent.start()
    client = agent.client()
    until(lambda: [job.job_id for job in client.jobs().jobs] == [young.job_id])
    assert folders(agent) == [young.job_id]
    for number in (old.job_id, again.job_id):
        assert gone(lambda number=number: client.job(number))
        assert gone(lambda number=number: list(client.events(number)))
        assert gone(lambda number=number: list(client.follow(number)))
        assert gone(lambda number=number: client.job_files(number))
        assert gone(lambda number=number: client.results(number))
        assert gone(lambda number=number: b"".join(client.output(number, "stdout")))
        assert gone(lambda number=number: client.cancel(number))
        page = httpx.get(
            f"{agent.url}/history/{number}",
            headers={"Accept": "application/json", "Authorization": f"Bearer {agent.token}"},
        )
        assert (page.status_code, page.json()["error"]["code"]) == (410, "gone")
    with pytest.raises(NotFound):
        client.job(again.job_id + 1)
    # The key went with the record: the same submit is a new job, and its id is a new one.
    assert client.submit(Submit(source="print(3)"), "the key").job_id == again.job_id + 1
    agent.restart()
    assert gone(lambda: agent.client().job(old.job_id))


def test_the_oldest_go_while_all_take_too_much_room(start_agent):
    agent = start_agent("--keep-size", "30M")
    client = agent.client()
    # About 17 MiB each.
    jobs = [run_cell(client, LINES)[0].job_id for _ in range(3)]
    report = json.loads("\n".join(agent_command(agent.home, "gc", "--dry-run", "--json")))
    assert (report["dry_run"], report["job_ids"], report["kept"]) == (True, jobs[:2], 1)
    assert folders(agent) == jobs
    lines = agent_command(agent.home, "gc")
    assert lines[0].startswith("2 ended jobs deleted, 3")
    assert lines[1] == "  1-2"
    assert lines[2].startswith("1 ended job stays, 1")
    assert folders(agent) == jobs[2:]
    assert client.info().kept_bytes > 15_000_000
    with pytest.raises(Gone):
        client.job(jobs[0])


def test_what_a_job_takes_is_told_soon_after_its_end(agent):
    client = agent.client()
    run_cell(client, LINES)
    until(lambda: client.info().kept_bytes > 15_000_000)


def test_jobs_that_run_or_are_read_stay(start_agent):
    agent = start_agent("--keep", "1ms")
    client = agent.client()
    running = client.submit(Submit(source="import time\ntime.sleep(600)"), "a")
    until(lambda: client.job(running.job_id).state is State.RUNNING)
    read, _ = run_cell(client, LINES)
    followed = threading.Event()
    go_on = threading.Event()
    seen = []

    def follow():
        for event in agent.client().follow(read.job_id):
            seen.append(event)
            followed.set()
            go_on.wait(60)

    reader = threading.Thread(target=follow)
    reader.start()
    followed.wait(60)
    report = client.collect()
    assert (report.deleted, report.kept) == (0, 1)
    go_on.set()
    reader.join(60)
    assert seen[-1].type == "ended"
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    until(lambda: client.collect().deleted == 1)
    assert folders(agent) == [running.job_id]
    assert client.job(running.job_id).state is State.RUNNING


def test_a_deletion_that_was_cut_short_is_finished(agent):
    client = agent.client()
    jobs = [run_cell(client, "print(1)")[0].job_id for _ in range(3)]
    agent.stop()
    # What a crash leaves: renamed only; renamed and forgotten.
    trash = agent.home / "trash"
    trash.mkdir()
    for job_id in jobs[:2]:
        (agent.home / "jobs" / str(job_id)).rename(trash / str(job_id))
    with sqlite3.connect(agent.home / "agent.db") as db:
        db.execute("DELETE FROM jobs WHERE job_id = ?", (jobs[1],))
    db.close()
    agent.start()
    client = agent.client()
    until(lambda: not list(trash.iterdir()))
    for job_id in jobs[:2]:
        assert gone(lambda job_id=job_id: client.job(job_id))
    assert client.job(jobs[2]).state is State.SUCCEEDED


def test_a_folder_that_resists_is_deleted_all_the_same(agent):
    source = "import os\nos.mkdir('a')\nos.mkdir('a/b')\nopen('a/b/c', 'w')\nos.chmod('a/b', 0)\nos.chmod('a', 0o500)\nos.symlink('/etc', 'link')"
    job, _ = run_cell(agent.client(), source)
    young, _ = run_cell(agent.client(), "1")
    agent.stop()
    age(agent, 31, job.job_id)
    agent.start()
    until(lambda: folders(agent) == [young.job_id] and not list((agent.home / "trash").iterdir()))
    assert os.path.isdir("/etc")


def test_folders_that_no_record_knows_stay_as_long_as_jobs_do(agent):
    client = agent.client()
    job, _ = run_cell(client, "print(1)")
    agent.stop()
    for path in agent.home.glob("agent.db*"):
        path.unlink()
    (agent.home / "token").unlink()
    agent.start()
    assert agent.client().collect().deleted == 0
    assert folders(agent) == [job.job_id]
    long_ago = time.time() - 31 * 86400
    os.utime(agent.home / "jobs" / str(job.job_id), (long_ago, long_ago))
    agent.client().collect()
    assert folders(agent) == []
    assert gone(lambda: agent.client().job(job.job_id))
