"""An agent is replaced by a newer one while jobs run, and by an older one; clients of another age come along."""

import io
import re
import subprocess
import tarfile
from pathlib import Path

import httpx
import pytest
from disks import fill, refused_start

from broken import Change, copy_package
from cluster_agent.errors import BadRequest
from cluster_agent.jobs.store import SCHEMA_VERSION
from cluster_agent.protocol import State, Submit
from running import supervisors, text_of, until, wait_ended

REPOSITORY = Path(__file__).resolve().parents[2]
#: The states of the product that were handed out; jobs that they started must be adopted.
HANDED_OUT = ["9bef306", "f049e6e", "8d530c9", "1e89997"]
#: Those of them that know neither this schema of the database nor all fields of a submit.
OUTGROWN = HANDED_OUT[:2]

CHATTY = """
import hashlib, os, time
digest, i = hashlib.sha256(), 0
while not os.path.exists({go!r}):
    line = b"%d " % i + bytes(range(256)) + b"\\n"
    os.write(1, line)
    digest.update(line)
    i += 1
    time.sleep(0.002)
open("digest", "w").write(digest.hexdigest())
"""


@pytest.fixture(scope="module", params=HANDED_OUT)
def former(request, tmp_path_factory):
    """The interpreter of a former state of the packages."""
    folder = tmp_path_factory.mktemp("former")
    command = ["git", "-C", REPOSITORY, "archive", "--format=tar", request.param, "src"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    if done.returncode:
        pytest.skip(f"this copy has no history: {done.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder / "state", filter="data")
    return copy_package(folder / "copy", source=folder / "state" / "src")


def test_a_newer_agent_takes_over_the_jobs_of_a_former_one(former, make_agent, tmp_path):
    old = make_agent(tmp_path / "home", "--gpus", "1", python=former)
    old.start()
    client = old.client()
    ended = client.submit(Submit(source="print('before')"), "ended")
    wait_ended(client, ended.job_id)
    go = tmp_path / "go"
    running = client.submit(Submit(source=CHATTY.format(go=str(go)), env={"A": "1"}), "running")
    client.extend(running.job_id, 60)
    waiting = client.submit(Submit(source="import os\nprint(os.environ['B'])", env={"B": "2"}), "waiting")
    cancelled = client.submit(Submit(source="1"), "cancelled")
    until(lambda: len(list(client.events(running.job_id))) > 5)
    seen = list(client.events(running.job_id))
    old.stop()
    new = make_agent(tmp_path / "home", "--gpus", "1")
    new.start()
    client = new.client()
    assert client.job(running.job_id).state is State.RUNNING
    assert client.submit(Submit(source="print('before')"), "ended").job_id == ended.job_id
    assert text_of(list(client.events(ended.job_id))) == "before\n"
    client.cancel(cancelled.job_id)
    more = client.follow(running.job_id, after=f"{running.log_tag}.{seen[-1].seq}")
    seen.append(next(more))
    go.touch()
    seen += [event for event in more if event.seq is not None]
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    job = wait_ended(client, running.job_id)
    assert (job.state, job.complete) == (State.SUCCEEDED, True)
    assert seen[-1].streams["stdout"].sha256 == b"".join(client.job_file(job.job_id, "digest")).decode()
    assert wait_ended(client, waiting.job_id).state is State.SUCCEEDED
    assert text_of(list(client.events(waiting.job_id))) == "2\n"
    assert wait_ended(client, cancelled.job_id).state is State.CANCELLED


@pytest.mark.parametrize("former", OUTGROWN, indirect=True)
def test_a_former_agent_refuses_the_database_of_a_newer_one(former, make_agent, tmp_path):
    new = make_agent(tmp_path / "home")
    new.start()
    job = new.client().submit(Submit(source="print(1)"), "k")
    wait_ended(new.client(), job.job_id)
    new.stop()
    assert "written by a newer agent" in refused_start(make_agent(tmp_path / "home", python=former))
    new.start()
    assert text_of(list(new.client().events(job.job_id))) == "1\n"


def test_a_newer_agent_changes_the_database_on_a_full_disk(tmpfs, make_agent, tmp_path):
    old = make_agent(tmpfs / "home")
    old.start()
    job = old.client().submit(Submit(source="print(1)"), "k")
    wait_ended(old.client(), job.job_id)
    old.stop()
    step = Change(
        "cluster_agent/jobs/store.py",
        f"SCHEMA_VERSION = {SCHEMA_VERSION}",
        f"SCHEMA_VERSION = {SCHEMA_VERSION + 1}",
    )
    newer = copy_package(tmp_path / "newer", [step])
    schema = tmp_path / "newer" / "src" / "cluster_agent" / "jobs" / "schema"
    (schema / f"{SCHEMA_VERSION + 1}.sql").write_text("CREATE TABLE more (x BLOB) STRICT;")
    fill(tmpfs)
    new = make_agent(tmpfs / "home", python=newer)
    new.stderr = tmp_path / "stderr"
    new.start()
    assert text_of(list(new.client().events(job.job_id))) == "1\n"
    new.stop()
    assert "written by a newer agent" in refused_start(make_agent(tmpfs / "home"))


def test_files_of_a_newer_agent_are_told_and_not_touched(agent):
    client = agent.client()
    job = client.submit(Submit(source="import time\ntime.sleep(600)"), "k")
    until(lambda: client.job(job.job_id).state is State.RUNNING)
    agent.kill()
    # so that nothing comes to its log, such as a sample, while the files are looked at
    held = supervisors(agent.home)
    for process in held:
        process.suspend()
    log = agent.home / "jobs" / str(job.job_id) / "events.ndjson"
    ours = log.read_bytes()
    newer = ours.replace(b'"version":1', b'"version":9', 1)
    assert newer != ours
    log.write_bytes(newer)
    assert "files of version 9, this agent knows 1" in refused_start(agent)
    assert log.read_bytes() == newer
    log.write_bytes(ours)
    wish = log.with_name("control.json")
    wish.write_text('{"version":9}')
    assert "started by a newer agent" in refused_start(agent)
    wish.unlink()
    for process in held:
        process.resume()
    agent.start()
    agent.client().cancel(job.job_id)
    assert wait_ended(agent.client(), job.job_id).state is State.CANCELLED


def test_what_an_agent_does_not_know_is_named(agent):
    answer = httpx.post(
        f"{agent.url}/v1/jobs",
        json={"source": "1", "sparkle": True},
        headers={"Authorization": f"Bearer {agent.token}"},
        trust_env=False,
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (400, "sparkle")
    assert "knows no field 'sparkle': is it older" in error["message"]


@pytest.mark.parametrize("former", OUTGROWN, indirect=True)
def test_a_former_agent_names_what_it_does_not_know(former, make_agent, tmp_path):
    old = make_agent(tmp_path / "home", python=former)
    old.start()
    with pytest.raises(BadRequest) as caught:
        old.client().submit(Submit(source="print(x)", params={"x": "1"}), "k")
    assert caught.value.field == "params"
    assert re.search("newer client than agent|is it older than what sent it", caught.value.message)


OLD_CLIENT = """
import sys
from cluster_agent.client import AgentClient
from cluster_agent.protocol import Submit
with AgentClient(sys.argv[1], token=sys.argv[2]) as client:
    job = client.submit(Submit(source="print('hello')"), "k")
    print("".join(event.text or "" for event in client.follow(job.job_id)), client.job(job.job_id).state.value)
    print(client.info().protocol, [job.job_id for job in client.jobs().jobs])
"""


def test_a_former_client_works_with_a_newer_agent(former, agent):
    command = [former, "-I", "-c", OLD_CLIENT, agent.url, agent.token]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told == "hello\n succeeded\n1 [1]\n"
