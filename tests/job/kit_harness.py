"""Plays the supervisor for one runner: sends the order, reads pipes and frames in order, answers."""

from __future__ import annotations

import array
import fcntl
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlmagics_job

SOURCE = Path(mlmagics_job.__file__).parent
TITLE = "gpu-box/42"
DEADLINE_S = 90


def build_kit(folder: Path) -> Path:
    """The kit as an agent installs it: the package, its entry point for fsspec, the shim."""
    shutil.copytree(SOURCE, folder / "mlmagics_job", ignore=shutil.ignore_patterns("__pycache__"))
    info = folder / "mlmagics_job-0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mlmagics-job\nVersion: 0.0\n")
    (info / "entry_points.txt").write_text(
        "[fsspec.specs]\nproject = mlmagics_job.project:ProjectFileSystem\n"
    )
    shim = folder / "shim" / "mlmagics"
    shim.mkdir(parents=True)
    shutil.copy(SOURCE / "shim.py", shim / "__init__.py")
    return folder


@dataclass
class Record:
    """What a supervisor would have written down, in order."""

    items: list[tuple[str, Any]] = field(default_factory=list)
    exit_code: int = -1
    #: seconds from the start to the first byte of output
    first_s: float = 0.0

    def text(self, stream: str) -> str:
        return b"".join(value for kind, value in self.items if kind == stream).decode(
            "utf-8", "backslashreplace"
        )

    @property
    def stdout(self) -> str:
        return self.text("stdout")

    @property
    def stderr(self) -> str:
        return self.text("stderr")

    def frames(self, kind: str) -> list[dict[str, Any]]:
        return [value for name, value in self.items if name == "frame" and value["type"] == kind]

    @property
    def error(self) -> dict[str, Any]:
        (frame,) = self.frames("error")
        return frame

    @property
    def traceback(self) -> str:
        return "\n".join(self.error["traceback"])

    @property
    def data(self) -> list[dict[str, Any]]:
        return [frame["data"] for frame in self.frames("display")]

    def merged(self) -> list[tuple[str, Any]]:
        """The items with neighbours of one stream joined, and text in place of bytes."""
        result: list[tuple[str, Any]] = []
        for kind, value in self.items:
            if kind == "frame":
                result.append((value["type"], value))
            elif result and result[-1][0] == kind:
                result[-1] = (kind, result[-1][1] + value.decode())
            else:
                result.append((kind, value.decode()))
        return result


class Runner:
    """One started runner and the supervisor's ends of its pipes and its channel."""

    def __init__(
        self,
        kit: Path,
        source: str,
        work: Path,
        *,
        python: str = sys.executable,
        env: dict[str, str] | None = None,
        fetch: Sequence[str] = (),
    ) -> None:
        self.record = Record()
        kind = getattr(socket, "SOCK_SEQPACKET", socket.SOCK_DGRAM)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, kind)
        variables = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(work),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(kit),
            "MLMAGICS_CONTROL_FD": str(theirs.fileno()),
            **(env or {}),
        }
        self.started_at = time.perf_counter()
        self.process = subprocess.Popen(
            [python, str(kit / "mlmagics_job" / "run.py")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=work,
            env=variables,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        assert self.process.stdout
        assert self.process.stderr
        self.pipes = {"stdout": self.process.stdout.fileno(), "stderr": self.process.stderr.fileno()}
        for pipe in self.pipes.values():
            # what was there may have been taken before the answer to a frame
            os.set_blocking(pipe, False)
        order = {"version": 1, "job_id": 42, "title": TITLE, "source": source, "fetch": list(fetch)}
        self._send_order(order)

    def _send_order(self, order: dict[str, Any]) -> None:
        fd = os.memfd_create("order")
        os.write(fd, json.dumps(order).encode())
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        self.control.sendmsg([b"order"], rights)
        os.close(fd)

    def run(self, on_item: Callable[[Runner, str, Any], None] = lambda *_: None) -> Record:
        """Read all until the runner has ended and its pipes are closed."""
        deadline = time.monotonic() + DEADLINE_S
        try:
            with selectors.DefaultSelector() as selector:
                for name, fd in self.pipes.items():
                    selector.register(fd, selectors.EVENT_READ, name)
                selector.register(self.control, selectors.EVENT_READ, "control")
                while selector.get_map():
                    if time.monotonic() > deadline:
                        raise AssertionError(f"the runner did not end: {self.record.items[-5:]}")
                    for key, _ in selector.select(1.0):
                        before = len(self.record.items)
                        if not self._take(key.data):
                            selector.unregister(key.fileobj)
                        for item in self.record.items[before:]:
                            on_item(self, *item)
            self.record.exit_code = self.process.wait(DEADLINE_S)
        finally:
            self.close()
        return self.record

    def _take(self, name: str) -> bool:
        if name == "control":
            return self._take_frame()
        return self._read(name, 65536)

    def _read(self, name: str, count: int) -> bool:
        try:
            data = os.read(self.pipes[name], count)
        except BlockingIOError:
            return True
        if data:
            self.record.first_s = self.record.first_s or time.perf_counter() - self.started_at
            self.record.items.append((name, data))
        return bool(data)

    def _take_frame(self) -> bool:
        try:
            packet, extra, _, _ = self.control.recvmsg(262144, socket.CMSG_SPACE(4))
        except ConnectionResetError:
            return False
        if not packet:
            return False
        attached = None
        if extra:
            fd = int.from_bytes(extra[0][2][:4], sys.byteorder)
            with os.fdopen(fd, "rb") as file:
                file.seek(0)
                attached = file.read()
        frame = json.loads(attached if packet == b"fd" else packet)
        if packet != b"fd" and attached is not None:
            frame["file"] = attached
        ack = frame.pop("ack", False)
        if ack:
            for name, pipe in self.pipes.items():
                held = array.array("i", [0])
                fcntl.ioctl(pipe, termios.FIONREAD, held)
                if held[0]:
                    self._read(name, held[0])
        self.record.items.append(("frame", frame))
        if ack:
            try:
                self.control.send(b"ack")
            except (BrokenPipeError, ConnectionResetError):
                return False
        return True

    def close(self) -> None:
        """End the runner and all that is left of its group."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(DEADLINE_S)
        self.control.close()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe
            pipe.close()


def run_cell(kit: Path, work: Path, source: str, **options: Any) -> Record:
    """Run ``source`` to its end."""
    return Runner(kit, source, work, **options).run()


def find_python(version: str) -> str | None:
    """Path of an interpreter of this version, when this machine has one."""
    for path in sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python")):
        return str(path)
    return shutil.which(f"python{version}")
