"""The queue of a real agent: limits, order, reservations, draining, and what people are told."""

import json
import os
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cluster_agent.errors import BadRequest, Conflict, Forbidden, QueueFull
from cluster_agent.protocol import State, Submit
from cluster_agent.supervisor.identity import start_time
from running import agent_command, until, wait_ended

SLEEP = "import time\ntime.sleep(600)"


@pytest.fixture
def box(start_agent, tmp_path):
    """An agent with so many declared GPUs and ``[limits]``."""

    def start(gpus=1, limits="", *flags):
        home = tmp_path / "box"
        home.mkdir(mode=0o700)
        (home / "agent.toml").write_text(f'shared_uid = true\ngpus = "{gpus}"\n{limits}')
        return start_agent(*flags, home=home)

    return start


class Submitter:
    """Submits jobs of one CPU under ever new keys."""

    def __init__(self, client):
        self.client = client

    def __call__(self, source=SLEEP, **spec):
        spec = {"cpus": 1, "memory_bytes": 2**28, "cluster": "box", **spec}
        return self.client.submit(Submit(source=source, **spec), os.urandom(8).hex())

    def state(self, job):
        return self.client.job(job.job_id).state


def user(agent, name, role="user"):
    token = agent_command(agent.home, "token", "create", name, "--role", role)[0]
    return Submitter(agent.client(token))


def test_a_short_job_passes_the_head_and_a_long_one_does_not(box):
    agent = box(gpus=2)
    submit = Submitter(agent.client())
    running = submit(gpus=1, timeout_s=3600)
    head = submit(gpus=2)
    long = submit(gpus=1, timeout_s=7200)
    short = submit("print('passed')", gpus=1, timeout_s=60)
    assert wait_ended(submit.client, short.job_id).state is State.SUCCEEDED
    told = [submit.client.job(job.job_id) for job in (head, long)]
    assert [job.position for job in told] == [1, 2]
    assert told[0].waiting_for.startswith(f"needs 2 GPUs, 1 free; after box/{running.job_id}, which ends by")
    assert told[1].waiting_for == f"waits for box/{head.job_id}, which is ahead"
    assert told[0].starts_by < told[1].starts_by
    submit.client.cancel(running.job_id)
    until(lambda: submit.state(head) is State.RUNNING)


def test_extend_is_refused_where_it_would_delay_a_reservation(box):
    submit = Submitter(box(gpus=1).client())
    running = submit(gpus=1, timeout_s=3600)
    # A job that waits may be given more time as long as nobody else was told when it starts.
    head = submit(gpus=1, timeout_s=3600)
    with pytest.raises(Conflict, match=f"box/{head.job_id} waits for this job and was promised to start by"):
        submit.client.extend(running.job_id, 3600)
    assert submit.client.job(running.job_id).timeout_s == 3600
    assert submit.client.extend(head.job_id, 60).timeout_s == 3660
    submit.client.cancel(head.job_id)
    assert submit.client.extend(running.job_id, 3600).timeout_s == 7200


def test_users_take_turns(box):
    agent = box(gpus=1)
    ada, grace = user(agent, "ada"), user(agent, "grace")
    running = ada(gpus=1)
    flood = [ada(gpus=1) for _ in range(5)]
    late = grace(gpus=1)
    places = [ada.client.job(job.job_id).position for job in flood]
    # The first of the flood has the reservation and keeps it; then it is somebody else's turn.
    assert places[0] == 1
    assert grace.client.job(late.job_id).position == 2
    ada.client.cancel(running.job_id)
    until(lambda: ada.state(flood[0]) is State.RUNNING)
    ada.client.cancel(flood[0].job_id)
    until(lambda: grace.state(late) is State.RUNNING)


def test_shares_are_remembered_across_a_restart(box):
    agent = box(gpus=1)
    ada, grace = user(agent, "ada"), user(agent, "grace")
    used = ada("import time\ntime.sleep(1)", gpus=1)
    assert wait_ended(ada.client, used.job_id).state is State.SUCCEEDED
    admin = Submitter(agent.client())
    running = admin(gpus=1)
    head = admin(gpus=1)
    of_ada, of_grace = ada(gpus=1), grace(gpus=1)
    assert [admin.client.job(job.job_id).position for job in (head, of_grace, of_ada)] == [1, 2, 3]
    agent.restart()
    client = agent.client()
    assert client.job(of_grace.job_id).position < client.job(of_ada.job_id).position
    client.cancel(running.job_id)


LIMITS = """
[limits]
gpus = 2
jobs = 3
queued = 2
timeout = "1h"
[limits.roles.admin]
gpus = "none"
timeout = "2d"
[limits.users.grace]
jobs = 1
"""


