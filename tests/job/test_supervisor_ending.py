"""How a job ends is told truly, and nothing of it is left."""

from __future__ import annotations

import hashlib
import os
import random
import signal

import pytest
from supervised import begin, lives, until

from cluster_agent.folder import Cancel, JobFolder, Wish
from cluster_agent.log.append import LogWriter


@pytest.mark.parametrize(
    ("source", "state", "code", "name", "reason"),
    [
        ("pass", "succeeded", 0, None, None),
        ("sys.exit(3)", "failed", 3, None, "it exited with code 3"),
        ("os.kill(os.getpid(), 11)", "failed", None, "SIGSEGV", "it was ended by the signal SIGSEGV"),
        ("os.kill(os.getpid(), 9)", "failed", None, "SIGKILL", "it was ended by the signal SIGKILL"),
        ("os._exit(0)", "succeeded", 0, None, None),
    ],
)
def test_supervisor_tells_how_the_runner_ended(supervise, source, state, code, name, reason):
    ended = supervise(source).ended()
    assert (ended.state, ended.exit_code, ended.signal, ended.reason) == (state, code, name, reason)
    assert ended.complete is True
    assert ended.left_behind is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"python": "/no/such/python"}, "cannot start /no/such/python: No such file or directory"),
        ({"variables": {"A": "b\0c"}}, "embedded null byte"),
    ],
)
def test_supervisor_tells_why_a_runner_cannot_start(supervise, changes, reason):
    job = supervise("pass", **changes)
    ended = job.ended()
    assert (ended.state, ended.exit_code) == ("failed", None)
    assert reason in ended.reason
    assert job.of("started")


def test_supervisor_measures_the_peak_of_memory(supervise):
    ended = supervise("block = bytearray(300_000_000); del block").ended()
    assert 300_000_000 < ended.peak_memory_bytes < 450_000_000


WAIT = "import time; print('ready', flush=True); time.sleep(600)"


def test_supervisor_ends_a_job_whose_time_is_up(supervise):
    job = supervise(
        "try:\n    import time; time.sleep(600)\nexcept KeyboardInterrupt:\n    sys.exit(5)", timeout_s=1.0
    )
    ended = job.ended()
    assert (ended.state, ended.exit_code) == ("timed_out", 5)
    assert ended.reason == "its time limit of 1 s was reached"


def test_supervisor_obeys_another_time_limit(supervise):
    job = supervise("print('ready', flush=True)\nwhile not os.path.exists('go'): pass", timeout_s=600.0)
    job.until_text("ready")
    job.wish(Wish(timeout_s=0.01))
    assert job.ended().state == "timed_out"
    longer = supervise(
        "import time; time.sleep(1.5)",
        timeout_s=0.5,
        prepare=lambda order: JobFolder(order.folder).write_wish(Wish(timeout_s=600)),
    )
    assert longer.ended().state == "succeeded"


@pytest.mark.parametrize("nudge", [True, False])
def test_supervisor_cancels_a_running_job(supervise, nudge):
    job = supervise(WAIT)
    job.until_text("ready")
    job.cancel(nudge=nudge)
    ended = job.ended()
    assert (ended.state, ended.reason) == ("cancelled", "cancelled by ada: wrong data")
    assert ended.signal == "SIGINT" or ended.exit_code
    [cancel] = job.of("cancel")
    assert (cancel.by, cancel.reason) == ("ada", "wrong data")


def test_supervisor_never_starts_what_was_cancelled_before(supervise):
    def prepare(order):
        JobFolder(order.folder).write_wish(Wish(cancel=Cancel(by="ada")))

    job = supervise("open('ran', 'w')", prepare=prepare)
    ended = job.ended()
    assert (ended.state, ended.reason) == ("cancelled", "cancelled by ada")
    assert [event.type for event in job.events()] == ["cancel", "ended"]
    assert not (job.folder.work / "ran").exists()


def test_supervisor_decides_between_cancel_and_exit_by_what_came_first(supervise):
    """Cancels around the moment of the exit: whatever wins, the log tells one consistent end."""
    seen = set()
    for number in range(9):
        job = supervise(
            f"import time; print('ready', flush=True); time.sleep({random.Random(number).random() / 20})"
        )
        job.until_text("ready")
        if number % 3 == 2:
            until(lambda job=job: not job.processes(), "the runner's exit")
        job.folder.write_wish(Wish(cancel=Cancel(by="ada")))
        if not job.of("ended"):
            send_nudge(job)
        ended = job.ended()
        seen.add(ended.state)
        if ended.state == "succeeded":
            assert (ended.exit_code, ended.reason) == (0, None)
        else:
            assert ended.state == "cancelled"
            assert job.of("cancel")
    assert seen <= {"succeeded", "cancelled"}


