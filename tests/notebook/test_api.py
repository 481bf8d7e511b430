"""The Python twins of the magics, with agents that really run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading

import msgspec
import pytest

from cluster_agent.protocol import State
from mlmagics import api
from mlmagics.cluster.local import LocalAgent
from mlmagics.cluster.session import Session
from mlmagics.cluster.store import Attachment, AttachmentStore
from mlmagics.errors import AmbiguousJob, BadValue, ClusterError, JobFailed, UserError, WaitTimeout
from mlmagics.job.feed import Feed
from running import until

FOREVER = "import time\nprint('on', flush=True)\nwhile True: time.sleep(0.1)"


@pytest.fixture
def make_session(settings, tmp_path):
    made = []

    def make(notebook=""):
        store = AttachmentStore(tmp_path / "config")
        session = Session(store, LocalAgent(tmp_path / "local"), notebook=notebook)
        made.append(session)
        return session

    yield make
    for session in made:
        session.close()


@pytest.fixture
def session(make_session):
    """A kernel of a person who has attached gpu-box."""
    return make_session()


@pytest.fixture
def big_box(session, start_agent):
    agent = start_agent()
    session.store.put(Attachment(name="big-box", url=agent.url), token=agent.token)
    return agent


def run(session, source="print('hi')", on="gpu-box", **options):
    return api.submit(source, on, session=session, **options)


# --- one job ----------------------------------------------------------------------------------------------


def test_a_job_runs_and_tells_all_that_it_printed_and_showed(session, agent):
    job = run(session, "print('hi')\nimport sys\nprint('oh', file=sys.stderr)\n40 + 2", name="first")
    assert job.wait() is job
    assert job.state is State.SUCCEEDED
    assert job.word == "Finished"
    assert job.logs().split() == ["hi", "oh", "42"]
    assert job.ref == "gpu-box/1"
    assert job.history_url == f"{agent.url}/history/1"
    assert job.notes == ()


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("raise SystemExit(3)", "gpu-box/1 failed: exit code 3."),
        ("raise ValueError('bad trips')", "gpu-box/1 failed: ValueError: bad trips."),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "gpu-box/1 failed: ended by SIGSEGV"),
    ],
)
def test_waiting_for_a_job_that_fails_raises_its_cause(session, source, line):
    with pytest.raises(JobFailed) as caught:
        run(session, source).wait()
    assert caught.value.message.startswith(line)
    assert caught.value.ref == "gpu-box/1"


def test_the_remote_traceback_comes_along_even_below_many_files(session):
    source = "for i in range(150):\n    open(f'{i}.txt', 'w').close()\nraise ValueError('bad trips')"
    with pytest.raises(JobFailed, match="ValueError: bad trips") as caught:
        run(session, source).wait()
    assert "bad trips" in "\n".join(caught.value.remote_traceback)


def test_a_timeout_and_a_cancel_are_told_as_such(session):
    timed_out = run(session, FOREVER, timeout="1s", grace="1s")
    with pytest.raises(JobFailed, match="gpu-box/1 timed out: "):
        timed_out.wait()
    job = run(session, FOREVER)
    assert api.cancel(job, session=session) == [job]
    with pytest.raises(JobFailed, match="gpu-box/2 cancelled: "):
        job.wait()
    assert job.cancel().state is State.CANCELLED


def test_waiting_has_a_limit_and_the_job_goes_on(session):
    job = run(session, FOREVER)
    with pytest.raises(WaitTimeout, match="gpu-box/1 has not ended; it goes on"):
        job.wait(0.2)
    assert job.state in (State.PREPARING, State.RUNNING)


def test_waiting_for_several_raises_once_all_have_ended(session):
    bad, good = run(session, "raise SystemExit(3)"), run(session, "import time; time.sleep(0.5)")
    with pytest.raises(JobFailed, match="gpu-box/1 failed: exit code 3"):
        api.wait([bad, good], session=session)
    assert good.info.state is State.SUCCEEDED
    worse = run(session, "raise SystemExit(4)")
    with pytest.raises(JobFailed, match=r"gpu-box/1 failed: .* Not finished either: gpu-box/3 \(Failed\)"):
        api.wait([bad, worse], session=session)
    assert api.wait("gpu-box/2", session=session) == [good]


def test_a_job_can_be_awaited(session):
    async def both():
        job = run(session, "print('hi')")
        assert await job is job
        with pytest.raises(JobFailed, match="exit code 3"):
            await run(session, "raise SystemExit(3)")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(_awaited(run(session, FOREVER)), 0.2)

    asyncio.run(both())
    until(lambda: not [thread for thread in threading.enumerate() if "mlmagics-await" in thread.name])


async def _awaited(job):
    return await job


def test_options_arrive(session, monkeypatch):
    monkeypatch.setenv("MY_KEY", "from here")
    job = run(
        session,
        "import os\nprint(os.environ['MY_KEY'], os.environ['OTHER'])",
        name="train",
        cpus=1,
        memory="512M",
        timeout="90s",
        grace=5,
        priority="low",
        env={"MY_KEY": None, "OTHER": "x"},
    )
    assert job.wait().logs() == "from here x\n"
    info = job.refresh().info
    assert (info.name, info.cpus, info.memory_bytes, info.timeout_s, info.grace_s) == (
        "train",
        1,
        2**29,
        90,
        5,
    )
    assert info.priority == "low"
    assert sorted(info.env_names) == ["MY_KEY", "OTHER"]


def test_what_the_agent_refuses_is_one_line_with_its_field(session):
    with pytest.raises(ClusterError) as caught:
        run(session, gpus=999)
    assert caught.value.message.startswith("gpu-box: ")
    assert caught.value.field == "gpus"
    assert "\n" not in caught.value.message


def test_a_job_runs_again_with_changes_and_the_same_variables(session, monkeypatch):
    monkeypatch.setenv("MY_KEY", "1")
    first = run(
        session, "import os\nprint(os.environ['MY_KEY'])", name="train", env={"MY_KEY": None}, timeout="1h"
    )
    monkeypatch.setenv("MY_KEY", "2")
    second = first.wait().resubmit(timeout="2h")
    assert second.wait().logs() == "2\n"
    assert (second.info.retry_of, second.info.name, second.info.timeout_s) == (1, "train", 7200)
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(BadValue, match="MY_KEY is not set"):
        first.resubmit()
    with pytest.raises(BadValue, match="'colour' is not an option"):
        first.resubmit(colour="red")


def test_files_that_a_job_left_are_listed_and_copied(session, tmp_path):
    source = "import os\nos.makedirs('models')\nopen('models/m.json', 'w').write('{}')\nopen('log', 'w').write('x')"
    job = run(session, source).wait()
    assert sorted(entry.path for entry in job.files() if entry.type == "file") == ["log", "models/m.json"]
    with pytest.raises(BadValue, match="gpu-box/1 left no file 'nothing'"):
        job.fetch_files(tmp_path / "got", ["nothing"])
    assert job.fetch_files(tmp_path / "got", ["models"]) == [tmp_path / "got" / "models" / "m.json"]
    assert len(job.fetch_files(tmp_path / "all")) == 2
    assert (tmp_path / "all" / "models" / "m.json").read_text() == "{}"


def test_a_page_code_opens_at_the_address_that_works_here(session, agent):
    code = run(session).view_code()
    assert code.url == f"{agent.url}/history/1#code={code.code}"


# --- which job is meant -----------------------------------------------------------------------------------


def test_a_job_is_found_by_its_name_its_address_and_its_handle(session, make_session, agent):
    job = run(session, name="train")
    for ref in (
        "gpu-box/1",
        " gpu-box/1 ",
        f"{agent.url}/history/1",
        f"{agent.url}/history/1#code=x",
        job,
        1,
        "1",
    ):
        assert api.find(ref, session=session) is job
    assert api.find(None, job.history_url, session=session) is job
    other_kernel = make_session()
    assert api.find("gpu-box/1", session=other_kernel).info.name == "train"


def test_a_job_that_is_not_there_is_told(session):
    with pytest.raises(ClusterError, match="gpu-box has no job 9 of yours"):
        api.find("gpu-box/9", session=session)
    with pytest.raises(BadValue, match="no attached cluster has a job 9 of yours"):
        api.find("9", session=session)


def test_a_bare_number_is_taken_when_this_kernel_knows_one_such_job(session, big_box, make_session):
    job = run(session, on="gpu-box")
    run(make_session(), on="big-box", name="else")
    assert api.find(1, session=session) is job


def test_a_bare_number_with_several_candidates_does_nothing(session, big_box):
    here, there = run(session, FOREVER, name="here"), run(session, FOREVER, on="big-box", name="there")
    with pytest.raises(AmbiguousJob, match=r"1 could be big-box/1 \(there, .*; gpu-box/1 \(here, "):
        api.cancel(1, session=session)
    assert not here.refresh().info.stopping
    assert not there.refresh().info.stopping


def test_a_bare_number_that_this_kernel_does_not_know_lists_the_candidates(session, make_session):
    run(session, name="train").wait()
    with pytest.raises(
        AmbiguousJob, match=r"1 is not a job of this kernel.*: gpu-box/1 \(train, Finished, submitted"
    ):
        api.find("1", session=make_session())


def test_nothing_is_cancelled_when_one_of_several_is_not_found(session):
    job = run(session, FOREVER)
    with pytest.raises(ClusterError):
        api.cancel(job, "gpu-box/9", session=session)
    assert not job.refresh().info.stopping


def test_without_a_name_the_nearest_job_is_meant(session, big_box, make_session):
    ours = make_session(notebook="a" * 16)
    with pytest.raises(UserError, match="there is no job yet"):
        api.find(session=ours)
    mine = run(session, on="big-box", name="of no notebook")
    assert api.find(session=make_session(notebook="a" * 16)).ref == mine.ref
    of_notebook = run(ours, name="of this notebook")
    newer = run(session, on="big-box", name="newer")
    assert api.find(session=ours) is of_notebook
    api.find(newer.ref, session=ours)
    assert api.find(session=ours) is of_notebook
    restarted = make_session(notebook="a" * 16)
    assert api.find(session=restarted).ref == of_notebook.ref
    assert api.find(session=make_session(notebook="b" * 16)).ref == newer.ref
    api.find(mine.ref, session=restarted)
    assert api.find(session=restarted).ref == mine.ref


# --- lists ------------------------------------------------------------------------------------------------


def test_jobs_of_all_clusters_are_listed_newest_first(session, big_box):
    run(session, name="one").wait()
    run(session, FOREVER, on="big-box", name="two")
    with pytest.raises(JobFailed):
        run(session, "raise SystemExit(3)", name="three").wait()

    def refs(**options):
        return [job.ref for job in api.jobs(session=session, **options).jobs]

    assert refs() == ["gpu-box/2", "big-box/1", "gpu-box/1"]
    assert refs(limit=1) == ["gpu-box/2", "big-box/1"]
    assert refs(state="Failed") == refs(state="failed") == ["gpu-box/2"]
    assert refs(state="done") == ["gpu-box/2", "gpu-box/1"]
    assert refs(state="active") == ["big-box/1"]
    assert refs(on="big-box") == ["big-box/1"]
    assert refs(name="one") == ["gpu-box/1"]
    assert refs(since="1h") == refs()
    with pytest.raises(BadValue, match="--state: 'gone' is not a state"):
        refs(state="gone")
    with pytest.raises(BadValue, match="--since: '7' has no unit"):
        refs(since="7")


def test_a_cluster_that_does_not_answer_is_a_row_with_its_reason(session, big_box):
    big_box.kill()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        session.store.put(Attachment(name="silent", url=f"http://127.0.0.1:{port}"), token="t")
        rows = {row.name: row for row in api.attachments(session=session)}
        found = api.jobs(session=session)
    assert list(rows) == ["gpu-box", "big-box", "silent"]
    assert rows["gpu-box"].state == "Ready"
    assert (rows["big-box"].state, rows["silent"].state) == ("Unreachable", "Unreachable")
    assert "connection refused" in rows["big-box"].remark
    assert rows["silent"].remark == "no answer within 2 s"
    assert [cluster for cluster, _ in found.troubles] == ["big-box", "silent"]


def test_the_table_of_clusters_says_what_is_worth_saying(session, agent):
    (row,) = api.attachments(session=session)
    assert (row.name, row.state, row.usable, row.address) == ("gpu-box", "Ready", True, agent.url)
    assert row.round_trip_ms > 0
    session.store.change("gpu-box", agent_id="another")
    (row,) = api.attachments(session=session)
    assert "new agent behind this name" in row.remark
    assert "another agent answers behind the name gpu-box" in run(session).notes[0]
    session.store.change("gpu-box", credential="stored")
    (row,) = api.attachments(session=session)
    assert (row.state, row.usable) == ("Refused", False)


def test_local_is_listed_where_nothing_is_attached_without_being_started(session):
    session.store.remove("gpu-box")
    (row,) = api.attachments(session=session)
    assert (row.name, row.state, row.usable) == ("local", "Idle (starts on first use)", True)
    assert not session.local.home.exists()


# --- the connection ---------------------------------------------------------------------------------------


def test_a_feed_goes_on_over_a_dead_agent_and_ends_with_the_job(session, agent, tmp_path):
    gate = tmp_path / "gate"
    waiting = f"while not os.path.exists({str(gate)!r}): time.sleep(0.05)"
    job = run(session, f"import os, time\nprint('on', flush=True)\n{waiting}\nprint('off')")
    with Feed(job) as feed:
        seen = []

        def text():
            event = feed.get(0.1)
            seen.extend([event] if event is not None else [])
            return "".join(event.text or "" for event in seen)

        until(lambda: text() == "on\n")
        agent.kill()
        until(lambda: text() and feed.trouble)
        agent.flags = (*agent.flags, "--port", agent.url.rpartition(":")[2])
        agent.start()
        gate.touch()
        until(lambda: text() and feed.done)
        assert text() == "on\noff\n"
    stored = [event.seq for event in seen if event.seq is not None]
    assert stored == list(range(1, len(stored) + 1))
    assert job.info.state is State.SUCCEEDED
    assert feed.trouble is None


def test_a_feed_ends_with_the_reason_when_there_is_no_such_job(session):
    job = run(session).wait()
    job.info = msgspec.structs.replace(job.info, job_id=99, state=State.RUNNING)
    with Feed(job) as feed:
        until(lambda: feed.get(0.1) is None and feed.done)
    assert isinstance(feed.error, ClusterError)
    assert feed.error.message == "gpu-box has no job 99 of yours"


def test_a_lost_reply_and_the_cell_run_again_make_one_job(session, agent, settings):
    """The kernel is killed after its request has arrived and before it has seen the answer."""
    with Relay(agent.url) as relay:
        session.store.change("gpu-box", url=relay.url)
        relay.deaf = True
        kernel = subprocess.Popen(
            [sys.executable, "-c", "from mlmagics import submit\nsubmit('print(1)', 'gpu-box')"],
            env={**os.environ, **settings},
        )
        try:
            until(lambda: agent.client().jobs().jobs)
        finally:
            kernel.kill()
            kernel.wait()
        relay.deaf = False
        job = run(session, "print(1)")
        again = run(session, "print(1)")
    assert job.ref == "gpu-box/1"
    assert again.notes == ()
    assert [found.job_id for found in agent.client().jobs().jobs] == [2, 1]
    assert "its answer was lost: this is that job" in job.notes[0]


class Relay:
    """Passes connections on to an agent; answers are swallowed while ``deaf``."""

    def __init__(self, url):
        self._target = ("127.0.0.1", int(url.rpartition(":")[2]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.deaf = False
        self._sockets = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self):
        self._threads[0].start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for one in self._sockets[1:]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        for one in self._sockets:
            one.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._sockets.append(near)
                far = socket.create_connection(self._target)
                self._sockets.append(far)
                for source, sink, answers in ((near, far, False), (far, near, True)):
                    thread = threading.Thread(target=self._pass_on, args=(source, sink, answers))
                    self._threads.append(thread)
                    thread.start()

    def _pass_on(self, source, sink, answers):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not (answers and self.deaf):
                    sink.sendall(data)
