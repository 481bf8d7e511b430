"""One job from submit to end, through a real agent, supervisor and kit."""

import contextlib
import hashlib
import itertools
import os
import sys
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from cluster_agent.errors import Conflict, Gone, NotFound
from cluster_agent.protocol import State, Submit
from running import run_cell, text_of, until, wait_ended


def test_a_cell_ends_as_its_exit_code_says(agent):
    client = agent.client()
    job, events = run_cell(
        client, "import os\nprint('hello', os.environ['MLMAGICS_JOB_ID'])\n6 * 7", name="first"
    )
    assert (job.state, job.exit_code, job.complete, job.name) == (State.SUCCEEDED, 0, True, "first")
    assert text_of(events) == f"hello {job.job_id}\n"
    shown = [event for event in events if event.type == "display"]
    assert [(event.data, event.result) for event in shown] == [({"text/plain": "42"}, True)]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[-1].streams["stdout"].sha256 == hashlib.sha256(text_of(events).encode()).hexdigest()
    assert job.peak_memory_bytes > 2**20
    assert job.started_at >= job.submitted_at


@pytest.mark.parametrize(
    ("source", "state", "exit_code", "signal"),
    [
        ("import sys; sys.exit(3)", State.FAILED, 3, None),
        ("import sys; sys.exit(0)", State.SUCCEEDED, 0, None),
        ("1/0", State.FAILED, 1, None),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", State.FAILED, None, "SIGKILL"),
        ("import os; os.abort()", State.FAILED, None, "SIGABRT"),
        ("import os; os._exit(0)", State.SUCCEEDED, 0, None),
    ],
)
def test_ends(agent, source, state, exit_code, signal):
    job, events = run_cell(agent.client(), source)
    assert (job.state, job.exit_code, job.signal) == (state, exit_code, signal)
    assert events[-1].type == "ended"
    assert events[-1].state == state


def test_an_exception_is_an_error_event_with_the_cells_own_lines(agent):
    _job, events = run_cell(agent.client(), "def f(x):\n    return 1 / x\n\nprint('before')\nf(0)")
    told = [event.type for event in events]
    assert told.index("output") < told.index("error") < told.index("ended")
    error = next(event for event in events if event.type == "error")
    assert (error.ename, error.evalue) == ("ZeroDivisionError", "division by zero")
    text = "\n".join(error.traceback)
    assert "return" in text
    assert "mlmagics_job" not in text


def test_timeout_ends_the_job_and_says_so(agent):
    job, _ = run_cell(agent.client(), "import time\ntime.sleep(600)", timeout_s=0.5, grace_s=5)
    assert job.state is State.TIMED_OUT
    assert "0.5 s" in job.reason


def test_cancel_ends_the_whole_tree(agent, tmp_path):
    pids = tmp_path / "pids"
    source = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
