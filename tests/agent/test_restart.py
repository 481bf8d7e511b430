"""The agent dies, is replaced, comes back; the job does not notice and nothing is lost."""

import hashlib
import random
import sqlite3
import threading

import psutil
import pytest

from cluster_agent.log.append import LogTaken, LogWriter
from cluster_agent.protocol import State, Submit
from running import text_of, until, wait_ended

CHATTY = """
import hashlib, os, random, sys, time
rng = random.Random(7)
copy = open({copy!r}, "wb")
digest = hashlib.sha256()
while not os.path.exists({stop!r}):
    block = b"".join(b"%06d %s\\n" % (i, bytes(rng.choices(range(256), k=20)).replace(b"\\n", b" ")) for i in range(20))
    os.write(1, block)
    copy.write(block)
    copy.flush()
    time.sleep(0.002)
"""


def output_of(agent, job_id):
    return b"".join(agent.client().output(job_id, "stdout"))


@pytest.mark.parametrize("kills", [8, pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(1200)])])
def test_kills_of_the_agent_lose_no_byte(agent, tmp_path, kills):
    """The job writes the same bytes elsewhere; afterwards both are equal."""
    copy, stop = tmp_path / "copy", tmp_path / "stop"
    job = agent.client().submit(Submit(source=CHATTY.format(copy=str(copy), stop=str(stop))), "k")
    rng = random.Random(1)
    for _ in range(kills):
        more = (copy.stat().st_size if copy.exists() else 0) + rng.randrange(20_000)
        until(lambda more=more: copy.exists() and copy.stat().st_size > more)
        agent.kill()
        agent.start()
        assert agent.client().job(job.job_id).state in {State.RUNNING, State.PREPARING}
    stop.touch()
    ended = wait_ended(agent.client(), job.job_id)
    assert (ended.state, ended.complete) == (State.SUCCEEDED, True)
    assert hashlib.sha256(output_of(agent, job.job_id)).digest() == hashlib.sha256(copy.read_bytes()).digest()
    events = list(agent.client().events(job.job_id))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


def test_a_follower_goes_on_through_kills_without_a_gap_or_a_double(agent, tmp_path):
    stop = tmp_path / "stop"
    source = f"import os, time\ni = 0\nwhile not os.path.exists({str(stop)!r}):\n    print(i, flush=True); i += 1; time.sleep(0.003)"
    # One port for all lives of this agent, as a box has it.
    agent.stop()
    agent.flags = ("--port", agent.url.rpartition(":")[2])
    agent.start()
    job = agent.client().submit(Submit(source=source), "k")
    seen = []
    follower = threading.Thread(target=lambda: seen.extend(agent.client().follow(job.job_id)))
    follower.start()
    for round_number in range(3):
        until(lambda more=30 * (round_number + 1): len(seen) > more)
        agent.kill()
        agent.start()
    stop.touch()
    follower.join(60)
    stored = [event for event in seen if event.seq is not None]
    assert [event.seq for event in stored] == list(range(1, len(stored) + 1))
    assert stored[-1].type == "ended"
    numbers = text_of(stored).split()
    assert numbers == [str(number) for number in range(len(numbers))]


def test_a_job_that_ends_while_no_agent_runs_is_told_as_it_ended(agent, tmp_path):
    go = tmp_path / "go"
    source = f"import os, time\nprint('up', flush=True)\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\nraise SystemExit(7)"
    client = agent.client()
    job = client.submit(Submit(source=source), "k")
    until(lambda: client.job(job.job_id).state is State.RUNNING)
    agent.kill()
    go.touch()
    log = agent.home / "jobs" / str(job.job_id) / "events.ndjson"
    until(lambda: b'"type":"ended"' in log.read_bytes())
    agent.start()
    ended = wait_ended(agent.client(), job.job_id)
    assert (ended.state, ended.exit_code, ended.complete) == (State.FAILED, 7, True)


def test_a_cancel_reaches_an_adopted_job(agent):
    client = agent.client()
    job = client.submit(Submit(source="import time\ntime.sleep(600)"), "k")
    until(lambda: client.job(job.job_id).state is State.RUNNING)
    agent.kill()
    agent.start()
    client = agent.client()
    client.cancel(job.job_id)
    assert wait_ended(client, job.job_id).state is State.CANCELLED


