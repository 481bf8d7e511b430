"""A tunnel to an agent's socket on another machine, by the system's ``ssh``.

One tunnel for each address, for all programs of this person on this machine: an ssh that multiplexes, in the
background, in a session of its own, so that no interrupt of a kernel reaches it. It ends by itself when nobody has had a
connection for a while, and whoever connects next makes another (decision 32).

::

    <runtime>/mlmagics/KEY.ctl    the master's own socket
    <runtime>/mlmagics/KEY.sock   leads to the agent
    <runtime>/mlmagics/KEY.page   the port of this machine that leads to the agent's pages, if somebody asked
    <runtime>/mlmagics/KEY.log    what the master has said
    <runtime>/mlmagics/KEY.lock   held while a tunnel is made
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cluster_agent.errors import NoTunnel
from mlmagics.cluster.locks import locked
from mlmagics.cluster.ssh_addresses import SshAddress
from mlmagics.cluster.ssh_trouble import explain, why_closed

#: A tunnel that nobody has a connection through ends after this.
IDLE_S = 600
_CONNECT_S, _START_S, _GREET_S, _WORD_S = 10, 40.0, 10.0, 10.0
#: What was refused is not tried again for so long by itself: boxes lock out who fails too often.
_REFUSED_S = 20.0
#: ssh puts 17 characters more behind the name while it makes its socket; macOS takes 103.
_MAX_PATH = 103 - 17
_OPTIONS = {
    "BatchMode": "yes",
    "ControlMaster": "yes",
    "ControlPersist": str(IDLE_S),
    "ConnectTimeout": str(_CONNECT_S),
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    "StreamLocalBindUnlink": "yes",
    "StreamLocalBindMask": "0177",
    # of somebody's configuration for work in a terminal; here they do harm, or fail when both run
    "ClearAllForwardings": "yes",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "LogLevel": "INFO",
}
_refused: dict[str, tuple[str, float]] = {}


class SshTunnel:
    """The way to one agent. Safe to use from several threads and processes."""

    def __init__(self, place: SshAddress) -> None:
        self.place = place
        self.address, self.shown = place.url, place.shown
        self._name = hashlib.sha256(self.address.encode()).hexdigest()[:12]

    @property
    def socket(self) -> str:
        """Path of the socket that leads to the agent."""
        return str(self._file("sock"))

    def open(self, *, sure: bool = False) -> None:
        """See that the tunnel is there; with ``sure`` that an agent answers, whatever was refused a moment ago.

        Raises
        ------
        NoTunnel
            With the reason, and what to do.
        """
        if sys.platform == "win32":
            raise NoTunnel(
                "ssh on Windows cannot share a connection: use WSL, or in a terminal ssh -L 8900:localhost:8900 "
                f"{self.place.host} and attach http://localhost:8900 with a token"
            )
        if self._stands(sure=sure):
            return
        line, until = _refused.get(self.address, ("", 0.0))
        if not sure and until > time.monotonic():
            raise NoTunnel(line)
        try:
            with locked(self._file("lock"), timeout_s=_START_S + _GREET_S):
                # another kernel may have made it meanwhile
                if not self._stands(sure=sure):
                    self._make()
        except OSError as error:
            if isinstance(error, NoTunnel):
                raise
            raise NoTunnel(f"a tunnel could not be made here: {error}") from None
        _refused.pop(self.address, None)

    def _stands(self, *, sure: bool) -> bool:
        return _greets(self.socket) if sure else _listens(self.socket)

    def page(self, port: int) -> int:
        """A port of this machine that leads to ``port`` of the box, where the agent serves its pages.

        Raises
        ------
        NoTunnel
            When there is no way.
        """
        self.open()
        with locked(self._file("lock"), timeout_s=_START_S):
            before = self._page()
            same = before[1] if before and before[2] == port else _free_port()
            for local in (same, _free_port(), _free_port()):
                # asked for again, what is there already stays
                if self._word("forward", "-L", f"127.0.0.1:{local}:localhost:{port}"):
                    self._file("page").write_text(f"{local} {port}", "ascii")
                    return local
        raise NoTunnel("no port of this machine could be forwarded to the agent's pages")

    def close(self) -> None:
        """End the tunnel, for everybody."""
        self._word("exit")
        for kind in ("ctl", "sock"):
            self._file(kind).unlink(missing_ok=True)

    def _make(self) -> None:
        self.close()
        remote = self._connect()
        if not self._word("forward", "-L", f"{self.socket}:{remote}"):
            raise NoTunnel(f"ssh does not forward to {remote}: {explain(self._log(), self.place).line}")
        if not _greets(self.socket):
            line = why_closed(self._log())
            self.close()
            raise NoTunnel(line)
        if (page := self._page()) is not None:
            # a page that is open in a browser goes on
            self._word("forward", "-L", page[0])

    def _page(self) -> tuple[str, int, int] | None:
        """What was forwarded for pages: as ssh takes it, the port here, and the port there."""
        try:
            here, there = map(int, self._file("page").read_text("ascii").split())
        except (OSError, ValueError):
            return None
        return f"127.0.0.1:{here}:localhost:{there}", here, there

    def _connect(self) -> str:
        """Make the master; the path of the agent's socket on the other side."""
        log = self._file("log")
        log.unlink(missing_ok=True)
        options = {**_OPTIONS, "ControlPath": str(self._file("ctl"))}
        command = ["ssh", "-T", "-a", "-x", "-E", str(log)]
        for name, value in options.items():
            command += ["-o", f"{name}={value}"]
        status, said = _run([*command, *self.place.words, self.place.look], _START_S)
        if not self._word("check"):
            told = f"{self._log()}\n{said}" if status is not None else "timed out"
            trouble = explain(told, self.place)
            if trouble.lasting:
                _refused[self.address] = trouble.line, time.monotonic() + _REFUSED_S
            raise NoTunnel(trouble.line)
        try:
            return self.place.socket(said)
        except ValueError as error:
            self.close()
            raise NoTunnel(str(error)) from None

    def _word(self, *words: str) -> bool:
        """Tell the master something; whether it did it. Nobody's configuration has a say in this."""
        control = self._file("ctl")
        if not control.exists():
            return False
        status, _ = _run(["ssh", "-F", "none", "-S", str(control), "-O", *words, "--", "master"], _WORD_S)
        return status == 0

    def _log(self) -> str:
        try:
            return self._file("log").read_text("utf-8", "replace")
        except OSError:
            return ""

    def _file(self, kind: str) -> Path:
        return _folder() / f"{self._name}.{kind}"