def test_limits_hold_and_are_named(box):
    agent = box(4, LIMITS)
    ada, grace, admin = user(agent, "ada"), user(agent, "grace"), Submitter(agent.client())
    limits = ada.client.info().limits
    assert (limits.gpus, limits.jobs, limits.queued, limits.timeout_s, limits.priority) == (
        2,
        3,
        2,
        3600,
        "normal",
    )
    assert (ada.client.info().max_timeout_s, ada.client.info().default_timeout_s) == (3600, 3600)
    assert admin.client.info().limits.gpus is None
    for spec, message in [
        ({"gpus": 3}, "3 GPUs: your limit is 2 at once"),
        ({"timeout_s": 3601}, "at most 1 h for you"),
        ({"priority": "high"}, "priority high is above your limit, which is normal"),
    ]:
        with pytest.raises(BadRequest, match=message):
            ada(**spec)
    first, second = ada(gpus=2), ada(gpus=1)
    told = ada.client.job(second.job_id)
    assert (told.state, told.waiting_for) == (State.QUEUED, "your limit: 2 GPUs at once")
    assert told.starts_by is not None
    other, again = grace(gpus=1), grace(gpus=0)
    until(lambda: grace.state(other) is State.RUNNING)
    assert grace.client.job(again.job_id).waiting_for == "your limit: 1 job at once"
    ada(gpus=2)
    with pytest.raises(QueueFull, match="2 of your jobs wait already; your limit is 2"):
        ada(gpus=1)
    ada.client.cancel(first.job_id)
    until(lambda: ada.state(second) is State.RUNNING)


def test_the_bound_of_the_queue_is_exact_however_many_come_at_once(box):
    agent = box(1, "max_queue = 9\n[limits]\nqueued = 7")
    client = agent.client()
    client.submit(Submit(source=SLEEP, gpus=1), "first")

    def submit(number):
        try:
            return client.submit(Submit(source=SLEEP, gpus=1), f"key-{number}").job_id
        except QueueFull:
            return None

    with ThreadPoolExecutor(32) as pool:
        taken = [job_id for job_id in pool.map(submit, range(60)) if job_id]
    assert len(taken) == 7
    # A refused submit takes no id.
    assert sorted(taken) == list(range(2, 9))
    other = user(agent, "grace")
    other(gpus=1), other(gpus=1)
    with pytest.raises(QueueFull, match="9 jobs wait already, which is all that this agent takes"):
        other(gpus=1)


def test_a_follower_is_told_when_its_place_changes(box):
    submit = Submitter(box(gpus=1).client())
    running, before, mine = submit(gpus=1), submit(gpus=1), submit("print('done')", gpus=1)
    lines = []
    for event in submit.client.follow(mine.job_id):
        if event.type == "queue":
            lines.append(event)
            submit.client.cancel((before if len(lines) == 1 else running).job_id)
    assert [line.position for line in lines] == [2, 1]
    assert lines[0].waiting_for == f"needs 1 GPU, 0 free; after box/{before.job_id}, which waits too"
    assert lines[1].waiting_for.startswith(f"needs 1 GPU, 0 free; after box/{running.job_id}, which ends by")
    assert lines[1].starts_by < lines[0].starts_by


def test_draining_keeps_jobs_waiting_across_a_restart(box):
    agent = box(gpus=1)
    submit = Submitter(agent.client())
    running = submit(gpus=0)
    lines = agent_command(agent.home, "drain", "--until", "2h", "--message", "new disks")
    assert lines[0].startswith("draining: no job is started until ")
    assert lines[0].endswith(": new disks")
    info = submit.client.info()
    assert (info.draining, info.drain_message) == (True, "new disks")
    assert 7100 < info.drain_until - time.time() <= 7200
    waiting = submit("print('at last')", gpus=0)
    assert waiting.state is State.QUEUED
    assert waiting.waiting_for.startswith("the box is draining until ")
    assert waiting.waiting_for.endswith(": new disks")
    assert waiting.starts_by >= info.drain_until
    agent.restart()
    submit = Submitter(agent.client())
    until(lambda: submit.state(running) is State.RUNNING)
    assert submit.client.job(waiting.job_id).waiting_for.endswith(": new disks")
    assert any(
        line.startswith("DRAINING   no job is started until ") for line in agent_command(agent.home, "status")
    )
    assert agent_command(agent.home, "queue")[0].startswith("draining: ")
    assert agent_command(agent.home, "resume") == ["jobs are started again; 1 wait"]
    assert wait_ended(submit.client, waiting.job_id).state is State.SUCCEEDED
    assert agent_command(agent.home, "resume") == ["it was not draining"]


