"""submitit's local executor: a process for each job, its log a file that we read every 5 ms."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import submitit

from benchmarks.peers.base import Peer
from benchmarks.peers.jobs import ROOT, changed, run_source
from benchmarks.runs import Sink


class Submitit(Peer):
    name = "submitit"
    rows = ("P1", "P2", "P3", "P4", "P5", "P6", "P7")
    _LOOK_S = 0.005

    def open(self, folder: Path) -> None:
        os.environ["PYTHONPATH"] = ROOT
        self._executor = submitit.LocalExecutor(folder=folder / "jobs")
        self._executor.update_parameters(timeout_min=30)

    def run(self, source: str, sink: Sink) -> None:
        job = self._executor.submit(run_source, source)
        log = Path(job.paths.stdout)
        done, file = False, None
        while not done or file is None:
            done = job.done()
            if file is None and log.exists():
                file = log.open("rb")
            while file is not None and (chunk := file.read(1 << 20)):
                sink(chunk.decode())
            time.sleep(0 if done else self._LOOK_S)
        file.close()
        job.result()

    def run_many(self, source: str, count: int) -> None:
        # it has no queue: all start at once
        for job in [self._executor.submit(run_source, source) for _ in range(count)]:
            job.result()

    def array(self, size: int) -> tuple[float, float]:
        import numpy as np

        there: Any = np.zeros(size, "uint8")
        began = time.perf_counter()
        back = self._executor.submit(changed, there).result()
        half = (time.perf_counter() - began) / 2
        assert back.nbytes == size
        return half, half