def _run(command: list[str], limit_s: float) -> tuple[int | None, str]:
    """Exit status of an ssh, None when it took too long, and what it has printed.

    It writes to a file: the master that it leaves behind would hold a pipe open.
    """
    with tempfile.TemporaryFile() as out:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        except FileNotFoundError:
            raise NoTunnel("there is no program ssh here: install OpenSSH's client") from None
        try:
            status: int | None = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            if process.poll() is None:
                # also when the person has interrupted: half a tunnel is of no use to anybody
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        out.seek(0)
        return status, out.read().decode("utf-8", "replace")


def _listens(path: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)
    except OSError:
        return False
    return True


def _greets(path: str) -> bool:
    """Whether an agent answers; a socket that a master holds takes connections though nobody is behind it."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_GREET_S)
            probe.connect(path)
            probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return probe.recv(1) != b""
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _folder() -> Path:
    """The folder of tunnels: this person's alone, on this machine, with a path that ssh takes as it is.

    Raises
    ------
    NoTunnel
        When there is no such place.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    user = os.getuid() if sys.platform != "win32" else 0
    places = [
        *([Path(runtime) / "mlmagics"] if runtime else []),
        *(Path(folder) / f"mlmagics-{user}" for folder in (tempfile.gettempdir(), "/tmp")),
    ]
    for place in places:
        if (
            re.fullmatch(r"[A-Za-z0-9._/+-]+", str(place))
            and len(str(place)) + 18 <= _MAX_PATH
            and _is_ours(place)
        ):
            return place
    raise NoTunnel(f"there is no private folder for tunnels here: {' or '.join(map(str, places))}")


def _is_ours(place: Path) -> bool:
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        facts = place.lstat()
    except OSError:
        return False
    if sys.platform == "win32":
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o077