def test_a_drain_ends_by_itself(box):
    submit = Submitter(box().client())
    submit.client.drain(until_at=time.time() + 1.5)
    job = submit("print(1)")
    assert job.waiting_for.startswith("the box is draining until")
    assert wait_ended(submit.client, job.job_id).state is State.SUCCEEDED
    assert not submit.client.info().draining
    with pytest.raises(BadRequest, match="until_at has passed"):
        submit.client.drain(until_at=1.0)


def test_admins_move_jobs_and_others_do_not(box):
    agent = box(gpus=1)
    submit = Submitter(agent.client())
    submit(gpus=1)
    jobs = [submit(gpus=1) for _ in range(3)]
    lines = agent_command(agent.home, "move", f"box/{jobs[2].job_id}", "--first")
    assert lines[0].startswith(f"job {jobs[2].job_id} has place 1: needs 1 GPU")
    agent.restart()
    submit = Submitter(agent.client())
    assert [submit.client.job(job.job_id).position for job in jobs] == [2, 3, 1]
    agent_command(agent.home, "move", jobs[2].job_id, "--back")
    until(lambda: [submit.client.job(job.job_id).position for job in jobs] == [1, 2, 3])
    assert "does not wait any more" in agent_command(agent.home, "move", "1", "--first", code=1)[0]
    with pytest.raises(Forbidden):
        user(agent, "grace").client.move(jobs[0].job_id, first=True)


def test_what_could_not_be_killed_holds_its_slots_across_a_restart(box):
    """A job with a process that outlived it, as its record tells, made by hand: nothing here resists KILL."""
    agent = box(gpus=2)
    submit = Submitter(agent.client())
    ended = submit("print(1)", gpus=1)
    wait_ended(submit.client, ended.job_id)
    agent.stop()
    with subprocess.Popen(["sleep", "600"]) as left:
        started = start_time(left.pid)
        with sqlite3.connect(agent.home / "agent.db") as db:
            db.execute("UPDATE jobs SET left_behind = ?", (json.dumps([[left.pid, started]]),))
        db.close()
        agent.start()
        submit = Submitter(agent.client())
        info = submit.client.info()
        assert (info.gpus_free, info.running) == (1, 0)
        waiting = submit("print(2)", gpus=2)
        told = submit.client.job(waiting.job_id)
        assert "left processes behind that cannot be killed" in told.waiting_for
        assert told.starts_by is None
        left.kill()
    assert wait_ended(submit.client, waiting.job_id).state is State.SUCCEEDED


def test_queue_jobs_and_usage_tell_people_and_programs(box):
    agent = box(gpus=1)
    submit = Submitter(agent.client())
    done = submit("print(1)", gpus=1, name="first")
    wait_ended(submit.client, done.job_id)
    failed = submit("1/0", gpus=0)
    wait_ended(submit.client, failed.job_id)
    running, waiting = submit(gpus=1), submit(gpus=1, name="second")
    until(lambda: submit.state(running) is State.RUNNING)
    home = agent.home
    lines = agent_command(home, "queue")
    assert lines[0].split()[:4] == ["PLACE", "JOB", "USER", "NAME"]
    assert lines[1].split()[:2] == ["1", str(waiting.job_id)]
    assert "second" in lines[1]
    assert f"needs 1 GPU, 0 free; after box/{running.job_id}, which ends by" in lines[1]
    told = json.loads("\n".join(agent_command(home, "queue", "--json")))
    assert [job["job_id"] for job in told["jobs"]] == [waiting.job_id]
    lines = agent_command(home, "jobs", "--state", "failed,done", "--limit", "5")
    assert [line.split()[:2] for line in lines[1:]] == [
        [str(failed.job_id), "Failed"],
        [str(done.job_id), "Finished"],
    ]
    assert agent_command(home, "jobs", "--user", "nobody") == ["no job"]
    lines = agent_command(home, "usage")
    assert ": GPUs were held 0 of 720 hours" in lines[0]
    assert lines[1].split()[:3] == ["USER", "JOBS", "FAILED"]
    assert lines[2].split()[1:3] == ["4", "1"]
    header, row = agent_command(home, "usage", "--since", "1d", "--csv")
    values = dict(zip(header.split(","), row.split(","), strict=True))
    assert (values["jobs"], values["failed"]) == ("4", "1")
    assert 0 < float(values["gpu_hours"]) < 1
    report = json.loads("\n".join(agent_command(home, "usage", "--json")))
    assert report["users"][0]["jobs"] == 4
    assert agent_command(home, "usage", "--since", "soon", code=2)[-1].endswith(
        "'soon' is not a moment: write for example 18:00, 2026-11-22 18:00 or 2h"
    )
