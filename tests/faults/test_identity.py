"""Processes that are not who they seem to be: a process id that was given again, another boot."""

import os
import subprocess

import psutil
import pytest

from cluster_agent.protocol import State, Submit
from cluster_agent.supervisor.identity import start_time
from running import until, wait_ended


@pytest.fixture
def stranger():
    """A process that has nothing to do with the agent."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def start_a_job(agent):
    client = agent.client()
    job = client.submit(Submit(source="import time\ntime.sleep(600)"), os.urandom(8).hex())
    until(lambda: client.job(job.job_id).state is State.RUNNING)
    started = next(event for event in client.events(job.job_id) if event.type == "started")
    return job, started, agent.home / "jobs" / str(job.job_id) / "events.ndjson"


@pytest.mark.parametrize("forged", ["start time", "boot"])
def test_a_process_id_that_was_given_again_is_nobody_of_ours(agent, stranger, forged):
    """The log names a process that lives; it is another one, so the job is lost and that process unharmed."""
    job, started, log = start_a_job(agent)
    agent.kill()
    psutil.Process(started.pid).kill()
    text = log.read_text()
    assert f'"pid":{started.pid},' in text
    text = text.replace(f'"pid":{started.pid},', f'"pid":{stranger.pid},')
    if forged == "boot":
        text = text.replace(
            f'"pid_started":{started.pid_started}', f'"pid_started":{start_time(stranger.pid)}'
        )
        text = text.replace(started.boot_id, "00000000-0000-0000-0000-000000000000")
    log.write_text(text)
    agent.start()
    client = agent.client()
    ended = wait_ended(client, job.job_id)
    assert (ended.state, ended.complete) == (State.LOST, False)
    client.cancel(job.job_id)
    assert stranger.poll() is None
    until(lambda: client.info().cpus_free == client.info().cpus)


def test_a_supervisor_that_the_agent_cannot_know_keeps_its_job(agent):
    """Its log says another boot, but somebody writes it: whoever writes a log is alive, so nothing is guessed."""
    job, started, log = start_a_job(agent)
    agent.kill()
    with log.open("r+b") as file:
        text = file.read()
        place = text.index(started.boot_id.encode())
        file.seek(place)
        file.write(b"0" * len(started.boot_id))
    agent.start()
    client = agent.client()
    assert client.job(job.job_id).state in {State.RUNNING, State.PREPARING}
    client.cancel(job.job_id)
    assert wait_ended(client, job.job_id).state is State.CANCELLED
