"""The state `preparing`, below a supervisor without an agent."""

import os
import shutil
import signal
import sys
import sysconfig
from pathlib import Path

import psutil
import pytest
from supervised import lives, until

from cluster_agent.environments.base import Base, EnvironmentOrder
from cluster_agent.environments.shelf import Shelf
from cluster_agent.folder import Cancel, Wish
from cluster_agent.protocol import State
from wheels import make_sdist, make_wheel

UV = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))


@pytest.fixture
def environment(tmp_path):
    """What a job needs that asks for packages: these, and what differs."""
    links = tmp_path / "links"
    make_wheel(links, "apple")
    make_sdist(links, "slow", waits_for=tmp_path / "go")

    def make(*packages, **changes):
        base = Base(
            python=sys.executable,
            version=".".join(map(str, sys.version_info[:3])),
            folders=(sysconfig.get_path("purelib"),),
            fingerprint="0",
        )
        shelf = tmp_path / "shelf"
        given = {
            "base": base,
            "packages": packages,
            "shelf": shelf,
            "uv": UV,
            "uv_variables": {
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "UV_FIND_LINKS": str(links),
                "UV_OFFLINE": "1",
                "UV_CACHE_DIR": str(shelf / "cache"),
            },
            "timeout_s": 60.0,
        }
        return EnvironmentOrder(**{**given, **changes})

    return make


def steps(job):
    return [event.message for event in job.of("preparing")]


def builder(tmp_path):
    begun = tmp_path / "slow.begun"
    return int(until(lambda: begun.exists() and begun.read_text(), "the build"))


def leftovers(tmp_path):
    return [path.name for path in (tmp_path / "shelf").glob(".*-*")]


def test_the_runner_starts_in_the_environment(supervise, environment):
    source = "import os, sys, apple\nprint(sys.prefix)\nprint(os.environ['PATH'].split(':')[0])\nprint(os.environ['VIRTUAL_ENV'])"
    job = supervise(source, environment=environment("apple"))
    assert job.ended().state is State.SUCCEEDED
    [started] = job.of("started")
    place = str(environment().shelf / started.environment)
    assert job.text().splitlines() == [place, f"{place}/bin", place]
    assert job.folder.lock.read_text().splitlines()[1].startswith("apple==1.0 --hash=")
    assert [event.type for event in job.events()][:3] == ["preparing", "preparing", "preparing"]


def test_a_path_of_the_jobs_own_stays(supervise, environment):
    source = "import os; print(os.environ['PATH'])"
    job = supervise(source, environment=environment("apple", own_path=True), variables={"PATH": "/my/bin"})
    assert job.ended().state is State.SUCCEEDED
    assert job.text() == "/my/bin\n"


def test_an_environment_in_use_cannot_be_deleted(supervise, environment, tmp_path):
    source = f"import os, time\nprint('up', flush=True)\nwhile not os.path.exists({str(tmp_path / 'end')!r}): time.sleep(0.01)"
    job = supervise(source, environment=environment("apple"))
    job.until_text("up")
    shelf = Shelf(environment().shelf)
    key = job.of("started")[0].environment
    assert not shelf.delete(key)
    (tmp_path / "end").touch()
    job.ended()
    assert shelf.delete(key)
    assert shelf.entries() == []


@pytest.mark.parametrize("nudge", [True, False])
def test_a_cancel_ends_the_build_at_once(supervise, environment, tmp_path, nudge):
    job = supervise("print('ran')", environment=environment("slow"))
    pid = builder(tmp_path)
    job.cancel(nudge=nudge)
    ended = job.ended()
    assert (ended.state, ended.exit_code, ended.left_behind) == (State.CANCELLED, None, None)
    assert ended.reason == "cancelled by ada: wrong data"
    assert [event.by for event in job.of("cancel")] == ["ada"]
    assert not job.of("started")
    assert not lives(pid)
    assert job.processes() == set()
    assert leftovers(tmp_path) == []
    assert not job.folder.reserve.exists()


