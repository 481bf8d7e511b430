"""Jobs in systems of their own, by bubblewrap, each as the unix user of its person. Needs root, and a kernel that lets it."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from cluster_agent.isolation.people import find_keeper
from cluster_agent.isolation.probing import why_no_box
from cluster_agent.protocol import State, Submit
from running import agent_command, run_cell, text_of, until, wait_ended
from unix_users import KEEPER, box_for_users

SIGHT = """
import json, os, socket, subprocess
from pathlib import Path
home, project = {home!r}, os.environ["PROJECT_URL"].removeprefix("file://")
def tried(do):
    try:
        return repr(do())
    except OSError as error:
        return type(error).__name__
def write(path):
    Path(path).write_text("x")
    return "written"
print(json.dumps({{
    "home of the agent": sorted(os.listdir(home)),
    "logs": tried(lambda: os.listdir(home + "/jobs/" + os.environ["MLMAGICS_JOB_ID"])),
    "tmp": os.listdir("/tmp"),
    "processes": len([name for name in os.listdir("/proc") if name.isdigit()]) < 8,
    "write /tmp": tried(lambda: write("/tmp/x")),
    "write the project": tried(lambda: write(project + "/by-a-job")),
    "write its folder": tried(lambda: write("x")),
    "write the home of its user": tried(lambda: write(os.path.expanduser("~/x"))),
    "write /var/tmp of all": tried(lambda: write({base!r} + "/open/x")),
    "write /etc": tried(lambda: write("/etc/x")),
    "disks": [name for name in os.listdir("/dev") if name.startswith(("sd", "vd", "nvme", "mem", "kmsg"))],
    "network": tried(lambda: socket.create_connection(("127.0.0.1", {port}), 2)),
    "ids": os.getresuid(),
    "mount": subprocess.run(["mount", "-o", "remount,rw", "/"], capture_output=True).returncode != 0,
}}))
"""


@pytest.fixture(scope="module")
def box():
    with box_for_users("ada", flags=("--isolation", "user,bwrap", "--network", "off")) as box:
        if reason := why_no_box(find_keeper(box.names[KEEPER])):
            pytest.skip(f"NOT TESTED, though it has to hold: jobs in systems of their own; {reason}")
        box.agent.start()
        yield box


@pytest.fixture(scope="module")
def sight(box):
    """What a job sees."""
    base = box.agent.home.parent
    (base / "open").mkdir()
    (base / "open").chmod(0o777)
    port = int(box.agent.url.rpartition(":")[2])
    source = SIGHT.format(home=str(box.agent.home), base=str(base), port=port)
    job, events = run_cell(box.client("ada"), source, memory_bytes=2**30)
    assert job.state is State.SUCCEEDED, (job.reason, text_of(events, "stderr"))
    assert job.isolation == ["user", "bwrap"]
    return json.loads(text_of(events))


@pytest.mark.parametrize(
    ("what", "seen"),
    [
        ("home of the agent", ["jobs", "kit", "project"]),
        ("logs", "['work']"),
        ("tmp", []),
        ("processes", True),
        ("write /tmp", "'written'"),
        ("write the project", "'written'"),
        ("write its folder", "'written'"),
        ("write the home of its user", "FileNotFoundError"),
        ("write /var/tmp of all", "FileNotFoundError"),
        ("write /etc", "OSError"),
        ("disks", []),
        ("network", "ConnectionRefusedError"),
        ("mount", True),
    ],
)
def test_a_job_sees_its_own_system(sight, what, seen):
    assert sight[what] == seen


def test_what_it_wrote_is_its_users_and_told(box, sight):
    assert sight["ids"] == [box.uid("ada")] * 3
    assert (box.agent.home / "project" / "by-a-job").stat().st_uid == box.uid("ada")
    assert not os.path.exists("/tmp/x")
    assert box.client("ada").info().isolation_levels[-1] == "bwrap"
    assert any("each in a system of its own" in line for line in agent_command(box.agent.home, "status"))


def test_results_files_and_plots_come_out(box):
    source = "class Odd: pass\nodd = Odd()\nodd.x = 'y' * 2_000_000\nopen('left.txt', 'w').write('x')"
    job, events = run_cell(box.client("ada"), source, fetch=["odd"], memory_bytes=2**30)
    assert job.state is State.SUCCEEDED, text_of(events, "stderr")
    assert len(box.client("ada").result(job.job_id, "odd")) > 2_000_000
    assert [file.path for file in box.client("ada").job_files(job.job_id)] == ["left.txt"]


@pytest.mark.parametrize(
    ("how", "code"), [("sys.exit(3)", 3), ("os._exit(4)", 4), ("os.kill(os.getpid(), 9)", 137)]
)
def test_the_exit_code_is_the_jobs(box, how, code):
    job, _ = run_cell(box.client("ada"), f"import os, sys; {how}", memory_bytes=2**30)
    assert (job.state, job.exit_code) == (State.FAILED, code)


def test_a_cancel_interrupts_the_job_and_not_its_box(box):
    client = box.client("ada")
    source = """
import os, time
try:
    open("begun", "w").close()
    time.sleep(600)
except KeyboardInterrupt:
    print("tidied up", flush=True)
    raise
"""
    job = client.submit(Submit(source=source, memory_bytes=2**30), os.urandom(8).hex())
    folder = box.agent.home / "jobs" / str(job.job_id) / "work"
    until((folder / "begun").exists)
    client.cancel(job.job_id)
    assert wait_ended(client, job.job_id).state is State.CANCELLED
    assert b"".join(client.output(job.job_id, "stdout")) == b"tidied up\n"


def test_without_bubblewrap_the_level_is_not_claimed(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert why_no_box(None) == "bubblewrap is not installed (apt install bubblewrap)"
