"""Backup and restore: nothing that was given before is given again, and nothing runs twice."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import time

import pytest

from cluster_agent.errors import Forbidden, Gone
from cluster_agent.jobs.ids import highest_marked
from cluster_agent.protocol import State, Submit
from running import agent_command, run_cell, text_of, until

SLEEP = "import time; print('begun', flush=True); time.sleep(600)"


def restored(start_agent, tmp_path, file, name="restored", *flags):
    home = tmp_path / name
    lines = agent_command(home, "restore", file)
    return start_agent(*flags, home=home), lines


def test_a_backup_of_a_serving_agent_can_be_served_elsewhere(agent, start_agent, tmp_path):
    client = agent.client()
    job, events = run_cell(client, "print('kept'); x = 1", name="first")
    file = tmp_path / "box.tar"
    lines = agent_command(agent.home, "backup", file, "--jobs")
    assert lines[0].startswith(f"{file} (")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if "box.tar" in path.name] == ["box.tar"]
    assert not list(agent.home.glob("backup-*"))
    after, _ = run_cell(client, "2")  # the backup does not know it
    agent.stop()
    other, told = restored(start_agent, tmp_path, file)
    assert other.token == agent.token
    again = other.client()
    assert again.info().agent_id == job.agent_id
    assert again.job(job.job_id).name == "first"
    assert text_of(list(again.events(job.job_id))) == text_of(events) == "kept\n"
    new, _ = run_cell(again, "3")
    assert new.job_id > after.job_id + 900_000
    assert told[0].endswith(f"job ids go on at {new.job_id}")
    assert any("1 token is valid as then" in line for line in told)


def test_without_jobs_their_logs_are_gone_and_their_numbers_too(agent, start_agent, tmp_path):
    job, _ = run_cell(agent.client(), "1")
    agent_command(agent.home, "backup", tmp_path / "box.tar")
    agent.stop()
    other, _ = restored(start_agent, tmp_path, tmp_path / "box.tar")
    client = other.client()
    assert client.job(job.job_id).state is State.SUCCEEDED
    with pytest.raises(Gone):
        list(client.events(job.job_id))
    assert run_cell(client, "1")[0].job_id > 1_000_000


def test_numbers_never_come_twice_though_nothing_is_left_of_the_jobs(agent, start_agent, tmp_path):
    """All jobs were deleted, and the numbers were far above a million already."""
    agent.stop()
    marked = json.loads((agent.home / "next-id").read_text())
    (agent.home / "next-id").write_text(json.dumps(marked | {"ahead": 5_000_000, "exact": 4_999_500}))
    agent_command(agent.home, "backup", tmp_path / "box.tar")
    agent.start()
    given = {run_cell(agent.client(), "1")[0].job_id for _ in range(3)}
    agent.stop()
    assert min(given) == 4_999_500
    assert highest_marked(agent.home / "next-id") > 4_999_500
    other, _ = restored(start_agent, tmp_path, tmp_path / "box.tar")
    first = run_cell(other.client(), "1")[0].job_id
    assert first >= 6_000_000
    other.stop()
    # and once more, from a backup of the restored one
    agent_command(other.home, "backup", tmp_path / "second.tar")
    third, _ = restored(start_agent, tmp_path, tmp_path / "second.tar", "third")
    assert run_cell(third.client(), "1")[0].job_id >= 7_000_000


def test_what_had_not_ended_is_lost_and_never_run_again(start_agent, tmp_path):
    agent = start_agent("--gpus", "1")
    client = agent.client()
    proof = tmp_path / "ran"
    running = client.submit(Submit(source=SLEEP, gpus=1), "running")
    until(lambda: client.job(running.job_id).state is State.RUNNING)
    waiting = client.submit(
        Submit(source=f"open({str(proof)!r}, 'a').write('x')", gpus=1, env={"KEY": "canary-7f3a"}), "waiting"
    )
    agent_command(agent.home, "backup", tmp_path / "box.tar", "--jobs")
    assert b"canary-7f3a" not in (tmp_path / "box.tar").read_bytes()
    client.cancel(running.job_id)
    until(lambda: client.job(waiting.job_id).state is State.SUCCEEDED)
    agent.stop()
    other, told = restored(start_agent, tmp_path, tmp_path / "box.tar", "restored", "--gpus", "1")
    assert "2 jobs that had not ended are lost" in told
    again = other.client()
    for job_id in (running.job_id, waiting.job_id):
        job = again.job(job_id)
        assert job.state is State.LOST
        assert "was restored from a backup" in job.reason
        events = list(again.follow(job_id))
        assert (events[-1].type, events[-1].state, events[-1].complete) == ("ended", State.LOST, False)
    run_cell(again, "1")
    assert proof.read_text() == "x"


def test_a_copied_home_whose_jobs_still_run_here_keeps_them(agent):
    """The home was moved to another folder's number; the supervisor lives, so its job is not in doubt."""
    client = agent.client()
    job = client.submit(Submit(source=SLEEP), "k")
    until(lambda: client.job(job.job_id).state is State.RUNNING)
    agent.stop()
    assert not any("lost" in line for line in agent_command(agent.home, "restore"))
    agent.start()
    assert agent.client().job(job.job_id).state is State.RUNNING
    agent.client().cancel(job.job_id)