def test_jobs_in_the_queue_and_their_variables_outlive_a_kill(start_agent):
    agent = start_agent("--gpus", "1")
    client = agent.client()
    first = client.submit(Submit(source="import time\ntime.sleep(600)"), "a")
    second = client.submit(Submit(source="import os\nprint(os.environ['X'])", env={"X": "kept"}), "b")
    agent.kill()
    agent.start()
    client = agent.client()
    assert client.job(second.job_id).position == 1
    client.cancel(first.job_id)
    assert wait_ended(client, second.job_id).state is State.SUCCEEDED
    assert text_of(list(client.events(second.job_id))) == "kept\n"


def test_the_supervisors_death_is_lost_and_ends_the_job(agent):
    client = agent.client()
    job = client.submit(
        Submit(source="import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)"), "k"
    )
    until(lambda: text_of(list(client.events(job.job_id))))
    events = list(client.events(job.job_id))
    supervisor = psutil.Process(next(event.pid for event in events if event.type == "started"))
    runner = psutil.Process(int(text_of(events)))
    supervisor.kill()
    ended = wait_ended(client, job.job_id)
    assert (ended.state, ended.complete, ended.exit_code) == (State.LOST, False, None)
    psutil.wait_procs([runner], timeout=30)
    assert not runner.is_running()
    assert client.info().cpus_free == client.info().cpus


def test_the_supervisors_death_while_no_agent_runs_is_lost_and_nothing_of_it_is_left(agent):
    client = agent.client()
    source = "import subprocess, time\np = subprocess.Popen(['sleep', '600'], start_new_session=True)\nprint(p.pid, flush=True)\ntime.sleep(600)"
    job = client.submit(Submit(source=source), "k")
    until(lambda: text_of(list(client.events(job.job_id))).endswith("\n"))
    child = psutil.Process(int(text_of(list(client.events(job.job_id)))))
    started = next(event for event in client.events(job.job_id) if event.type == "started")
    agent.kill()
    psutil.Process(started.pid).kill()
    agent.start()
    ended = wait_ended(agent.client(), job.job_id)
    assert (ended.state, ended.complete) == (State.LOST, False)
    psutil.wait_procs([child], timeout=30)
    assert not child.is_running()


DAEMON = """
import os, subprocess, sys, time
code = "import os\\nif os.fork(): os._exit(0)\\nos.setsid()\\nif os.fork(): os._exit(0)\\nprint(os.getpid(), flush=True)\\nfor fd in (0, 1, 2): os.close(fd)\\nimport time; time.sleep(600)"
subprocess.run(["env", "-i", sys.executable, "-c", code], check=True, cwd="/")
time.sleep(600)
"""


@pytest.mark.parametrize("agents", ["one", "another", "none"])
def test_a_daemon_without_variables_ends_with_a_supervisor_that_is_killed(agent, agents):
    """Nothing ties it to its job any more: not parent, group, session, folder, variables or open files."""
    client = agent.client()
    job = client.submit(Submit(source=DAEMON), "k")
    until(lambda: text_of(list(client.events(job.job_id))).endswith("\n"))
    daemon = psutil.Process(int(text_of(list(client.events(job.job_id)))))
    started = next(event for event in client.events(job.job_id) if event.type == "started")
    if agents != "one":
        agent.kill()
    if agents == "another":
        agent.start()
        agent.restart()
    psutil.Process(started.pid).kill()
    until(lambda: not daemon.is_running() or daemon.status() == psutil.STATUS_ZOMBIE, within_s=20)
    if agents == "none":
        agent.start()
    assert wait_ended(agent.client(), job.job_id).state is State.LOST
    until(lambda: not daemon.is_running())


