"""The embedded agent: one of a person's own on this machine, started on first use, shared by all kernels.

The agent lives in a home of its own and outlives the kernel that started it. It is found by the file
``ready.json`` in its home and spoken to over a Unix socket that belongs to this person; the start is guarded by
a lock, so that two kernels at once start one agent. Whether it lives is told by its answer, never by the file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import psutil

from cluster_agent.client import AgentClient
from cluster_agent.errors import AgentError
from cluster_agent.protocol import PROTOCOL_VERSION, Info, Ready
from mlmagics.cluster.locks import locked
from mlmagics.cluster.names import LOCAL
from mlmagics.cluster.store import Attachment
from mlmagics.errors import LocalAgentError

#: Without jobs and requests for so long it ends; the next cell starts it again.
IDLE_EXIT = "30m"
#: An agent that was started has to be ready within this.
START_S = 5.0
_STOP_S = 10.0
_ANSWER_S = 2.0
_LOOK_S = 0.02


class LocalAgent:
    """The agent in one home: find, start, stop."""

    def __init__(self, home: Path, *, start_s: float = START_S) -> None:
        self.home = home
        self.start_s = start_s
        self.log = home / "agent.log"

    def ready(self) -> Ready | None:
        """What the agent wrote when it began to serve; it may be gone since."""
        try:
            return msgspec.json.decode((self.home / "ready.json").read_bytes(), type=Ready)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def running(self) -> tuple[Ready, Info] | None:
        """The agent that answers at this moment, with its answer."""
        ready = self.ready()
        if ready is None or not _is_mine(Path(ready.socket)):
            return None
        try:
            with AgentClient(ready.url, uds=ready.socket, timeout_s=_ANSWER_S) as client:
                return ready, client.info()
        except AgentError:
            return None

    def require(self) -> Ready:
        """The agent, when it runs.

        Raises
        ------
        LocalAgentError
            When it does not.
        """
        found = self.running()
        if found is None:
            raise LocalAgentError("the agent of your own does not run; it starts with the first %%local cell")
        return found[0]

    def ensure(self) -> Ready:
        """The agent, started when it does not run.

        Raises
        ------
        LocalAgentError
            When it cannot run here or is not ready in time; with the last line of its log.
        """
        _check_platform()
        found = self.running()
        if found and found[0].protocol == PROTOCOL_VERSION:
            return found[0]
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self.home / "start.lock", timeout_s=START_S + _STOP_S + _ANSWER_S):
                return self._ensure_alone()
        except OSError as error:
            raise LocalAgentError(f"the agent of your own cannot start: {error}") from None

    def stop(self) -> bool:
        """End the agent; False when none ran. Running jobs go on and are found again by the next one."""
        _check_platform()
        if not self.home.is_dir():
            return False
        try:
            with locked(self.home / "start.lock", timeout_s=START_S + _STOP_S + _ANSWER_S):
                return self._stop_alone()
        except OSError as error:
            raise LocalAgentError(f"the agent of your own was not stopped: {error}") from None

    def attachment(self) -> Attachment:
        """The cluster ``local`` as an attachment; without an address before its first start.

        Its port stays the same, so history URLs name it also while it does not run.
        """
        ready = self.ready()
        if ready is not None:
            return Attachment(name=LOCAL, url=ready.url)
        try:
            port = int((self.home / "port").read_text("ascii"))
        except (OSError, ValueError):
            return Attachment(name=LOCAL, url="")
        return Attachment(name=LOCAL, url=f"http://127.0.0.1:{port}")

    def _ensure_alone(self) -> Ready:
        # another kernel may have started it while this one waited for the lock
        found = self.running()
        if found:
            ready = found[0]
            if ready.protocol == PROTOCOL_VERSION:
                return ready
            if ready.protocol > PROTOCOL_VERSION:
                raise LocalAgentError(
                    f"the agent of your own runs mlmagics {ready.version}, which is newer than the one in this "
                    "kernel: upgrade mlmagics here"
                )
            self._stop_alone()
        return self._start()

    def _start(self) -> Ready:
        # of the agent's settings only its own agent.toml counts: variables here may be another agent's
        variables = {
            name: value for name, value in os.environ.items() if not name.startswith("CLUSTER_AGENT_")
        }
        command = [
            sys.executable,
            "-m",
            "cluster_agent",
            "serve",
            "--home",
            str(self.home),
            "--local",
            "--port",
            "0",
            "--idle-exit",
            IDLE_EXIT,
        ]
        with os.fdopen(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=variables,
                start_new_session=True,
            )
        # somebody has to take its exit status when it ends before this process does
        threading.Thread(target=process.wait, name="mlmagics-local-agent", daemon=True).start()
        deadline = time.monotonic() + self.start_s
        while time.monotonic() < deadline:
            ready = self.ready()
            if ready and ready.pid == process.pid and self.running():
                return ready
            if process.poll() is not None:
                raise LocalAgentError(f"the agent of your own ended at its start: {self._last_line()}")
            time.sleep(_LOOK_S)
        process.terminate()
        raise LocalAgentError(
            f"the agent of your own was not ready within {self.start_s:g} s: {self._last_line()} (log: {self.log})"
        )

    def _stop_alone(self) -> bool:
        process = self._process()
        if process is None:
            return False
        try:
            process.terminate()
            process.wait(_STOP_S)
        except psutil.NoSuchProcess:
            return True
        except psutil.TimeoutExpired:
            raise LocalAgentError(
                f"the agent of your own (process {process.pid}) did not end within {_STOP_S:.0f} s"
            ) from None
        return True

    def _process(self) -> psutil.Process | None:
        """The agent's process; a process that merely got its number since is not it."""
        ready = self.ready()
        if ready is None:
            return None
        try:
            process = psutil.Process(ready.pid)
            words = process.cmdline()
        except psutil.Error:
            return None
        return process if str(self.home) in words and "serve" in words else None

    def _last_line(self) -> str:
        try:
            lines = self.log.read_text("utf-8", "replace").strip().splitlines()
        except OSError as error:
            return str(error)
        return lines[-1] if lines else "its log is empty"


def _check_platform() -> None:
    if sys.platform == "win32":
        raise LocalAgentError(
            "%%local needs Linux or macOS: use WSL, or attach a box with %attachments add NAME URL"
        )


def _is_mine(socket: Path) -> bool:
    # a socket of somebody else's could be there to be told what this person runs
    if sys.platform == "win32":
        return False
    try:
        return socket.stat().st_uid == os.getuid()
    except OSError:
        return False