def test_invites_that_nobody_has_used_are_revoked(start_agent, tmp_path):
    agent = start_agent("--shared-uid")
    code = agent_command(agent.home, "invite", "ada")[0].partition("#")[2]
    agent_command(agent.home, "backup", tmp_path / "box.tar")
    agent.client().redeem(code)
    agent.stop()
    other, told = restored(start_agent, tmp_path, tmp_path / "box.tar", "restored", "--shared-uid")
    assert "1 invite that nobody had used is revoked" in told
    with pytest.raises(Forbidden, match="was revoked"):
        other.client().redeem(code)


def test_a_backup_is_consistent_while_people_submit(agent, start_agent, tmp_path):
    client = agent.client()
    script = (
        "from cluster_agent.client import AgentClient\nfrom cluster_agent.protocol import Submit\n"
        f"client = AgentClient({agent.url!r}, token={agent.token!r})\n"
        "for n in range(200):\n"
        "    client.submit(Submit(source='1', gpus=0), str(n))\n    print(n, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        process.stdout.readline()
        agent_command(agent.home, "backup", tmp_path / "box.tar")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    given = max(job.job_id for job in client.jobs(limit=1).jobs)
    agent.stop()
    other, _ = restored(start_agent, tmp_path, tmp_path / "box.tar")
    assert other.client().submit(Submit(source="1"), "new").job_id > given


def test_a_backup_is_given_on_the_agents_own_socket_only(agent):
    with pytest.raises(Forbidden, match="own socket only"):
        list(agent.client().backup())


def test_what_cannot_be_done_is_one_line_and_leaves_nothing(agent, tmp_path):
    file = tmp_path / "box.tar"
    agent_command(agent.home, "backup", file)
    assert "exists already" in agent_command(agent.home, "backup", file, code=1)[0]
    assert "cannot be written" in agent_command(agent.home, "backup", tmp_path / "no" / "box.tar", code=1)[0]
    assert "not empty" in agent_command(agent.home, "restore", file, code=1)[0]
    (tmp_path / "junk.tar").write_bytes(b"x" * 4096)
    (tmp_path / "half.tar").write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with tarfile.open(tmp_path / "other.tar", "w") as tar:
        tar.add(agent.home / "token", "token")
    for name in ("junk", "half", "other", "nothing"):
        (line,) = agent_command(tmp_path / "new", "restore", tmp_path / f"{name}.tar", code=1)
        assert line.startswith("cluster-agent: ")
        assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_hostile_backup_writes_nothing_elsewhere(agent, tmp_path):
    file = tmp_path / "box.tar"
    agent_command(agent.home, "backup", file)
    with tarfile.open(file, "a") as tar:
        for name in (
            "../outside",
            "/tmp/outside-7f3a",
            "jobs/../../outside",
            "jobs/1/../../../outside",
            "agent.sock",
        ):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO(b""))
        link = tarfile.TarInfo("jobs/1/work")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        tar.addfile(link)
        inside = tarfile.TarInfo("jobs/1/work/outside")
        tar.addfile(inside, io.BytesIO(b""))
    agent_command(tmp_path / "new" / "home", "restore", file)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("outside*")}
    assert found == {"new/home/jobs/1/work/outside"}
    assert not os.path.exists("/tmp/outside-7f3a")
    assert not (tmp_path / "new" / "home" / "agent.sock").exists()


def test_settings_that_name_the_old_home_are_pointed_out(tmp_path):
    agent_command(tmp_path / "box", "init")
    file = tmp_path / "box.tar"
    # an agent that has never served has no database to back up: it makes one
    agent_command(tmp_path / "box", "backup", file)
    told = agent_command(tmp_path / "new", "restore", file)
    assert told[-1] == f"look into {tmp_path / 'new' / 'agent.toml'}: it names files in {tmp_path / 'box'}"
    assert time.time() - (tmp_path / "new" / "agent.db").stat().st_mtime < 600
