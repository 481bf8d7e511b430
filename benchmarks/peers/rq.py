"""rq with a Redis server of its own: workers that fork for each job. It has no stream of output, so that what is
seen of a job is its end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import redis
import rq

from benchmarks.peers.base import Missing, Peer
from benchmarks.peers.jobs import BIN, ROOT, ended, run_source, wait_until
from benchmarks.runs import MARK, WIDTH, Sink


class Rq(Peer):
    name = "rq"
    isolated = "forked"
    rows = ("P1", "P2", "P5", "P8")
    batch = 200
    most_rounds = 20

    def open(self, folder: Path) -> None:
        server = shutil.which("redis-server")
        if server is None:
            raise Missing("there is no redis-server")
        socket = folder / "redis.sock"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        command = [server, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
        self._processes = [subprocess.Popen([*command, "--appendonly", "no"], **quiet)]
        self._redis = redis.Redis(unix_socket_path=str(socket))
        wait_until(lambda: socket.exists() and self._redis.ping())
        worker = [str(BIN / "rq"), "worker", "--url", f"unix://{socket}", "--quiet"]
        self._processes += [
            subprocess.Popen(worker, env={**os.environ, "PYTHONPATH": ROOT}, **quiet) for _ in range(WIDTH)
        ]
        self._queue = rq.Queue(connection=self._redis)
        wait_until(lambda: rq.Worker.count(connection=self._redis) == WIDTH)

    def close(self) -> None:
        for process in reversed(self._processes):
            ended(process)

    def run(self, source: str, sink: Sink) -> None:
        self._wait(self._queue.enqueue(run_source, source, job_timeout=600), 0.001)
        sink(MARK)

    def run_many(self, source: str, count: int) -> None:
        for job in [self._queue.enqueue(run_source, source) for _ in range(count)]:
            self._wait(job, 0.01)

    def processes(self) -> list[int]:
        tops = [psutil.Process(process.pid) for process in self._processes]
        return [one.pid for top in tops for one in (top, *top.children(recursive=True))]

    def _wait(self, job: rq.job.Job, every_s: float) -> None:
        while not job.is_finished:
            if job.is_failed:
                raise RuntimeError("the job failed")
            time.sleep(every_s)
