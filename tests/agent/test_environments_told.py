"""What an agent tells about its interpreters and what could be installed, and what it keeps to itself."""

import base64
import contextlib
import functools
import http.server
import os
import sys
import threading
import venv

import psutil
import pytest

from cluster_agent.errors import BadRequest, NotFound
from cluster_agent.protocol import State, Submit
from running import run_cell, text_of, until
from wheels import make_sdist, make_wheel


@pytest.fixture
def other_python(tmp_path):
    """An interpreter with nothing but the standard library."""
    venv.create(tmp_path / "other", with_pip=False, symlinks=True)
    return tmp_path / "other"


def install(environment, name, version="1.0"):
    """What an installer would leave behind."""
    [packages] = environment.glob("lib/*/site-packages")
    module = name.replace("-", "_").lower()
    (packages / f"{module}.py").write_text("")
    info = packages / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text(f"{module}.py,,\n{module}-{version}.dist-info/METADATA,,\n")


def write_settings(folder, text):
    folder.mkdir(exist_ok=True)
    (folder / "agent.toml").write_text(text)
    return folder


def test_packages_of_an_interpreter_are_all_that_a_job_can_import(start_agent, tmp_path, other_python):
    [packages] = other_python.glob("lib/*/site-packages")
    install(other_python, "Some-Thing", "2.1")
    loose = tmp_path / "loose"
    (loose / "space" / "inner").mkdir(parents=True)
    (loose / "alone.py").write_text("")
    (packages / "loose.pth").write_text(f"{loose}\n")
    home = write_settings(tmp_path / "home", f'[runtimes.other]\npython = "{other_python}/bin/python"\n')
    client = start_agent(home=home).client()
    told = client.packages("other")
    assert told.python == f"{other_python}/bin/python"
    assert told.version == ".".join(map(str, sys.version_info[:3]))
    assert told.distributions == {"some-thing": "2.1"}
    assert told.modules["some_thing"] == "some-thing"
    for name in ("os", "sys", "tomllib", "_socket", "alone", "space", "mlmagics"):
        if name in sys.stdlib_module_names or not name.startswith("tom"):
            assert told.modules[name] == "", name
    assert not {"msgspec", "pytest", "probe", "", "__pycache__"} & set(told.modules)
    assert (
        run_cell(client, "import some_thing, alone, space, mlmagics", runtime="other")[0].state
        is State.SUCCEEDED
    )


def test_packages_are_told_anew_when_something_is_installed(start_agent, tmp_path, other_python):
    home = write_settings(tmp_path / "home", f'[runtimes.other]\npython = "{other_python}/bin/python"\n')
    client = start_agent(home=home).client()
    assert "late" not in client.packages("other").modules
    install(other_python, "late")
    assert client.packages("other").modules["late"] == "late"


def test_only_an_agent_of_ones_own_asks_any_interpreter(start_agent, tmp_path, other_python):
    python = f"{other_python}/bin/python"
    with pytest.raises(BadRequest) as refused:
        start_agent().client().packages(python=python)
    assert refused.value.field == "python"
    own = start_agent("--local").client()
    assert own.packages(python=python).distributions == {}
    assert "msgspec" in own.packages().distributions
    with pytest.raises(BadRequest, match="cannot be started"):
        own.packages(python=f"{tmp_path}/nothing")
    with pytest.raises(NotFound, match="none has been defined") as refused:
        own.packages("dl")
    assert refused.value.field == "runtime"


def test_versions_are_chosen_before_a_submit(start_agent, tmp_path):
    links = tmp_path / "links"
    make_wheel(links, "apple", "2.0", requires=["core"])
    make_wheel(links, "core", "1.5")
    make_sdist(links, "slow", waits_for=tmp_path / "never")
    home = write_settings(tmp_path / "home", f'[packages]\nfind_links = ["{links}"]\noffline = true\n')
    client = start_agent(home=home).client()
    made = client.make_lock(["apple"])
    assert (made.packages, made.built) == (["apple==2.0", "core==1.5"], False)
    assert made.size == sum(path.stat().st_size for path in links.glob("*.whl"))
    _job, events = run_cell(client, "import apple; print(apple.version)", packages=["apple"], lock=made.lock)
    assert text_of(events) == "2.0\n"
    assert not any("choosing" in (event.message or "") for event in events)
    assert client.make_lock(["apple"]).built
    for packages, says in (
        (["pear"], "pear is not on this box"),
        (["apple>5"], "only apple==2.0 is available"),
    ):
        with pytest.raises(BadRequest, match=says) as refused:
            client.make_lock(packages)
        assert refused.value.field == "packages"
        assert "\n" not in refused.value.message
    assert client.make_lock(["slow"]).lock == ""
    assert not (tmp_path / "slow.begun").exists()
    assert list((home / "environments").glob(".ask-*")) == []


