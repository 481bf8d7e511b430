"""Real processes for tests: an agent, its jobs, and waiting for something without sleeping blindly."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import psutil

from cluster_agent.client import AgentClient
from cluster_agent.protocol import DONE, Event, Job, Submit
from hosted import AGENT, Hosted, run_hosted

T = TypeVar("T")

#: Settings of whoever runs the tests: they would change what is tested, and how fast.
_INHERITED = {name for name in os.environ if name.startswith(("CLUSTER_AGENT_", "PYTHON"))}


def until(ask: Callable[[], T], *, within_s: float = 60.0) -> T:
    """The first true answer of ``ask``; fails when there is none in time."""
    began = time.monotonic()
    while True:
        answer = ask()
        if answer:
            return answer
        waited = time.monotonic() - began
        if waited > within_s:
            raise AssertionError(f"still {answer!r} after {within_s} s")
        # what takes long is asked less often: asking costs the others time
        time.sleep(min(0.01 + waited / 20, 0.1))


class NotReady(AssertionError):
    """An agent ended, or said nothing, in place of its ready line."""


class AgentProcess:
    """``cluster-agent serve`` on a free port with its home in ``home``."""

    def __init__(
        self, home: Path, flags: Sequence[str] = (), python: str = sys.executable, *, hosted: bool = True
    ) -> None:
        self.home = home
        self.flags = tuple(flags)
        #: interpreter, and with it the code, that it runs with
        self.python = python
        self.stderr = home.parent / f"{home.name}.stderr"
        #: whether it may begin with its imports done; then its command line is that of the host
        self.hosted = hosted
        #: variables beside the inherited ones
        self.variables: dict[str, str] = {}
        self.url = ""
        self._process: subprocess.Popen[str] | Hosted | None = None
        self._clients: list[AgentClient] = []

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    @property
    def token(self) -> str:
        return (self.home / "token").read_text(encoding="ascii").strip()

    @property
    def socket(self) -> Path:
        return self.home / "agent.sock"

    def start(self) -> None:
        """Serve; returns when the agent is ready."""
        arguments = ["serve", "--home", str(self.home)]
        if not any(flag.startswith("--port") for flag in self.flags):
            arguments += ["--port", "0"]
        arguments += self.flags
        env = {name: value for name, value in os.environ.items() if name not in _INHERITED}
        with self.stderr.open("ab") as log:
            if self._process or self.variables or self.python != sys.executable or not self.hosted:
                command = [self.python, "-m", "cluster_agent", *arguments]
                env |= self.variables
                self._process = subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=log, text=True, env=env
                )
            else:
                self._process = Hosted(AGENT, arguments, env, stderr=log.fileno())
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], 30)
        line = self._process.stdout.readline() if ready else ""
        if "ready: " not in line:
            if not ready:
                self._process.kill()
            self._reap()
            raise NotReady(f"no ready line; {self.stderr.read_text()[-2000:]}")
        self.url = line.split()[2]

    def client(self, token: str | None = None) -> AgentClient:
        """A client with the admin token, or another."""
        client = AgentClient(self.url, token=token or self.token, timeout_s=30)
        self._clients.append(client)
        return client

    def kill(self) -> None:
        """End it as a crash does; its jobs go on."""
        assert self._process is not None
        self._process.kill()
        self._reap()

    def stop(self) -> None:
        """End it as ops do; its jobs go on."""
        assert self._process is not None
        self._process.terminate()
        self._reap()

    def restart(self) -> None:
        self.stop()
        self.start()

    def _reap(self) -> None:
        assert self._process is not None
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def destroy(self) -> None:
        """End it and everything that it has started."""
        for client in self._clients:
            client.close()
        if self._process is not None:
            self.kill()
        for supervisor in supervisors(self.home):
            _kill_tree(supervisor)


def supervisors(home: Path) -> list[psutil.Process]:
    """Supervisors of the agent in ``home``: their stderr is its log of supervisors."""
    log = str(home / "supervisors.log")
    found = []
    for process in psutil.process_iter():
        try:
            if any("cluster_agent.supervisor" in part for part in process.cmdline()) and any(
                file.path == log for file in process.open_files()
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _kill_tree(process: psutil.Process) -> None:
    try:
        family = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for member in family:
        try:
            member.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            pass


def run_cell(client: AgentClient, source: str, **spec: Any) -> tuple[Job, list[Event]]:
    """Submit a cell and follow it to its end; its job and stored events."""
    job = client.submit(Submit(source=source, **spec), os.urandom(8).hex())
    events = [event for event in client.follow(job.job_id) if event.seq is not None]
    return client.job(job.job_id), events


def text_of(events: Sequence[Event], stream: str = "stdout") -> str:
    """What a stream carried, of text only."""
    return "".join(event.text or "" for event in events if event.type == "output" and event.stream == stream)


def wait_ended(client: AgentClient, job_id: int) -> Job:
    """The job, once it has ended."""
    until(lambda: client.job(job_id).state in DONE)
    return client.job(job_id)


def agent_command(home: Path, *args: object, code: int = 0) -> list[str]:
    """Lines that ``cluster-agent ARGS`` prints about the agent in ``home``: stdout, or stderr when it fails."""
    env = {name: value for name, value in os.environ.items() if name not in _INHERITED}
    done = run_hosted(AGENT, [*map(str, args), "--home", str(home)], env)
    stdout, stderr = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == code, stdout + stderr
    assert "Traceback" not in stderr
    return (stderr if code else stdout).splitlines()