with open({str(pids)!r}, "w") as f: f.write(f"{{os.getpid()}} {{child.pid}}\\n")
print("up", flush=True)
time.sleep(600)
"""
    client = agent.client()
    job = client.submit(Submit(source=source), "k")
    until(lambda: pids.exists() and pids.read_text().endswith("\n"))
    told = client.cancel(job.job_id, "enough")
    assert told.stopping or told.state is State.CANCELLED
    ended = wait_ended(client, job.job_id)
    assert ended.state is State.CANCELLED
    assert not any(psutil.pid_exists(int(pid)) for pid in pids.read_text().split())
    assert client.cancel(job.job_id).state is State.CANCELLED


def test_cancel_of_a_queued_job_never_starts_it(start_agent, tmp_path):
    client = start_agent("--gpus", "1").client()
    first = client.submit(Submit(source="import time\ntime.sleep(600)"), "a")
    second = client.submit(Submit(source=f"open({str(tmp_path / 'ran')!r}, 'w')"), "b")
    until(lambda: client.job(second.job_id).position == 1)
    told = client.job(second.job_id)
    assert told.waiting_for.startswith(f"needs 1 GPU, 0 free; after job/{first.job_id}, which ends by ")
    assert told.starts_by > first.submitted_at + first.timeout_s
    assert client.cancel(second.job_id).state is State.CANCELLED
    assert [event.type for event in client.follow(second.job_id)] == ["ended"]
    client.cancel(first.job_id)
    assert wait_ended(client, first.job_id).state is State.CANCELLED
    assert not (tmp_path / "ran").exists()


def test_cancel_at_the_very_end_leaves_one_true_end(agent):
    client = agent.client()
    for number in range(8):
        job = client.submit(Submit(source="print('done')"), f"k{number}")
        stream = client.follow(job.job_id)
        for event in stream:
            if event.type == "output":
                client.cancel(job.job_id)
        ended = client.job(job.job_id)
        assert ended.state in {State.SUCCEEDED, State.CANCELLED}
        assert [event.type for event in client.events(job.job_id)].count("ended") == 1


def test_fifty_equal_submits_with_one_key_are_one_job(agent):
    client = agent.client()
    body = Submit(source="print(1)")
    with ThreadPoolExecutor(50) as pool:
        jobs = list(pool.map(lambda _: client.submit(body, "one-key"), range(50)))
    assert len({job.job_id for job in jobs}) == 1
    assert len(client.jobs().jobs) == 1
    with pytest.raises(Conflict, match="was submitted with another body"):
        client.submit(Submit(source="print(2)"), "one-key")
    agent.restart()
    assert agent.client().submit(body, "one-key").job_id == jobs[0].job_id


def test_values_of_variables_reach_the_job_and_nothing_else(agent):
    secret = "s3cret-" + os.urandom(8).hex()
    job, events = run_cell(agent.client(), "import os\nprint(len(os.environ['KEY']))", env={"KEY": secret})
    assert text_of(events) == f"{len(secret)}\n"
    assert job.env_names == ["KEY"]
    agent.stop()
    holders = [
        path for path in agent.home.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()
    ]
    assert holders == []


def test_the_job_gets_an_environment_of_its_own(start_agent, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    agent = start_agent("--gpus", "2")
    source = "import os\nprint(os.environ['CUDA_VISIBLE_DEVICES'], 'PYTHONUNBUFFERED' in os.environ, 'AWS_SECRET_ACCESS_KEY' in os.environ, os.listdir())"
    _, events = run_cell(agent.client(), source, gpus=2)
    assert text_of(events) == "0,1 False False []\n"
    _, events = run_cell(agent.client(), source, gpus=0)
    assert text_of(events) == " False False []\n"


def test_jobs_of_the_same_gpu_wait_for_each_other(start_agent):
    client = start_agent("--gpus", "1").client()
    source = "import os\nprint(os.environ['CUDA_VISIBLE_DEVICES'])"
    jobs = [client.submit(Submit(source=source), f"k{number}") for number in range(4)]
    ended = [wait_ended(client, job.job_id) for job in jobs]
    for one, other in itertools.pairwise(ended):
        assert other.started_at >= one.ended_at


def test_a_queued_job_tells_its_place_while_it_is_followed(start_agent):
    client = start_agent("--gpus", "1").client()
    first = client.submit(Submit(source="import time\ntime.sleep(600)"), "a")
    second = client.submit(Submit(source="print('my turn')"), "b")
    seen = []
    for event in client.follow(second.job_id):
        seen.append(event)
        if event.type == "queue":
            client.cancel(first.job_id)
    assert (seen[0].type, seen[0].position) == ("queue", 1)
    assert seen[0].waiting_for.startswith(f"needs 1 GPU, 0 free; after job/{first.job_id}, ")
    assert seen[0].starts_by > first.submitted_at + first.timeout_s
    assert seen[-1].state is State.SUCCEEDED


def test_a_job_without_mlmagics_in_its_environment(start_agent, tmp_path):
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    python = tmp_path / "env" / "bin" / "python"
    agent = start_agent("--python", str(python))
    source = """
import importlib.util, sys
print(sys.prefix, importlib.util.find_spec("msgspec"), importlib.util.find_spec("IPython"))
import mlmagics
mlmagics.log(rmse=0.5, step=3)
with mlmagics.project.path("a/b.txt", "w") as p:
    open(p, "w").write("kept")
