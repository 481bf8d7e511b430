"""Everything that comes of a job ends with it, however it hides; what cannot be ended is told."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from supervised import lives, until

from cluster_agent.supervisor.identity import boot_id, has_ended, start_time, still_there

#: Forks and lets the child go on, again and again: its process id is old news whenever somebody reads it.
HYDRA = """
import time
if os.fork() == 0:
    end = time.monotonic() + 90
    open("there", "w").close()
    while time.monotonic() < end:
        if os.fork():
            os._exit(0)
        {session}
    os._exit(0)
while not os.path.exists("there"):
    time.sleep(0.01)
print("ready", flush=True)
{then}
"""
FREEZER = Path("/sys/fs/cgroup/freezer")


@pytest.mark.parametrize(("session", "then"), [("pass", "time.sleep(600)"), ("os.setsid()", "os._exit(0)")])
def test_supervisor_ends_what_starts_itself_again_and_again(supervise, session, then):
    job = supervise(HYDRA.format(session=session, then=then), grace_s=0.1)
    job.until_text("ready")
    if "sleep" in then:
        job.cancel()
    ended = job.ended()
    assert ended.state == ("cancelled" if "sleep" in then else "succeeded")
    assert ended.left_behind is None
    assert ended.seconds < 60
    assert not job.processes()


@pytest.mark.parametrize("session", ["pass", "os.setsid()"])
def test_one_kill_is_enough_for_what_starts_itself_again_and_again(session, tmp_path):
    script = """
import os, subprocess, sys, time
from cluster_agent.supervisor.processes import become_reaper, kill_below
become_reaper()
subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
kill_below()
deadline = time.monotonic() + 20
while time.monotonic() < deadline:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        print("all dead")
        break
"""
    hydra = "import os\n" + HYDRA.format(session=session, then="")
    command = [sys.executable, "-c", script, hydra]
    done = subprocess.run(command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    assert done.stdout.decode().splitlines() == ["ready", "all dead"]


def test_supervisor_ends_daemons_that_hide_behind_sessions_groups_and_another_environment(supervise):
    job = supervise(
        """
import subprocess, time
nested = '''
import os, sys, time
source, depth = sys.argv[1], int(sys.argv[2])
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.setpgid(0, 0)
    os.chdir("/")
    if depth:
        os.execve(sys.executable, [sys.executable, "-c", source, source, str(depth - 1)], {})
    print(os.getpid(), flush=True)
    for fd in (0, 1, 2):
        os.close(fd)
    time.sleep(600)
'''
subprocess.run([sys.executable, "-c", nested, nested, "2"], check=True)
time.sleep(600)
""",
        grace_s=0.1,
    )
    job.until_text("\n")
    hidden = int(job.text())
    assert lives(hidden)
    assert hidden not in job.processes()
    job.cancel()
    ended = job.ended()
    assert (ended.state, ended.left_behind) == ("cancelled", None)
    assert not lives(hidden)


def test_supervisor_ends_a_job_that_was_stopped(supervise):
    job = supervise(
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('ready', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGSTOP)\nimport time; time.sleep(600)",
        grace_s=0.1,
    )
    job.until_text("ready")
    job.cancel()
    ended = job.ended()
    assert (ended.state, ended.signal) == ("cancelled", "SIGTERM")


@pytest.fixture
def freezer() -> Iterator[Path]:
    """A folder that freezes processes, as a disk or a driver that does not answer would."""
    group = FREEZER / f"mlmagics-test-{secrets.token_hex(4)}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"SKIPPED: what is left behind: no freezer of version 1 can be used here ({error})")
    try:
        yield group
    finally:
        (group / "freezer.state").write_text("THAWED")
        until(lambda: _removed(group), "the end of what was frozen")


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except OSError:
        return False
    return True


@pytest.mark.usefixtures("hasty")
def test_supervisor_tells_what_it_could_not_kill(supervise, freezer):
    job = supervise(
        f"""
import time
pid = os.fork()
if pid == 0:
    open("{freezer}/cgroup.procs", "w").write("0")
    open("there", "w").close()
    time.sleep(600)
while not os.path.exists("there"):
    time.sleep(0.01)
print(pid)
open("{freezer}/freezer.state", "w").write("FROZEN")
""",
    )
    ended = job.ended()
    pid = int(job.text())
    assert (ended.state, ended.left_behind) == ("succeeded", [pid])
    assert ended.left_behind_started == [start_time(pid)]
    boot = job.of("started")[0].boot_id
    assert still_there(ended.left_behind, ended.left_behind_started, boot) == [pid]
    (freezer / "freezer.state").write_text("THAWED")
    until(lambda: not still_there(ended.left_behind, ended.left_behind_started, boot), "its end")


@pytest.mark.skipif(sys.platform != "linux", reason="SKIPPED: other times than clock ticks here")
def test_still_there_means_the_very_process():
    me, started = os.getpid(), start_time(os.getpid())
    assert still_there([me], [started], boot_id()) == [me]
    assert still_there([me], [started - 1], boot_id()) == []
    assert still_there([me], [started], "another boot") == []
    assert still_there([2**22 + 1], [started], boot_id()) == []
    pid = os.fork()
    if pid == 0:
        time.sleep(600)
    began = start_time(pid)
    os.kill(pid, signal.SIGKILL)
    until(lambda: has_ended(pid), "a process that waits to be reaped")
    assert still_there([pid], [began], boot_id()) == []
    os.waitpid(pid, 0)
