"""Dask's distributed scheduler: its workers are shared by all jobs; for how fast arrays travel."""

from __future__ import annotations

import os
import time
from pathlib import Path

import distributed

from benchmarks.peers.base import Peer
from benchmarks.peers.jobs import ROOT, made, size_of
from benchmarks.runs import WIDTH


class Dask(Peer):
    name = "dask"
    isolated = "no"
    rows = ("P6",)

    def open(self, folder: Path) -> None:
        os.environ["PYTHONPATH"] = ROOT
        self._cluster = distributed.LocalCluster(
            n_workers=WIDTH, threads_per_worker=1, dashboard_address=None, local_directory=str(folder)
        )
        self._client = distributed.Client(self._cluster)

    def close(self) -> None:
        self._client.close()
        self._cluster.close()

    def array(self, size: int) -> tuple[float, float]:
        import numpy as np

        there = np.zeros(size, "uint8")
        began = time.perf_counter()
        assert self._client.submit(size_of, self._client.scatter(there), pure=False).result() == size
        went = time.perf_counter() - began
        back = self._client.submit(made, size, pure=False)
        distributed.wait(back)
        began = time.perf_counter()
        back.result().sum(dtype="uint64")
        return went, time.perf_counter() - began
