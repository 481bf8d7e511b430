"""The wall clock is set while jobs run and wait: nothing ends, starts or is deleted because of that."""

import os

import httpx
import pytest
from clocks import WallClock

from cluster_agent.errors import Unauthorized
from cluster_agent.protocol import State, Submit
from running import run_cell, until, wait_ended

HOUR_S, DAY_S = 3600.0, 86400.0
SLEEP = "import time\ntime.sleep(600)"


@pytest.fixture
def clock(tmp_path):
    return WallClock(tmp_path / "clock")


def submit(client, source=SLEEP, **spec):
    return client.submit(Submit(source=source, **spec), os.urandom(8).hex())


def told_its_hour(client, job, clock):
    return HOUR_S - 120 < client.job(job.job_id).deadline_at - clock.now() <= HOUR_S


@pytest.mark.parametrize("ahead_s", [2 * DAY_S, -400 * DAY_S], ids=["ahead", "back"])
def test_a_clock_that_is_set_ends_no_job_and_delays_no_end(start_agent, clock, ahead_s):
    agent = start_agent(python=clock.python)
    client = agent.client()
    running = submit(client, timeout_s=HOUR_S)
    until(lambda: client.job(running.job_id).state is State.RUNNING)
    clock.set(ahead_s)
    late = submit(client, timeout_s=1.0, grace_s=0.1)
    ended = wait_ended(client, late.job_id)
    assert (ended.state, ended.seconds < 60) == (State.TIMED_OUT, True)
    assert abs(ended.ended_at - clock.now()) < 60
    assert client.job(running.job_id).state is State.RUNNING
    assert told_its_hour(client, running, clock)
    agent.kill()
    agent.start()
    client = agent.client()
    assert client.job(running.job_id).state is State.RUNNING
    until(lambda: told_its_hour(client, running, clock))
    client.cancel(running.job_id)
    ended = wait_ended(client, running.job_id)
    assert (ended.state, 0 < ended.seconds < 120) == (State.CANCELLED, True)
    times = [event.t for event in client.events(running.job_id)]
    assert times == sorted(times)


@pytest.mark.parametrize("ahead_s", [2 * DAY_S, -2 * DAY_S], ids=["ahead", "back"])
def test_what_waiting_jobs_are_told_is_right_when_the_clock_was_set(start_agent, clock, ahead_s):
    agent = start_agent("--gpus", "1", python=clock.python)
    client = agent.client()
    first = submit(client, timeout_s=HOUR_S)
    until(lambda: client.job(first.job_id).state is State.RUNNING)
    second = submit(client, timeout_s=HOUR_S)
    clock.set(ahead_s)
    third = submit(client)
    for job, hours in ((second, 1), (third, 2)):
        told = client.job(job.job_id)
        assert (told.state, told.position) == (State.QUEUED, hours)
        assert hours * HOUR_S - 120 < told.starts_by - clock.now() < hours * HOUR_S + 900
    client.cancel(first.job_id)
    until(lambda: client.job(second.job_id).state is State.RUNNING)


def test_a_drain_lasts_until_the_clock_says_so(start_agent, clock):
    agent = start_agent(python=clock.python)
    client = agent.client()
    client.drain(until_at=clock.now() + HOUR_S)
    job = submit(client, "print(1)")
    assert client.info().draining
    clock.set(2 * HOUR_S)
    assert not client.info().draining
    clock.set(0)
    assert client.info().draining
    assert client.job(job.job_id).state is State.QUEUED
    clock.set(2 * HOUR_S)
    run_cell(client, "print(2)")
    assert wait_ended(client, job.job_id).state is State.SUCCEEDED


def test_a_clock_that_is_a_year_ahead_deletes_nothing(start_agent, clock):
    agent = start_agent(python=clock.python)
    client = agent.client()
    job, _ = run_cell(client, "print(1)")
    clock.set(365 * DAY_S)
    assert client.collect().deleted == 0
    agent.stop()
    agent.start()
    client = agent.client()
    until(lambda: client.info().kept_bytes)
    assert client.job(job.job_id).state is State.SUCCEEDED
    clock.set(0)
    assert client.collect().deleted == 0
    agent.restart()
    assert agent.client().job(job.job_id).state is State.SUCCEEDED


def test_tokens_and_links_when_the_clock_is_set(start_agent, clock):
    agent = start_agent(python=clock.python)
    client = agent.client()
    job, _ = run_cell(client, "print(1)")
    short = client.create_token(client.info().user, expires_s=HOUR_S).token
    code = client.view_code(job.job_id).code
    clock.set(2 * HOUR_S)
    with pytest.raises(Unauthorized, match="has expired"):
        agent.client(short).info()
    clock.set(0)
    assert agent.client(short).info().agent_id
    clock.set(-DAY_S)
    answer = httpx.post(f"{agent.url}/v1/view-token", json={"code": code}, trust_env=False)
    assert answer.json()["job_id"] == job.job_id
