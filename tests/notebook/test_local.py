"""The agent of one's own: started once, found by everybody, back after its death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import venv

import psutil
import pytest

from mlmagics import api
from mlmagics.cluster.local import LocalAgent
from mlmagics.cluster.session import Session
from mlmagics.cluster.store import AttachmentStore
from mlmagics.errors import LocalAgentError
from mlmagics.job.feed import Feed
from running import AgentProcess, until


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "local"
    yield home
    LocalAgent(home).stop()
    AgentProcess(home).destroy()


@pytest.fixture
def local(home):
    return LocalAgent(home)


@pytest.fixture
def make_session(tmp_path, home):
    made = []

    def make():
        made.append(Session(AttachmentStore(tmp_path / "config"), LocalAgent(home)))
        return made[-1]

    yield make
    for session in made:
        session.close()


@pytest.fixture
def session(make_session):
    return make_session()


def agents_of(home):
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if str(home) in (process.info["cmdline"] or []) and "serve" in process.info["cmdline"]
    ]


def test_the_first_use_starts_it_and_the_next_kernel_finds_it(session, make_session, local, home):
    assert local.running() is None
    assert api.submit("print('hi')", "local", session=session).wait().logs() == "hi\n"
    ready, info = local.running()
    assert info.local
    assert psutil.Process(ready.pid).cwd() == "/"
    assert os.getsid(ready.pid) == ready.pid
    assert api.find("local/1", session=make_session()).info.state.value == "succeeded"
    assert agents_of(home) == [ready.pid]
    (row,) = api.attachments(session=session)
    assert (row.name, row.state, row.remark) == ("local", "Ready", "")


def test_jobs_run_in_the_interpreter_of_the_kernel_that_asks(session, tmp_path):
    job = api.submit("import sys\nprint(sys.executable)", "local", session=session)
    assert job.wait().logs() == f"{sys.executable}\n"
    venv.create(tmp_path / "other", symlinks=True)
    python = tmp_path / "other" / "bin" / "python"
    script = (
        "import sys; sys.path[:0] = sys.argv[1].split(':')\n"
        "from mlmagics import submit\nprint(submit('import sys\\nprint(sys.executable)').wait().logs())"
    )
    env = {
        **os.environ,
        "MLMAGICS_CONFIG_DIR": str(session.store.folder),
        "MLMAGICS_LOCAL_HOME": str(session.local.home),
    }
    told = subprocess.run(
        [python, "-c", script, ":".join(sys.path[1:])], env=env, capture_output=True, text=True
    )
    assert told.stdout.strip() == str(python), told.stderr


def test_kernels_that_start_it_at_once_get_one(home, tmp_path):
    script = "from mlmagics.cluster.session import current\nprint(current().local.ensure().pid)"
    env = {**os.environ, "MLMAGICS_LOCAL_HOME": str(home), "MLMAGICS_CONFIG_DIR": str(tmp_path / "config")}
    kernels = [
        subprocess.Popen([sys.executable, "-c", script], env=env, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    try:
        told = {kernel.communicate(timeout=120)[0].strip() for kernel in kernels}
    finally:
        for kernel in kernels:
            kernel.kill()
            kernel.wait()
    assert len(told) == 1
    assert agents_of(home) == [int(told.pop())]


def test_a_killed_agent_leaves_a_ready_file_that_fools_nobody(session, local):
    first = local.ensure()
    kill(first.pid)
    assert local.ready() == first
    assert local.running() is None
    assert api.attachments(session=session)[0].state == "Idle (starts on first use)"
    second = local.ensure()
    assert second.pid != first.pid
    assert second.url == first.url


def test_a_ready_file_that_names_another_process_ends_nobody(local):
    ready = local.ensure()
    kill(ready.pid)
    text = (local.home / "ready.json").read_text()
    (local.home / "ready.json").write_text(text.replace(str(ready.pid), str(os.getpid())))
    assert local.stop() is False
    (local.home / "ready.json").write_text("{")
    assert local.running() is None
    assert local.ensure().pid != ready.pid


def test_a_job_that_is_followed_survives_the_death_of_its_agent(session, local, tmp_path):
    gate = tmp_path / "gate"
    waiting = f"while not os.path.exists({str(gate)!r}): time.sleep(0.05)"
    job = api.submit(
        f"import os, time\nprint('on', flush=True)\n{waiting}\nprint('off')", "local", session=session
    )
    with Feed(job) as feed:
        texts = []

        def text():
            event = feed.get(0.1)
            texts.append((event and event.text) or "")
            return "".join(texts)

        until(lambda: text() == "on\n")
        first = local.ready()
        kill(first.pid)
        # nobody but the follower starts it again
        until(lambda: text() and local.running() and local.ready().pid != first.pid)
        gate.touch()
        until(lambda: text() and feed.done)
    assert text() == "on\noff\n"
    assert job.info.state.value == "succeeded"


def test_stopping_it_lets_jobs_go_on(session, local, tmp_path):
    gate = tmp_path / "gate"
    job = api.submit(
        f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.05)",
        "local",
        session=session,
    )
    until(lambda: job.refresh().word == "Running")
    assert local.stop() is True
    assert local.running() is None
    assert local.stop() is False
    with pytest.raises(LocalAgentError, match="starts with the first %%local cell"):
        local.require()
    gate.touch()
    assert job.wait() is job


def test_a_history_url_of_yesterday_finds_the_agent_that_sleeps(session, make_session, local):
    job = api.submit("print('hi')", "local", session=session).wait()
    local.stop()
    again = api.find(job.history_url, session=make_session())
    assert again.ref == "local/1"
    assert again.logs() == "hi\n"


def test_an_agent_that_cannot_start_tells_the_last_line_of_its_log(local):
    local.home.mkdir()
    (local.home / "agent.toml").write_text("no_such_setting = 3\n")
    with pytest.raises(LocalAgentError, match=r"ended at its start: .*no_such_setting") as caught:
        local.ensure()
    assert "\n" not in caught.value.message
    (local.home / "agent.toml").unlink()
    assert local.ensure()


def test_an_agent_that_never_gets_ready_is_given_up(home, monkeypatch):
    local = LocalAgent(home, start_s=0.01)
    with pytest.raises(LocalAgentError, match=r"was not ready within 0\.01 s"):
        local.ensure()
    until(lambda: not agents_of(home))


def test_settings_of_another_agent_in_the_environment_do_not_matter(local, monkeypatch):
    monkeypatch.setenv("CLUSTER_AGENT_PORT", "1")
    monkeypatch.setenv("CLUSTER_AGENT_TLS_CERT", "/nowhere")
    assert local.ensure().url.startswith("http://127.0.0.1:")


OTHER_PROTOCOL = """
import sys
from cluster_agent import protocol
protocol.PROTOCOL_VERSION = int(sys.argv.pop(1))
from cluster_agent.cli import main
raise SystemExit(main())
"""


def serve_other_protocol(home, version):
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER_PROTOCOL, str(version), "serve", "--home", str(home), "--local"],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    until(lambda: LocalAgent(home).running())
    return process


def test_an_agent_of_an_older_protocol_is_replaced(local, home):
    old = serve_other_protocol(home, 0)
    try:
        assert local.ready().protocol == 0
        assert local.ensure().protocol == 1
        assert old.wait(10) == 0
    finally:
        old.kill()
        old.wait()


def test_an_agent_of_a_newer_protocol_stays(local, home):
    new = serve_other_protocol(home, 2)
    try:
        with pytest.raises(
            LocalAgentError, match="is newer than the one in this kernel: upgrade mlmagics here"
        ):
            local.ensure()
        assert local.running()[0].pid == new.pid
    finally:
        new.terminate()
        new.wait(10)


def test_on_windows_it_is_one_line(local, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(
        LocalAgentError, match="needs Linux or macOS: use WSL, or attach a box with %attachments add"
    ):
        local.ensure()
    assert not local.home.exists()


def test_the_home_and_the_log_are_for_their_owner_only(local, home):
    local.ensure()
    assert home.stat().st_mode & 0o077 == 0
    assert local.log.stat().st_mode & 0o077 == 0


def kill(pid):
    process = psutil.Process(pid)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not lives(process))


def lives(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
