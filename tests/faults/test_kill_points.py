"""kill -9 at every step of submit, start and end: what was accepted happens, once, or is called lost."""

import subprocess
import threading

import pytest
from kill_points import AGENT, SUPERVISOR, copy_that_dies, mark_of

from broken import copy_package
from cluster_agent.protocol import State, Submit
from running import until, wait_ended


@pytest.fixture(scope="module")
def dying(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dying")
    return folder, copy_that_dies(folder)


def check_whole(client, job_id):
    """The log is gapless and has one end, which is the one that the API tells."""
    job, events = client.job(job_id), list(client.events(job_id))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.type for event in events].count("ended") == 1
    assert (events[-1].type, events[-1].state) == ("ended", job.state)
    return job


@pytest.mark.parametrize("step", AGENT)
def test_agent_killed_when(step, dying, start_agent, tmp_path):
    """The client sends again under its key until it is answered: one job, and its cell runs once."""
    folder, python = dying
    agent = start_agent(python=python)
    mark, effects = mark_of(folder, step), tmp_path / "effects"
    mark.touch()
    client = agent.client()
    spec = Submit(source=f"open({str(effects)!r}, 'a').write('x')", env={"KEY": "value"})
    answers = []

    sender = threading.Thread(target=lambda: answers.append(client.submit(spec, "one")))
    sender.start()
    until(lambda: not mark.exists())
    agent.kill()
    agent.flags = ("--port", agent.url.rpartition(":")[2])
    agent.start()
    sender.join(60)
    client = agent.client()
    job = client.submit(spec, "one")
    assert [answer.job_id for answer in answers] == [job.job_id]
    wait_ended(client, job.job_id)
    job = check_whole(client, job.job_id)
    assert job.state is State.SUCCEEDED, job.reason
    assert effects.read_text() == "x"
    assert len(client.jobs().jobs) == 1
    assert not list(agent.home.glob("jobs/*/env.json"))


@pytest.mark.parametrize("step", SUPERVISOR)
def test_supervisor_killed_when(step, dying, start_agent, tmp_path):
    """The cell runs at most once, and what nobody saw to its end is lost."""
    folder, python = dying
    may_have_run = SUPERVISOR[step][2]
    agent = start_agent(python=python)
    mark, effects = mark_of(folder, step), tmp_path / "effects"
    mark.touch()
    client = agent.client()
    job = client.submit(Submit(source=f"open({str(effects)!r}, 'a').write('x')"), "one")
    wait_ended(client, job.job_id)
    assert not mark.exists()
    job = check_whole(client, job.job_id)
    written = step == "behind the end"
    assert job.state is (State.LOST if may_have_run and not written else State.SUCCEEDED), job.reason
    assert job.complete is (job.state is State.SUCCEEDED)
    assert effects.exists() <= may_have_run or effects.read_text() == "x"
    until(lambda: client.info().cpus_free == client.info().cpus)


def test_a_copy_has_its_own_code_and_the_packages_of_this_environment(tmp_path):
    python = copy_package(tmp_path / "copy")
    code = "import cluster_agent, tornado, sys; print(cluster_agent.__file__)"
    told = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.startswith(str(tmp_path))
