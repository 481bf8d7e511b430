"""What the box has and what of it is taken: GPUs by identity, CPUs and memory by amount."""

from __future__ import annotations

import os
from collections.abc import Sequence

import psutil

from cluster_agent.jobs.gpus import Gpu
from cluster_agent.jobs.scheduling import Need


def box_capacity(gpus: Sequence[Gpu]) -> Need:
    """All that this box can hand out, as far as this process may use it."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Need(gpus=len(gpus), cpus=cpus, memory_bytes=psutil.virtual_memory().total)


class Slots:
    """A ledger: taking is all or nothing, giving back twice is harmless."""

    def __init__(self, gpus: Sequence[Gpu], total: Need) -> None:
        self.gpus = tuple(gpus)
        self.total = total
        self._taken: dict[int, tuple[Need, list[str]]] = {}

    @property
    def free(self) -> Need:
        """What nobody holds; below zero where an adopted job holds more than the box now has."""
        free = self.total
        for need, _ in self._taken.values():
            free = free - need
        return free

    def take(self, job_id: int, need: Need) -> list[str]:
        """GPU ids for the job, which holds ``need`` from now on.

        Raises
        ------
        ValueError
            When it does not fit; nothing is taken then.
        """
        if not need.fits(self.free):
            raise ValueError(f"job {job_id} does not fit: {need} of {self.free}")
        held = {gpu_id for _, gpu_ids in self._taken.values() for gpu_id in gpu_ids}
        gpu_ids = [gpu.gpu_id for gpu in self.gpus if gpu.gpu_id not in held][: need.gpus]
        self._taken[job_id] = (need, gpu_ids)
        return gpu_ids

    def hold(self, job_id: int, need: Need, gpu_ids: list[str]) -> None:
        """Book what an adopted job has already."""
        self._taken[job_id] = (need, gpu_ids)

    def give_back(self, job_id: int) -> None:
        """Free what the job holds."""
        self._taken.pop(job_id, None)
