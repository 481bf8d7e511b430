"""Forks agents, kernels and commands for tests: each a process of its own, which begins with its code imported and nothing done.

The imports are most of what a start costs, and a run starts more than a thousand. What an agent does from nothing is
tested by each that starts again in its home, or with an interpreter or variables of its own; what a kernel does, by the
notebooks that are run whole; what a command does, by those in a terminal, and those that are interrupted.

    python hosted.py KIND FD    forks for requests on the socket ``FD`` until its other end is closed
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

#: Of a request, at most: all variables are in it.
_SIZE = 200_000


@dataclass(frozen=True)
class Kind:
    """A program, as hosts know it."""

    name: str
    #: imported before anything is forked
    modules: tuple[str, ...]
    #: what it is called with its arguments, in the last of the modules
    function: str
    #: whether it is the first of a group of processes
    leads: bool = False


AGENT = Kind("agent", ("cluster_agent.service", "cluster_agent.cli"), "main")
KERNEL = Kind(
    "kernel",
    (
        "ipykernel.ipkernel",
        "matplotlib_inline.backend_inline",
        "mlmagics.magics.registry",
        "ipykernel.kernelapp",
    ),
    "launch_new_instance",
    leads=True,
)
MLMAGICS = Kind(
    "mlmagics",
    (
        "mlmagics.cli.cluster_commands",
        "mlmagics.cli.job_commands",
        "mlmagics.cli.run_commands",
        "mlmagics.cluster.session",
        "mlmagics.cli.main",
    ),
    "main",
)


class Hosted:
    """A program with ``arguments``, forked by a host; has what of ``subprocess.Popen`` the tests use."""

    def __init__(
        self,
        kind: Kind,
        arguments: list[str],
        env: Mapping[str, str],
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int,
        cwd: Path | None = None,
    ) -> None:
        #: what it prints, unless that goes elsewhere
        self.stdout: TextIO | None
        self._answers, theirs = socket.socketpair()
        umask = os.umask(0)
        os.umask(umask)
        request = {"arguments": arguments, "env": dict(env), "cwd": str(cwd or Path.cwd()), "umask": umask}
        message = json.dumps(request).encode()
        with contextlib.ExitStack() as given, theirs:
            if stdin is None:
                stdin = given.enter_context(open(os.devnull)).fileno()
            self.stdout = None
            if stdout is None:
                reading, stdout = os.pipe()
                given.callback(os.close, stdout)
                self.stdout = open(reading, encoding="utf-8")  # noqa: SIM115
            socket.send_fds(_host(kind), [message], [stdin, stdout, stderr, theirs.fileno()])
        self._said = self._answers.makefile("r", encoding="ascii")
        self.pid = int(self._said.readline())
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None and select.select([self._answers], [], [], 0)[0]:
            return self.wait()
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        if self._code is None:
            if not select.select([self._answers], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self._code = int(self._said.readline())
            self._said.close()
            self._answers.close()
        return self._code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def run_hosted(
    kind: Kind,
    arguments: list[str],
    env: Mapping[str, str],
    *,
    cwd: Path | None = None,
    given: bytes = b"",
    within_s: float = 120.0,
) -> subprocess.CompletedProcess[bytes]:
    """A command that was run to its end with ``given`` as its input; killed when that takes too long."""
    with (
        tempfile.TemporaryFile() as stdin,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
    ):
        stdin.write(given)
        stdin.seek(0)
        fds = {"stdin": stdin.fileno(), "stdout": stdout.fileno(), "stderr": stderr.fileno()}
        process = Hosted(kind, arguments, env, cwd=cwd, **fds)
        try:
            code = process.wait(within_s)
        finally:
            process.kill()
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(arguments, code, stdout.read(), stderr.read())


@functools.cache
def _host(kind: Kind) -> socket.socket:
    """Where this process's host of a kind takes requests; it ends when this process does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        host = subprocess.Popen(
            [sys.executable, __file__, kind.name, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=env,
        )
    atexit.register(lambda: (ours.close(), host.wait(10)))
    return ours


def _serve(kind: Kind, control: socket.socket) -> list[str]:
    """Fork a process for each request; in one of those, its arguments."""
    # a kernel and an agent know nothing of the tests
    del sys.path[0]
    for module in kind.modules:
        importlib.import_module(module)
    gc.freeze()
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    answers: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control, ended], [], [])
        if ended in ready:
            os.read(ended, 4096)
            _tell_ended(answers)
        if control in ready:
            message, fds, _, _ = socket.recv_fds(control, _SIZE, 4)
            if not message:
                raise SystemExit(0)
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                if kind.leads:
                    os.setsid()
                return _become(json.loads(message), fds)
            *streams, answer = fds
            os.write(answer, b"%d\n" % pid)
            answers[pid] = answer
            for fd in streams:
                os.close(fd)


def _tell_ended(answers: dict[int, int]) -> None:
    while answers:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        answer = answers.pop(pid)
        # nobody may be there any more to hear it
        with contextlib.suppress(BrokenPipeError):
            os.write(answer, b"%d\n" % os.waitstatus_to_exitcode(status))
        os.close(answer)


def _become(request: dict[str, Any], fds: list[int]) -> list[str]:
    """Take over what the process was asked to have: streams, variables, folder; its arguments."""
    for number in range(3):
        os.dup2(fds[number], number)
    os.closerange(3, 1 << 16)
    os.environ.clear()
    os.environ.update(request["env"])
    if "JPY_PARENT_PID" in os.environ:
        os.environ["JPY_PARENT_PID"] = str(os.getppid())
    os.chdir(request["cwd"])
    os.umask(request["umask"])
    arguments: list[str] = request["arguments"]
    return arguments


if __name__ == "__main__":
    wanted = next(kind for kind in (AGENT, KERNEL, MLMAGICS) if kind.name == sys.argv[1])
    sys.argv[1:] = _serve(wanted, socket.socket(fileno=int(sys.argv[2])))
    sys.exit(getattr(sys.modules[wanted.modules[-1]], wanted.function)())