def send_nudge(job):
    try:
        os.kill(job.supervisor, signal.SIGUSR1)
    except ProcessLookupError:
        pass


STUBBORN = """
import signal, subprocess, time
for name in ("SIGINT", "SIGTERM"):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
print("ready", os.getpid(), flush=True)
while True:
    time.sleep(600)
"""


@pytest.mark.usefixtures("hasty")
def test_supervisor_kills_what_ignores_interrupt_and_term(supervise):
    job = supervise(STUBBORN, grace_s=0.1)
    until(lambda: job.text().count("ready") == 2, "both processes")
    job.cancel()
    ended = job.ended()
    assert (ended.state, ended.signal, ended.left_behind) == ("cancelled", "SIGKILL", None)
    assert not job.processes()


DAEMON = """
import signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    {first}
    print("daemon", os.getpid(), flush=True)
    open("there", "w").close()
    while True:
        time.sleep(600)
while not os.path.exists("there"):
    time.sleep(0.01)
"""


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("first", ["pass", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"])
def test_supervisor_ends_daemons_that_outlive_the_runner_and_hold_its_output(supervise, first):
    job = supervise(DAEMON.format(first=first))
    ended = job.ended()
    assert (ended.state, ended.exit_code, ended.left_behind) == ("succeeded", 0, None)
    assert not lives(int(job.text().split()[1]))
    assert not job.processes()


def test_supervisor_waits_a_moment_for_children_that_finish_by_themselves(supervise):
    job = supervise(
        """
if os.fork() == 0:
    import time
    time.sleep(0.05)
    print("child done", flush=True)
    os._exit(0)
os._exit(0)
"""
    )
    assert job.ended().state == "succeeded"
    assert job.text() == "child done\n"


def test_supervisor_lists_what_is_left_in_the_working_folder(supervise):
    job = supervise(
        """
os.makedirs("out/deep")
for name in ("out/deep/model.json", "b.txt", "secret"):
    with open(name, "w") as file:
        file.write(name)
os.chmod("secret", 0)
os.symlink("/etc/passwd", "link")
os.symlink("/etc", "out/folder")
os.mkfifo("fifo")
with open(b"caf\\xe9", "w") as file:
    file.truncate(300 * 2**20)
"""
    )
    assert job.ended().state == "succeeded"
    files = {event.path: event for event in job.of("file")}
    assert list(files) == ["b.txt", "caf\N{REPLACEMENT CHARACTER}", "secret", "out/deep/model.json"]
    assert files["b.txt"].size == 5
    assert files["b.txt"].sha256 == hashlib.sha256(b"b.txt").hexdigest()
    assert files["caf\N{REPLACEMENT CHARACTER}"].size == 300 * 2**20
    assert files["caf\N{REPLACEMENT CHARACTER}"].sha256 is None


def test_supervisor_does_not_list_a_folder_that_became_a_link(supervise):
    job = supervise("os.chdir('..'); os.rmdir('work'); os.symlink('/etc', 'work')")
    assert job.ended().state == "succeeded"
    assert not job.of("file")


def test_supervisor_that_is_killed_takes_the_runner_along_and_frees_the_log(supervise, runner_kit, tmp_path):
    job = supervise(DAEMON.format(first="pass") + "time.sleep(600)")
    job.until_text("daemon")
    [started] = job.of("started")
    assert (started.pid, started.nonce) == (job.supervisor, job.order.nonce)
    daemon = int(job.text().split()[1])
    runner = min(job.processes() - {daemon})
    os.kill(job.supervisor, signal.SIGKILL)
    until(lambda: not lives(job.supervisor), "the supervisor's death")
    until(lambda: not lives(runner), "the runner's death")
    with LogWriter.take(job.folder.log, tag="ffffffff") as writer:
        assert writer.tag == job.order.tag
        assert writer.started is not None
        assert writer.ended is None
    late = begin(job.order, runner_kit, tmp_path / "supervisors.log")
    until(lambda: not lives(late.supervisor), "the end of a second supervisor")
    assert len(job.of("started")) == 1
    until(lambda: not lives(daemon), "the daemon's death")


def test_supervisor_that_is_asked_to_end_cancels_its_job(supervise):
    job = supervise(WAIT)
    job.until_text("ready")
    os.kill(job.supervisor, signal.SIGTERM)
    ended = job.ended()
    assert ended.state == "cancelled"
    assert "the system" in ended.reason
    assert not job.processes()
