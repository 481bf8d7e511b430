"""Small checks of single promises; each is run by an agent that breaks its promise, and must then fail.

Run by the interpreter of a copy: ``python mutant_checks.py NAME FOLDER``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from cluster_agent.errors import AgentError, Unauthorized
from cluster_agent.executors.base import Handle
from cluster_agent.executors.local import LocalExecutor
from cluster_agent.jobs.ids import IdSource
from cluster_agent.log.append import LogClosed, LogTaken, LogWriter
from cluster_agent.log.follow import LogReader
from cluster_agent.protocol import DONE, Cursor, State, Submit
from running import AgentProcess, run_cell, text_of, until, wait_ended


@contextmanager
def serving(folder: Path) -> Iterator[AgentProcess]:
    agent = AgentProcess(folder / "home")
    try:
        agent.start()
        yield agent
    finally:
        agent.destroy()


def accepted_is_kept(folder: Path) -> None:
    with serving(folder) as agent:
        job = agent.client().submit(Submit(source="1"), "k")
        agent.kill()
        agent.start()
        assert job.job_id in {known.job_id for known in agent.client().jobs().jobs}
        assert wait_ended(agent.client(), job.job_id).state is State.SUCCEEDED


def a_cursor_is_exact(folder: Path) -> None:
    with LogWriter.take(folder / "log", tag="0badcafe") as writer:
        for number in range(20):
            writer.append("metric", step=number)
    with LogReader(folder / "log") as reader:
        for seq in range(20):
            line = reader.read(reader.locate(Cursor(tag="0badcafe", seq=seq), "0badcafe"))
            assert line.startswith(b'{"seq":%d,' % (seq + 1))


def a_process_id_is_not_a_process(folder: Path) -> None:
    executor = LocalExecutor(folder, log=folder / "log")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    assert executor.adopt(Handle(pid=os.getpid(), pid_started=1.0, boot_id=boot)) is None


def displays_keep_their_place(folder: Path) -> None:
    cell = "from IPython.display import display\nfor i in range(300):\n    print(i)\n    display(i)"
    with serving(folder) as agent:
        _, events = run_cell(agent.client(), cell)
    told = [
        int(word)
        for event in events
        if event.type in {"output", "display"}
        for word in (event.text or (event.data or {}).get("text/plain", "")).split()
    ]
    assert told == [number for i in range(300) for number in (i, i)]


_HOLDER = """
import os, sys, time
from pathlib import Path
from cluster_agent.log.append import LogWriter
writer = LogWriter.take(Path(sys.argv[1]), tag="0badcafe")
if os.fork() == 0:
    time.sleep(600)