"""
    job, events = run_cell(agent.client(), source)
    assert job.state is State.SUCCEEDED, text_of(events, "stderr")
    assert text_of(events) == f"{tmp_path / 'env'} None None\n"
    assert [event.values for event in events if event.type == "metric"] == [{"rmse": 0.5}]
    assert (agent.home / "project" / "a" / "b.txt").read_text() == "kept"
    assert agent.client().info().python == str(python)


def test_files_left_in_the_working_folder_can_be_fetched(agent):
    client = agent.client()
    source = "import os\nos.mkdir('out')\nopen('out/a.bin', 'wb').write(b'x' * 100000)\nos.symlink('/etc/passwd', 'link')"
    job, _events = run_cell(client, source)
    left = client.job_files(job.job_id)
    assert [(entry.path, entry.size) for entry in left] == [("out/a.bin", 100000)]
    assert left[0].sha256 == hashlib.sha256(b"x" * 100000).hexdigest()
    assert b"".join(client.job_file(job.job_id, "out/a.bin")) == b"x" * 100000
    for path in ("link", "../events.ndjson", "out"):
        with pytest.raises(Exception, match=r"link|path|folder|there is no"):
            b"".join(client.job_file(job.job_id, path))


def test_raw_output_with_ranges(agent):
    client = agent.client()
    job, _ = run_cell(
        client, "import sys\nsys.stdout.buffer.write(bytes(range(256)) * 4096)\nprint('e', file=sys.stderr)"
    )
    whole = bytes(range(256)) * 4096
    assert b"".join(client.output(job.job_id, "stdout")) == whole
    assert b"".join(client.output(job.job_id, "stdout", offset=70_000)) == whole[70_000:]
    assert b"".join(client.output(job.job_id, "stderr")) == b"e\n"
    with pytest.raises(NotFound):
        b"".join(client.output(job.job_id, "stdlog"))


def test_cursors_and_tails(agent):
    client = agent.client()
    job, events = run_cell(client, "for i in range(50): print(i, flush=True)")
    tag = job.log_tag
    again = list(client.events(job.job_id, after=f"{tag}.{events[2].seq}"))
    assert [event.seq for event in again] == [event.seq for event in events[3:]]
    assert [event.seq for event in client.events(job.job_id, tail=2)] == [event.seq for event in events[-2:]]
    assert list(client.events(job.job_id, after=f"{tag}.{events[-1].seq}")) == []
    other = "0" * 8 if tag != "0" * 8 else "1" * 8
    with pytest.raises(Gone) as caught:
        list(client.events(job.job_id, after=f"{other}.3"))
    assert caught.value.nearest == "0"


def test_a_log_larger_than_its_limit_counts_what_it_drops(start_agent):
    client = start_agent("--log-limit", "1M").client()
    job, events = run_cell(client, "for i in range(60000): print(f'{i:099}')")
    assert job.state is State.SUCCEEDED
    assert any(event.type == "dropped" for event in events)
    assert events[-1].streams["stdout"].bytes == 60000 * 100
    assert text_of(events).endswith(f"{59999:099}\n")


def test_one_thousand_lines_arrive_while_the_job_runs(agent):
    client = agent.client()
    gate = agent.home.parent / "gate"
    source = f"print('first', flush=True)\nimport os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)\nprint('second')"
    job = client.submit(Submit(source=source), "k")
    seen = []
    for event in client.follow(job.job_id):
        seen.append(event)
        if event.type == "output" and "first" in (event.text or ""):
            assert client.job(job.job_id).state is State.RUNNING
            gate.touch()
    assert text_of(seen) == "first\nsecond\n"


def test_extend_moves_the_end(agent):
    client = agent.client()
    job = client.submit(Submit(source="import time\ntime.sleep(2)\nprint('made it')", timeout_s=1), "k")
    assert client.extend(job.job_id, 600).timeout_s == 601
    assert wait_ended(client, job.job_id).state is State.SUCCEEDED
    with pytest.raises(Conflict, match="has ended"):
        client.extend(job.job_id, 5)


def test_many_jobs_at_once(agent):
    client = agent.client()
    jobs = [client.submit(Submit(source=f"print({number})"), f"k{number}") for number in range(30)]
    texts = [text_of(list(client.follow(job.job_id))) for job in jobs]
    assert texts == [f"{number}\n" for number in range(30)]
    assert {client.job(job.job_id).state for job in jobs} == {State.SUCCEEDED}
    info = client.info()
    assert (info.running, info.queued, info.cpus_free) == (0, 0, info.cpus)


def test_python_named_by_the_spec_is_for_agents_of_ones_own(agent):
    with pytest.raises(Exception, match="decides which Python"):
        agent.client().submit(Submit(source="1", python=sys.executable), "k")
    assert Path(agent.client().info().python).exists()


def test_cancel_of_the_head_of_the_queue_starts_those_behind(start_agent):
    client = start_agent("--gpus", "2").client()
    first = client.submit(Submit(source="import time\ntime.sleep(600)", gpus=1), "a")
    head = client.submit(Submit(source="1", gpus=2), "b")
    behind = client.submit(Submit(source="print('mine')", gpus=1), "c")
    assert client.job(behind.job_id).waiting_for.startswith("waits for ")
    client.cancel(head.job_id)
    assert wait_ended(client, behind.job_id).state is State.SUCCEEDED
    client.cancel(first.job_id)


def test_extend_and_cancel_at_once_leave_no_phantom(start_agent):
    client = start_agent("--gpus", "1").client()
    first = client.submit(Submit(source="import time\ntime.sleep(600)"), "a")
    jobs = [client.submit(Submit(source="1"), f"b{number}").job_id for number in range(20)]

    def extend(job_id):
        with contextlib.suppress(Conflict):
            client.extend(job_id, 1)

    with ThreadPoolExecutor(8) as pool:
        for job_id in jobs:
            pool.submit(extend, job_id)
            pool.submit(client.cancel, job_id)
    assert {client.job(job_id).state for job_id in jobs} == {State.CANCELLED}
    assert client.info().queued == 0
    client.cancel(first.job_id)


def test_pipes_in_place_of_log_and_blob_freeze_nobody(agent):
    client = agent.client()
    name = "a" * 64
    source = f"import os\nos.mkdir('../blobs')\nos.mkfifo('../blobs/{name}')\nos.mkfifo('pipe')"
    job, _ = run_cell(client, source)
    for ask in (lambda: client.blob(job.job_id, name), lambda: b"".join(client.job_file(job.job_id, "pipe"))):
        with pytest.raises(Exception, match="pipe"):
            ask()
    assert client.info().agent_id


def test_a_working_folder_that_became_a_link_is_not_followed(agent, tmp_path):
    client = agent.client()
    (tmp_path / "secret").write_text("not the job's")
    source = f"import os\nos.chdir('..')\nos.rmdir('work')\nos.symlink({str(tmp_path)!r}, 'work')"
    job, _ = run_cell(client, source)
    with pytest.raises(Exception, match="folder"):
        b"".join(client.job_file(job.job_id, "secret"))