@contextlib.contextmanager
def index(folder, password):
    """An index that wants a password: its port, and the paths that were asked for with it."""
    asked = []
    wants = f"Basic {base64.b64encode(f'ada:{password}'.encode()).decode()}"

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            if self.headers.get("Authorization") != wants:
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic")
                self.end_headers()
                return
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *args):
            pass

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1], asked
        finally:
            server.shutdown()
            thread.join()


def everything(folder, *, but=()):
    """All files below a folder, with their contents."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path not in but:
            yield path, path.read_bytes()


def test_the_password_of_an_index_is_told_to_nobody(start_agent, tmp_path):
    password = f"canary{os.urandom(8).hex()}"
    simple = tmp_path / "index" / "simple" / "apple"
    wheel = make_wheel(simple, "apple", "1.0")
    (simple / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    with index(tmp_path / "index", password) as (port, asked):
        settings = f'[packages]\nindex = "http://ada:{password}@127.0.0.1:{port}/simple"\n'
        home = write_settings(tmp_path / "home", settings)
        client = start_agent(home=home).client()
        good, events = run_cell(client, "import apple, os; print(dict(os.environ))", packages=["apple"])
        assert good.state is State.SUCCEEDED, good.reason
        assert asked
        lock = client.lock(good.job_id)
        bad, bad_events = run_cell(client, "import pear", packages=["pear"])
        assert bad.state is State.FAILED
        assert password not in lock + text_of(events) + str(events) + str(bad_events) + str(bad) + str(good)
        assert "apple==1.0 --hash=sha256:" in lock
    kept = home / "agent.toml"
    found = [path for path, data in everything(home, but={kept}) if password.encode() in data]
    assert found == []


def test_values_of_variables_are_in_no_file_log_and_list_of_processes(start_agent, tmp_path):
    """Beside the job's own process: not in that of who builds its environment either."""
    links, go = tmp_path / "links", tmp_path / "go"
    make_sdist(links, "slow", waits_for=go)
    home = write_settings(tmp_path / "home", f'[packages]\nfind_links = ["{links}"]\noffline = true\n')
    agent = start_agent(home=home)
    client = agent.client()
    secret = f"canary{os.urandom(8).hex()}"
    job = client.submit(
        Submit(
            source="import os, time, slow\nprint(len(os.environ['KEY']), flush=True)\n"
            f"while not os.path.exists({str(tmp_path / 'end')!r}): time.sleep(0.01)\nraise ValueError('it ends')",
            packages=["slow"],
            env={"KEY": secret},
        ),
        "k",
    )
    begun = tmp_path / "slow.begun"
    builder = psutil.Process(int(until(lambda: begun.exists() and begun.read_text())))
    assert secret not in str(builder.environ())
    # it waits on disk until the job has started, readable to the agent's own user only
    waiting = home / "jobs" / str(job.job_id) / "env.json"
    assert waiting.stat().st_mode & 0o777 == 0o600
    holders = [path for path, data in everything(home) if secret.encode() in data]
    assert holders == [waiting]
    go.touch()
    until(lambda: text_of(list(client.events(job.job_id))) != "")
    assert [path for path, data in everything(home) if secret.encode() in data] == []
    assert [line for line in _command_lines() if secret in line] == []
    (tmp_path / "end").touch()
    events = list(client.follow(job.job_id))
    told = client.job(job.job_id)
    assert "it ends" in told.reason
    assert secret not in str(events) + str(told)
    assert [path for path, data in everything(home) if secret.encode() in data] == []
    assert secret not in agent.stderr.read_text()


def _command_lines():
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            yield " ".join(process.cmdline())
