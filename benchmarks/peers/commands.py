"""Systems that are a command in a terminal: a minimal Metaflow flow, and an MLflow project without an environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from itertools import count
from pathlib import Path

from benchmarks.peers.base import Peer
from benchmarks.peers.jobs import BIN
from benchmarks.runs import WIDTH, Sink

_FLOW = """\
from metaflow import FlowSpec, step

class Flow(FlowSpec):
    @step
    def start(self):
        exec(compile(open("job.py").read(), "job.py", "exec"), {"__name__": "__main__"})
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    Flow()
"""


class Command(Peer):
    """A command for each job, whose output is the job's among other lines."""

    batch = 6
    most_rounds = 3
    lines = 100_000

    def open(self, folder: Path) -> None:
        self._folder, self._numbers = folder, count()

    def run(self, source: str, sink: Sink) -> None:
        with self._start(source, subprocess.PIPE) as process:
            assert process.stdout is not None
            while chunk := os.read(process.stdout.fileno(), 1 << 16):
                sink(chunk.decode(errors="replace"))
        if process.returncode:
            raise RuntimeError(f"{self.name} ended with {process.returncode}")

    def run_many(self, source: str, count: int) -> None:
        running: deque[subprocess.Popen[bytes]] = deque()
        for _ in range(count):
            if len(running) == WIDTH:
                running.popleft().wait()
            running.append(self._start(source, subprocess.DEVNULL))
        for process in running:
            process.wait()

    def _start(self, source: str, stdout: int) -> subprocess.Popen[bytes]:
        folder = self._folder / f"job-{next(self._numbers)}"
        folder.mkdir()
        (folder / "job.py").write_text(source)
        command, settings = self._prepare(folder)
        return subprocess.Popen(
            command,
            cwd=folder,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **settings},
        )

    def _prepare(self, folder: Path) -> tuple[list[str], dict[str, str]]:
        raise NotImplementedError


class Metaflow(Command):
    name = "metaflow"

    def _prepare(self, folder: Path) -> tuple[list[str], dict[str, str]]:
        (folder / "flow.py").write_text(_FLOW)
        own = {
            "USERNAME": "bench",
            "METAFLOW_HOME": str(folder),
            "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder),
        }
        return [sys.executable, "flow.py", "--no-pylint", "run"], own


class Mlflow(Command):
    name = "mlflow run"
    rows = ("P1", "P2", "P4")

    def _prepare(self, folder: Path) -> tuple[list[str], dict[str, str]]:
        (folder / "MLproject").write_text(
            f"name: bench\nentry_points:\n  main:\n    command: '{sys.executable} job.py'\n"
        )
        own = {"MLFLOW_TRACKING_URI": f"file://{self._folder}/mlruns", "MLFLOW_ALLOW_FILE_STORE": "true"}
        return [str(BIN / "mlflow"), "run", str(folder), "--env-manager", "local"], own
