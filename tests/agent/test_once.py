"""``once``: what was done already, or is under way, is not done again."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from cluster_agent.protocol import FileInput, SourceInput, State, Submit
from running import agent_command, until, wait_ended

WAITS = "import pathlib, time\nwhile not pathlib.Path({!r}).exists(): time.sleep(0.02)"
ONE = Submit(source="print(1)", params={"rate": "0.5"}, once=True, gpus=0)


def submit(client, spec, **changes):
    return client.submit(msgspec.structs.replace(spec, **changes), os.urandom(8).hex())


def test_a_job_that_succeeded_stands_in_for_an_equal_one(agent):
    client = agent.client()
    first = submit(client, ONE)
    assert first.same_as is None
    wait_ended(client, first.job_id)
    # how it is called and how much of the box it gets do not count
    again = submit(client, ONE, name="other", cpus=2, timeout_s=5.0, notebook="nb", priority="low")
    assert (again.job_id, again.same_as, again.state) == (first.job_id, first.job_id, State.SUCCEEDED)
    new = submit(client, ONE, once=False)
    assert (new.job_id, new.same_as) == (first.job_id + 1, None)
    wait_ended(client, new.job_id)
    assert submit(client, ONE).job_id == new.job_id


def test_what_may_change_the_outcome_makes_another_job(agent, tmp_path):
    client = agent.client()
    module = b"RATE = 1"
    sha = hashlib.sha256(module).hexdigest()
    client.send_blob(sha, len(module), [module])
    ids = set()
    for changes in (
        {},
        {"source": "print(2)"},
        {"params": {"rate": "0.6"}},
        {"env": {"SEED": "1"}},
        {"env": {"SEED": "2"}},
        {"sources": [SourceInput(name="f", origin="In[1]", text="def f(): pass")]},
        {"files": [FileInput(path="a.py", sha256=sha, size=len(module))]},
        {"files": [FileInput(path="b.py", sha256=sha, size=len(module))]},
    ):
        job = submit(client, ONE, **changes)
        assert job.same_as is None, changes
        ids.add(job.job_id)
        wait_ended(client, job.job_id)
        assert submit(client, ONE, **changes).job_id == job.job_id
    assert len(ids) == 8
    # where a function stood in the notebook changes with each run of its cell
    elsewhere = [SourceInput(name="f", origin="In[9]", text="def f(): pass", line=3)]
    assert submit(client, ONE, sources=elsewhere).same_as is not None
    # one that did not keep what is asked for now cannot stand in
    kept = submit(client, ONE, source="m = 1", fetch=["m", "n"])
    wait_ended(client, kept.job_id)
    assert submit(client, ONE, source="m = 1", fetch=["m"]).job_id == kept.job_id
    assert submit(client, ONE, source="m = 1", fetch=["x"]).job_id == kept.job_id + 1


@pytest.mark.parametrize("end", ["1 / 0", "cancel"])
def test_one_that_went_wrong_does_not_stand_in(agent, tmp_path, end):
    client = agent.client()
    source = WAITS.format(str(tmp_path / "never")) if end == "cancel" else end
    first = submit(client, ONE, source=source)
    if end == "cancel":
        assert submit(client, ONE, source=source).job_id == first.job_id
        client.cancel(first.job_id)
    wait_ended(client, first.job_id)
    assert submit(client, ONE, source=source).job_id == first.job_id + 1


def test_equal_submits_at_once_are_one_job_and_without_once_they_are_told(agent, tmp_path):
    client, go = agent.client(), tmp_path / "go"
    spec = msgspec.structs.replace(ONE, source=WAITS.format(str(go)), cpus=1)
    with ThreadPoolExecutor(10) as pool:
        jobs = list(pool.map(lambda _: submit(client, spec), range(20)))
    assert {job.job_id for job in jobs} == {1}
    assert sorted(job.same_as or 0 for job in jobs) == [0, *[1] * 19]
    other = submit(client, spec, once=False)
    assert (other.job_id, other.same_as) == (2, 1)
    assert len(client.jobs().jobs) == 2
    go.touch()
    until(lambda: client.job(2).state is State.SUCCEEDED)


def test_a_lost_answer_is_given_again(agent):
    client = agent.client()
    made = client.submit(ONE, "key")
    wait_ended(client, made.job_id)
    assert client.submit(ONE, "key").job_id == made.job_id
    assert client.submit(ONE, "other").same_as == made.job_id
    assert client.submit(ONE, "other").same_as == made.job_id


def test_jobs_of_others_stand_in_only_for_those_who_may_see_them(start_agent):
    agent = start_agent("--shared-uid")
    ada = agent.client(agent_command(agent.home, "token", "create", "ada")[0])
    grace = agent.client(agent_command(agent.home, "token", "create", "grace")[0])
    first = submit(ada, ONE)
    wait_ended(ada, first.job_id)
    second = submit(grace, ONE)
    assert (second.job_id, second.same_as) == (first.job_id + 1, None)
    wait_ended(grace, second.job_id)
    assert submit(ada, ONE).job_id == first.job_id
    assert submit(agent.client(), ONE).job_id == second.job_id
    # and whether somebody else does the same is nobody's business
    assert submit(ada, ONE, once=False).same_as is None