print(os.getpid(), flush=True)
time.sleep(600)
"""


def a_dead_writer_holds_no_lock(folder: Path) -> None:
    command = [sys.executable, "-c", _HOLDER, str(folder / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        family = psutil.Process(holder.pid).children()
        try:
            holder.kill()
            holder.wait()
            LogWriter.take(folder / "log", tag="0badcafe").close()
        except LogTaken:
            raise AssertionError("the child of a dead writer holds the lock") from None
        finally:
            for child in family:
                child.kill()


def ids_never_come_twice(folder: Path) -> None:
    path = folder / "next-id"
    source = IdSource(path, at_least=1, boot_id="one")
    synced = path.read_bytes()
    given = {source.take() for _ in range(20)}
    path.write_bytes(synced)  # what was not synced is gone after a power cut
    again = IdSource(path, at_least=1, boot_id="another")
    assert again.take() not in given


def a_signal_is_no_success(folder: Path) -> None:
    with serving(folder) as agent:
        job, _ = run_cell(agent.client(), f"import os\nos.kill(os.getpid(), {int(signal.SIGKILL)})")
        assert job.state is State.FAILED


def lost_is_never_run_again(folder: Path) -> None:
    effects = folder / "effects"
    source = f"open({str(effects)!r}, 'a').write('x')\nprint('ran', flush=True)\nimport time\ntime.sleep(600)"
    with serving(folder) as agent:
        client = agent.client()
        job = client.submit(Submit(source=source), "k")
        until(lambda: text_of(list(client.events(job.job_id))))
        started = next(event for event in client.events(job.job_id) if event.type == "started")
        psutil.Process(started.pid).kill()
        until(lambda: client.job(job.job_id).state in DONE or effects.read_text() != "x", within_s=8)
        assert client.job(job.job_id).state is State.LOST
        assert effects.read_text() == "x"


def a_log_ends_once(folder: Path) -> None:
    with LogWriter.take(folder / "log", tag="0badcafe") as writer:
        writer.end(state="succeeded")
    with LogWriter.take(folder / "log", tag="0badcafe") as writer:
        try:
            writer.append("output", stream="stdout", text="more")
        except LogClosed:
            return
    raise AssertionError("something was written behind the end")


def a_torn_line_is_cut(folder: Path) -> None:
    path = folder / "log"
    with LogWriter.take(path, tag="0badcafe") as writer:
        writer.append("metric", step=1)
    with path.open("ab") as file:
        file.write(b'{"seq":2,"at":1')
    with LogWriter.take(path, tag="0badcafe") as writer:
        writer.append("metric", step=2)
    assert path.read_bytes().count(b'"seq":2') == 1


def heartbeats_move_no_cursor(folder: Path) -> None:
    with serving(folder) as agent:
        client = agent.client()
        job = client.submit(Submit(source="import time\nprint(1, flush=True)\ntime.sleep(600)"), "k")
        url = f"{agent.url}/v1/jobs/{job.job_id}/events?follow=1"
        headers = {"Authorization": f"Bearer {agent.token}"}
        with httpx.stream("GET", url, headers=headers, trust_env=False) as answer:
            beat = next(line for line in answer.iter_lines() if '"heartbeat"' in line)
        assert '"seq"' not in beat


def a_wrong_token_is_refused(folder: Path) -> None:
    with serving(folder) as agent:
        assert agent.client().info().agent_id
        try:
            agent.client("mlm_" + "A" * 43).info()
        except Unauthorized:
            return
        raise AssertionError("a token that nobody made was taken")


def who_saw_the_end_finds_it(folder: Path) -> None:
    with serving(folder) as agent:
        client = agent.client()
        for number in range(20):
            job = client.submit(Submit(source="1"), f"key-{number}")
            assert [event.type for event in client.follow(job.job_id)][-1] == "ended"
            assert client.job(job.job_id).state in DONE


def one_key_is_one_job(folder: Path) -> None:
    with serving(folder) as agent:
        client = agent.client()
        try:
            ids = {client.submit(Submit(source="1"), "k").job_id for _ in range(2)}
        except AgentError as error:
            raise AssertionError("the second submit was refused") from error
        assert len(ids) == 1


def a_cancel_outlives_the_agent(folder: Path) -> None:
    with serving(folder) as agent:
        client = agent.client()
        job = client.submit(Submit(source="import time\nprint(1, flush=True)\ntime.sleep(600)"), "k")
        until(lambda: text_of(list(client.events(job.job_id))))
        started = next(event for event in client.events(job.job_id) if event.type == "started")
        supervisor = psutil.Process(started.pid)
        supervisor.suspend()
        client.cancel(job.job_id)
        agent.kill()
        supervisor.resume()
        psutil.wait_procs([supervisor], timeout=8)
        assert not supervisor.is_running(), "the supervisor was never told"
        agent.start()
        assert wait_ended(agent.client(), job.job_id).state is State.CANCELLED


CHECKS: dict[str, Callable[[Path], None]] = {
    check.__name__: check
    for check in (
        accepted_is_kept,
        a_cursor_is_exact,
        a_process_id_is_not_a_process,
        displays_keep_their_place,
        a_dead_writer_holds_no_lock,
        ids_never_come_twice,
        a_signal_is_no_success,
        lost_is_never_run_again,
        a_log_ends_once,
        a_torn_line_is_cut,
        heartbeats_move_no_cursor,
        a_wrong_token_is_refused,
        who_saw_the_end_finds_it,
        one_key_is_one_job,
        a_cancel_outlives_the_agent,
    )
}

if __name__ == "__main__":
    began = time.monotonic()
    CHECKS[sys.argv[1]](Path(sys.argv[2]))
    print(f"{sys.argv[1]}: holds, {time.monotonic() - began:.1f} s")