def test_a_cancel_before_it_begins_builds_nothing(supervise, environment, tmp_path):
    job = supervise(
        "print('ran')",
        environment=environment("apple"),
        prepare=lambda order: (order.folder / "control.json").write_bytes(b'{"cancel":{"by":"ada"}}'),
    )
    assert job.ended().state is State.CANCELLED
    assert steps(job) == []


def test_a_shutdown_ends_the_build(supervise, environment, tmp_path):
    job = supervise("print('ran')", environment=environment("slow"))
    builder(tmp_path)
    os.kill(job.supervisor, signal.SIGTERM)
    ended = job.ended()
    assert ended.state is State.CANCELLED
    assert "the machine shuts down" in ended.reason


def test_its_time_limit_ends_the_build_and_not_that_of_the_job(supervise, environment, tmp_path):
    job = supervise("print('ran')", environment=environment("slow", timeout_s=2.0), timeout_s=0.1)
    pid = builder(tmp_path)
    ended = job.ended()
    assert ended.state is State.TIMED_OUT
    assert ended.reason.startswith("its environment was not ready after 2 s")
    assert not lives(pid)


def test_time_of_the_job_counts_from_its_start(supervise, environment, tmp_path):
    job = supervise("print('ran')", environment=environment("slow"), timeout_s=30.0)
    builder(tmp_path)
    (tmp_path / "go").touch()
    ended = job.ended()
    assert ended.state is State.SUCCEEDED
    [started] = job.of("started")
    assert ended.seconds <= ended.t - started.t + 0.1


def test_whoever_builds_may_die(supervise, environment, tmp_path):
    job = supervise("print('ran')", environment=environment("slow"))
    pid = builder(tmp_path)
    child = next(process for process in psutil.Process(pid).parents() if process.ppid() == job.supervisor)
    child.kill()
    ended = job.ended()
    assert ended.state is State.FAILED
    assert "the process that builds it ended unexpectedly" in ended.reason
    assert not lives(pid)
    assert leftovers(tmp_path) == []


def test_wishes_of_a_build_hold_for_the_job_too(supervise, environment, tmp_path):
    source = "import time\nprint('up', flush=True)\ntime.sleep(600)"
    job = supervise(source, environment=environment("slow"), timeout_s=300.0)
    builder(tmp_path)
    job.wish(Wish(timeout_s=0.2))
    (tmp_path / "go").touch()
    assert job.ended().state is State.TIMED_OUT
    assert job.text() == "up\n" or job.text() == ""


def test_what_uv_says_is_in_the_log_when_it_fails(supervise, environment):
    job = supervise("print('ran')", environment=environment("nothing-of-this-name"))
    ended = job.ended()
    assert ended.state is State.FAILED
    assert "nothing-of-this-name is not on this box" in ended.reason
    assert "nothing-of-this-name was not found in the cache" in job.text("stderr")
    assert ended.complete
    assert steps(job) == ["choosing versions of nothing-of-this-name"]


def test_without_uv_it_fails_in_one_line(supervise, environment):
    job = supervise("print('ran')", environment=environment("apple", uv="/nowhere/uv"))
    assert job.ended().reason == (
        "its environment cannot be built: /nowhere/uv cannot be started: No such file or directory; the log has all"
        " that uv said"
    )


def test_a_lock_of_another_python_is_not_built(supervise, environment):
    lock = "# Python 3.9.1; what lies below it: 0\napple==1.0\n"
    job = supervise("print('ran')", environment=environment("apple", lock=lock))
    assert "the lock that is repeated is for Python 3.9.1" in job.ended().reason


def test_a_cancel_works_while_another_job_builds(supervise, environment, tmp_path):
    first = supervise("import slow", environment=environment("slow"))
    builder(tmp_path)
    # uv itself lets nobody look at what it builds, so the second one must not have to look
    second = supervise("import slow", environment=environment("slow", lock=first.folder.lock.read_text()))
    until(lambda: any("waiting for another job" in step for step in steps(second)), "the second to wait")
    second.wish(Wish(cancel=Cancel(by="ada")))
    assert second.ended().state is State.CANCELLED
    (tmp_path / "go").touch()
    assert first.ended().state is State.SUCCEEDED
