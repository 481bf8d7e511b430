"""Ray: a job through its job server (a fresh driver for each), and arrays in its shared memory."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from itertools import count
from pathlib import Path

import psutil

from benchmarks.peers.base import Peer
from benchmarks.peers.jobs import BIN, ROOT, ended, made, size_of, wait_until
from benchmarks.runs import WIDTH, Sink

# our own head, on loopback, for the length of the run
_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_DEDUP_LOGS": "0"}
_OVER = {"SUCCEEDED", "FAILED", "STOPPED"}


class RayJobs(Peer):
    name = "ray jobs"
    rows = ("P1", "P2", "P3", "P5", "P6", "P8")
    batch = 6
    most_rounds = 3

    def open(self, folder: Path) -> None:
        os.environ.update(_SETTINGS, PYTHONPATH=ROOT)
        from ray.job_submission import JobSubmissionClient

        self._folder, self._numbers = folder, count()
        port, board = _free_port(), _free_port()
        self._address = f"127.0.0.1:{port}"
        flags = ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", "--disable-usage-stats"]
        flags += [f"--port={port}", f"--dashboard-port={board}", f"--num-cpus={WIDTH}"]
        flags += ["--object-store-memory=2000000000", f"--temp-dir={folder}", "--block"]
        command = [str(BIN / "ray"), "start", "--head", *flags]
        self._head = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def up() -> bool:
            self._client = JobSubmissionClient(f"http://127.0.0.1:{board}")
            return isinstance(self._client.list_jobs(), list)

        wait_until(up, every_s=0.1)

    def close(self) -> None:
        family = [psutil.Process(pid) for pid in self.processes()]
        ended(self._head)
        for process in family:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass

    def run(self, source: str, sink: Sink) -> None:
        job = self._submit(source)

        async def tail() -> None:
            async for text in self._client.tail_job_logs(job):
                sink(text)

        asyncio.run(tail())
        self._wait(job)

    def run_many(self, source: str, count: int) -> None:
        for job in [self._submit(source) for _ in range(count)]:
            self._wait(job)

    def array(self, size: int) -> tuple[float, float]:
        import numpy as np
        import ray

        there = np.zeros(size, "uint8")
        ray.init(address=self._address, logging_level="ERROR", log_to_driver=False, ignore_reinit_error=True)
        asked = ray.remote(size_of)
        began = time.perf_counter()
        assert ray.get(asked.remote(ray.put(there))) == size
        went = time.perf_counter() - began
        back = ray.remote(made).remote(size)
        ray.wait([back], fetch_local=False)
        began = time.perf_counter()
        ray.get(back).sum(dtype="uint64")  # it is read from where it lies
        return went, time.perf_counter() - began

    def processes(self) -> list[int]:
        head = psutil.Process(self._head.pid)
        return [head.pid, *(one.pid for one in head.children(recursive=True))]

    def _submit(self, source: str) -> str:
        file = self._folder / f"job-{next(self._numbers)}.py"
        file.write_text(source)
        return str(self._client.submit_job(entrypoint=f"{BIN / 'python'} {file}"))

    def _wait(self, job: str) -> None:
        wait_until(lambda: str(self._client.get_job_status(job)) in _OVER, every_s=0.02)
        if str(self._client.get_job_status(job)) != "SUCCEEDED":
            raise RuntimeError("the job failed")


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])
