"""What passes between an agent and a supervisor, and what the runner is given."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from supervised import Supervised, begin, lives, make_order, spawn, until

from cluster_agent.folder import JobFolder
from cluster_agent.log.append import LogWriter
from cluster_agent.supervisor.messages import pack
from cluster_agent.supervisor.nursery import REPLY_BYTES, REQUEST, decode_reply

LOOK = """
import json, signal, stat
ignored = [s.name for s in signal.Signals if signal.getsignal(s) == signal.SIG_IGN]
# the cell is read from a file that is still open in this runner, and listing descriptors opens one
descriptors = sorted(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}"))
with open("look.json", "w") as file:
    json.dump({
        "variables": dict(os.environ), "cwd": os.getcwd(), "stdin": os.read(0, 1).decode(), "ignored": ignored,
        "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "umask": os.umask(0), "group": os.getpgid(0),
        "pid": os.getpid(), "control": fd, "descriptors": descriptors,
        "oom": int(open("/proc/self/oom_score_adj").read()), "title": order["title"], "job_id": order["job_id"],
    }, file)
"""


def test_supervisor_gives_the_runner_what_the_order_says_and_nothing_else(supervise):
    job = supervise(LOOK, variables={"PATH": os.environ["PATH"], "SECRET": "s3", "LANG": "C.UTF-8"})
    assert job.ended().state == "succeeded"
    seen = json.loads((job.folder.work / "look.json").read_text())
    assert seen["variables"] == {
        "PATH": os.environ["PATH"],
        "SECRET": "s3",
        "LANG": "C.UTF-8",
        "MLMAGICS_START": job.order.nonce,
    }
    assert seen["cwd"] == str(job.folder.work)
    assert seen["stdin"] == ""
    assert set(seen["ignored"]) <= {"SIGPIPE", "SIGXFSZ"}  # which Python ignores by itself
    assert seen["blocked"] == 0
    assert seen["umask"] == 0o077
    assert seen["group"] == seen["pid"]
    assert set(seen["descriptors"]) <= {0, 1, 2, seen["control"]}
    assert seen["oom"] >= 500
    assert (seen["title"], seen["job_id"]) == ("gpu-box/42", 42)


def test_supervisor_runs_nothing_when_its_start_is_closed(supervise):
    job = supervise(
        "open('ran', 'w')", prepare=lambda order: JobFolder(order.folder).closed(order.nonce).touch()
    )
    until(lambda: not lives(job.supervisor), "its end")
    assert job.events() == []
    assert not (job.folder.work / "ran").exists()


def test_supervisor_leaves_a_log_alone_that_another_process_writes(supervise, runner_kit, tmp_path):
    first = supervise("print('ready', flush=True)\nwhile not os.path.exists('go'): pass\nprint('once')")
    first.until_text("ready")
    second = begin(first.order, runner_kit, tmp_path / "supervisors.log")
    until(lambda: not lives(second.supervisor), "the end of the second")
    (first.folder.work / "go").touch()
    assert first.ended().state == "succeeded"
    third = begin(first.order, runner_kit, tmp_path / "supervisors.log")
    until(lambda: not lives(third.supervisor), "the end of the third")
    assert len(first.of("started")) == len(first.of("ended")) == 1
    assert first.text() == "ready\nonce\n"


def test_supervisor_goes_on_behind_a_preparing_line(supervise):
    def prepare(order):
        with LogWriter.take(JobFolder(order.folder).log, tag=order.tag) as writer:
            writer.append("preparing", message="environment")

    job = supervise("print('hello')", prepare=prepare)
    assert job.ended().events == {"preparing": 1, "started": 1, "output": 1, "ended": 1}
    assert job.text() == "hello\n"


@pytest.mark.parametrize("part", [0, 5, 8, 200, -1])
def test_supervisor_ends_when_the_agent_is_gone_before_all_was_said(tmp_path, runner_kit, part):
    order = make_order(tmp_path, "open('ran', 'w')")
    spare = spawn(tmp_path / "supervisors.log")
    with spare.channel as channel:
        channel.sendall(pack(order, runner_kit)[:part])
    until(lambda: not lives(spare.pid), "its end")
    assert (tmp_path / "supervisors.log").read_text() == ""
    assert not JobFolder(order.folder).log.exists()
    assert not (JobFolder(order.folder).work / "ran").exists()


def test_supervisor_does_not_look_back_once_it_has_all(tmp_path, runner_kit):
    order = make_order(tmp_path, "print('ran')")
    spare = spawn(tmp_path / "supervisors.log")
    with spare.channel as channel:
        channel.sendall(pack(order, runner_kit))
    job = Supervised(order, spare.pid)
    assert job.ended().state == "succeeded"
    assert job.text() == "ran\n"


def test_supervisor_takes_no_order_of_another_version(tmp_path, runner_kit):
    order = make_order(tmp_path, "pass")
    body = json.loads(pack(order, runner_kit)[8:]) | {"version": 99}
    message = json.dumps(body).encode()
    spare = spawn(tmp_path / "supervisors.log")
    with spare.channel as channel:
        channel.sendall(len(message).to_bytes(8, "big") + message)
        assert channel.recv(1) == b""
    until(lambda: not lives(spare.pid), "its end")
    assert not JobFolder(order.folder).log.exists()
    assert "version 99" in (tmp_path / "supervisors.log").read_text()


def test_runner_gets_interrupts_although_whoever_started_the_agent_ignored_them(tmp_path, runner_kit):
    order = make_order(tmp_path, LOOK)
    nursery, end = socket.socketpair()
    with end:
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", "cluster_agent.supervisor.nursery", str(end.fileno())],
            pass_fds=(end.fileno(),),
            preexec_fn=lambda: [  # noqa: PLW1509
                signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
            ],
        )
    ours, theirs = socket.socketpair()
    with nursery, ours:
        with theirs:
            socket.send_fds(nursery, [REQUEST], [theirs.fileno()])
        ours.sendall(pack(order, runner_kit))
        job = Supervised(order, decode_reply(nursery.recv(REPLY_BYTES)).pid)
        job.ended()
    assert process.wait(60) == 0
    seen = json.loads((JobFolder(order.folder).work / "look.json").read_text())
    assert set(seen["ignored"]) <= {"SIGPIPE", "SIGXFSZ"}