def test_an_intent_without_a_start_is_queued_again_and_runs_once(agent, tmp_path):
    """The crash between the intent in the store and the hand-over, made by hand."""
    client = agent.client()
    run = client.submit(Submit(source=f"open({str(tmp_path / 'ran')!r}, 'a').write('x')"), "a")
    wait_ended(client, run.job_id)
    agent.stop()
    folder = agent.home / "jobs" / str(run.job_id)
    (folder / "events.ndjson").unlink()
    (tmp_path / "ran").unlink()
    with sqlite3.connect(agent.home / "agent.db") as db:
        db.execute(
            "UPDATE jobs SET state = 'preparing', nonce = 'feedc0de', ended_at = NULL, started_at = NULL"
        )
    db.close()
    agent.start()
    assert wait_ended(agent.client(), run.job_id).state is State.SUCCEEDED
    assert (tmp_path / "ran").read_text() == "x"
    assert (folder / "feedc0de.closed").exists()


def test_a_locked_log_is_nobody_elses(agent, tmp_path):
    client = agent.client()
    job = client.submit(Submit(source="import time\ntime.sleep(600)"), "k")
    until(lambda: client.job(job.job_id).state is State.RUNNING)
    with pytest.raises(LogTaken):
        LogWriter.take(agent.home / "jobs" / str(job.job_id) / "events.ndjson", tag=job.log_tag)


def test_ids_go_on_after_kills_and_a_lost_database(agent):
    ids = [agent.client().submit(Submit(source="1"), "a").job_id]
    agent.kill()
    agent.start()
    ids.append(agent.client().submit(Submit(source="1"), "b").job_id)
    for job_id in ids:
        wait_ended(agent.client(), job_id)
    agent.stop()
    for path in agent.home.glob("agent.db*"):
        path.unlink()
    (agent.home / "token").unlink()
    agent.start()
    ids.append(agent.client().submit(Submit(source="1"), "c").job_id)
    assert ids == [1, 2, 3]
    agent.stop()
    (agent.home / "next-id").unlink()
    agent.start()
    assert agent.client().submit(Submit(source="1"), "d").job_id == 4


def test_two_agents_on_one_home(agent, start_agent):
    with pytest.raises(AssertionError, match="another agent serves from"):
        start_agent(home=agent.home)
    assert agent.client().info().agent_id


def test_a_damaged_log_is_lost_and_the_agent_starts_all_the_same(agent):
    client = agent.client()
    job = client.submit(Submit(source="import time\ntime.sleep(600)"), "k")
    until(lambda: client.job(job.job_id).state is State.RUNNING)
    started = next(event for event in client.events(job.job_id) if event.type == "started")
    agent.kill()
    psutil.Process(started.pid).kill()
    (agent.home / "jobs" / str(job.job_id) / "events.ndjson").write_bytes(b"\x00 not a line\n")
    agent.start()
    ended = wait_ended(agent.client(), job.job_id)
    assert (ended.state, ended.complete) == (State.LOST, False)
    events = list(agent.client().events(job.job_id))
    assert [event.type for event in events] == ["ended"]  # and not a second start


def test_following_from_behind_the_end_ends(agent):
    client = agent.client()
    job = client.submit(Submit(source="print(1)"), "k")
    events = list(client.follow(job.job_id))
    after = f"{job.log_tag}.{events[-1].seq}"
    assert list(client.follow(job.job_id, after=after)) == []


def test_an_intent_from_before_a_reboot_is_lost_and_never_run_again(agent, tmp_path):
    client = agent.client()
    job = client.submit(Submit(source="1"), "a")
    wait_ended(client, job.job_id)
    agent.stop()
    (agent.home / "jobs" / str(job.job_id) / "events.ndjson").unlink()
    with sqlite3.connect(agent.home / "agent.db") as db:
        db.execute(
            "UPDATE jobs SET state = 'preparing', ended_at = NULL, started_at = NULL, boot_id = 'an earlier one'"
        )
    db.close()
    agent.start()
    ended = wait_ended(agent.client(), job.job_id)
    assert (ended.state, ended.complete) == (State.LOST, False)


HOLD = "import os, time\nprint('up', flush=True)\nwhile not os.path.exists({gate!r}): time.sleep(0.01)"


