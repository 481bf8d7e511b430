"""Long runs, by ``make soak``: kills at random moments, for minutes."""

import contextlib
import random
import threading
import time

import psutil
import pytest

from cluster_agent.errors import AgentError
from cluster_agent.protocol import DONE, State, Submit
from running import AgentProcess, supervisors, until

JOBS = 200
pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]


def submit_all(agent: AgentProcess, effects, accepted: dict[str, int], stop: threading.Event) -> None:
    """Submit under one key each, again and again until it is answered, whatever happens to the agent."""
    rng = random.Random(3)
    client = agent.client()
    for number in range(JOBS):
        source = f"open({str(effects)!r}, 'a').write('{number}\\n')\nprint({number})"
        if rng.random() < 0.2:
            source += "\nimport time\ntime.sleep(0.5)"
        stop.wait(rng.uniform(0, 0.4))
        while not stop.is_set():
            with contextlib.suppress(AgentError):
                accepted[f"key-{number}"] = client.submit(Submit(source=source), f"key-{number}").job_id
                break


@pytest.mark.parametrize("also_supervisors", [False, True], ids=["agent", "agent and supervisors"])
def test_what_was_accepted_happens_once_through_kills(start_agent, tmp_path, also_supervisors):
    agent = start_agent()
    agent.stop()
    agent.flags = ("--port", agent.url.rpartition(":")[2])
    agent.start()
    effects, accepted, stop = tmp_path / "effects", {}, threading.Event()
    effects.touch()
    submitter = threading.Thread(target=submit_all, args=(agent, effects, accepted, stop))
    submitter.start()
    rng = random.Random(5)
    kills = 0
    try:
        while submitter.is_alive():
            time.sleep(rng.uniform(0.2, 2.5))  # the moment is what is random here
            if also_supervisors and (found := supervisors(agent.home)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    rng.choice(found).kill()
            agent.kill()
            kills += 1
            agent.start()
    finally:
        stop.set()
        submitter.join(60)
    client = agent.client()
    until(lambda: not client.jobs(states=set(State) - DONE).jobs, within_s=300)
    assert kills >= 10
    assert len(accepted) == len(set(accepted.values())) == JOBS
    happened = effects.read_text().split()
    assert len(happened) == len(set(happened))
    for key, job_id in accepted.items():
        job = client.job(job_id)
        events = list(client.events(job_id))
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert [event.type for event in events].count("ended") == 1
        assert events[-1].state is job.state
        if job.state is State.SUCCEEDED:
            assert key.removeprefix("key-") in happened
        else:
            assert also_supervisors, (job_id, job.state, job.reason)
            assert job.state is State.LOST