def test_a_stop_with_a_queue_starts_nobody(start_agent, tmp_path):
    agent = start_agent("--gpus", "1")
    client = agent.client()
    first = client.submit(Submit(source=HOLD.format(gate=str(tmp_path / "gate"))), "a")
    others = [client.submit(Submit(source="print(1)"), f"b{number}").job_id for number in range(3)]
    until(lambda: client.job(first.job_id).state is State.RUNNING)
    for _ in range(3):
        agent.restart()
    client = agent.client()
    assert [client.job(job_id).state for job_id in others] == [State.QUEUED] * 3
    assert client.job(first.job_id).state is State.RUNNING
    (tmp_path / "gate").touch()
    ended = wait_ended(client, first.job_id)
    for job_id in others:
        assert wait_ended(client, job_id).started_at >= ended.ended_at


def test_after_a_crash_nothing_starts_before_all_that_runs_is_counted(start_agent, tmp_path):
    agent = start_agent("--gpus", "2")
    client = agent.client()
    gates = [tmp_path / "one", tmp_path / "two"]
    running = [
        client.submit(
            Submit(source=HOLD.format(gate=str(gate)), gpus=1, cpus=1, memory_bytes=2**28), gate.name
        )
        for gate in gates
    ]
    waiting = client.submit(Submit(source="print(1)", gpus=2, cpus=1, memory_bytes=2**28), "c")
    until(lambda: all(client.job(job.job_id).state is State.RUNNING for job in running))
    agent.kill()
    gates[0].touch()
    log = agent.home / "jobs" / str(running[0].job_id) / "events.ndjson"
    until(lambda: b'"type":"ended"' in log.read_bytes())
    agent.start()
    client = agent.client()
    wait_ended(client, running[0].job_id)
    assert client.job(waiting.job_id).state is State.QUEUED
    gates[1].touch()
    second = wait_ended(client, running[1].job_id)
    assert wait_ended(client, waiting.job_id).started_at >= second.ended_at


def test_a_job_that_was_queued_again_waits_on_after_another_restart(start_agent, tmp_path):
    agent = start_agent("--gpus", "1")
    client = agent.client()
    first = client.submit(Submit(source=HOLD.format(gate=str(tmp_path / "gate"))), "a")
    second = client.submit(Submit(source="import os\nprint(os.environ['X'])", env={"X": "kept"}), "b")
    agent.stop()
    # What a crash between the intent and the hand-over leaves, closed by the agent after it.
    (agent.home / "jobs" / str(second.job_id) / "events.ndjson").touch(mode=0o600)
    agent.start()
    agent.restart()
    client = agent.client()
    assert client.job(second.job_id).state is State.QUEUED
    (tmp_path / "gate").touch()
    assert wait_ended(client, first.job_id).state is State.SUCCEEDED
    assert wait_ended(client, second.job_id).state is State.SUCCEEDED
    assert text_of(list(client.events(second.job_id))) == "kept\n"


def test_a_job_whose_folder_is_gone_is_lost_and_gives_back_what_it_held(agent):
    client = agent.client()
    source = "import os, shutil\nshutil.rmtree(os.path.dirname(os.getcwd()))\nos._exit(0)"
    job = client.submit(Submit(source=source), "k")
    assert wait_ended(client, job.job_id).state is State.LOST
    until(lambda: client.info().cpus_free == client.info().cpus)


def test_values_of_variables_do_not_outlive_a_killed_agent(start_agent, tmp_path):
    agent = start_agent("--gpus", "1")
    client = agent.client()
    gate = tmp_path / "gate"
    first = client.submit(Submit(source=HOLD.format(gate=str(gate)), env={"KEY": "secret"}), "a")
    second = client.submit(Submit(source="1", env={"KEY": "secret"}), "b")
    kept = agent.home / "jobs" / str(second.job_id) / "env.json"
    until(lambda: list(agent.home.glob("jobs/*/env.json")) == [kept])
    agent.kill()
    gate.touch()
    log = agent.home / "jobs" / str(first.job_id) / "events.ndjson"
    until(lambda: b'"type":"ended"' in log.read_bytes())
    # What an agent leaves that is killed before it could delete them, and a submit that was never accepted.
    for name in (str(first.job_id), "77"):
        (agent.home / "jobs" / name).mkdir(exist_ok=True)
        (agent.home / "jobs" / name / "env.json").write_text('{"KEY": "secret"}')
    agent.start()
    assert wait_ended(agent.client(), second.job_id).state is State.SUCCEEDED
    until(lambda: list(agent.home.glob("jobs/*/*env.json*")) == [])
