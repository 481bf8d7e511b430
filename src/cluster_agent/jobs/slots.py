"""What the box has and what of it is taken: GPUs by identity, CPUs and memory by amount."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import psutil

from cluster_agent.jobs.gpus import Gpu
from cluster_agent.jobs.need import Need


def box_capacity(gpus: Sequence[Gpu]) -> Need:
    """All that this box can hand out, as far as this process may use it."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Need(gpus=len(gpus), cpus=cpus, memory_bytes=min(psutil.virtual_memory().total, *memory_limits()))


def memory_limits(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> list[int]:
    """Limits of memory of the control groups that this process is in, as in a container; at least one number."""
    limits = [sys.maxsize]
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return limits
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, name = root, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        folder = top / path.lstrip("/")
        files = [group / name for group in (folder, *folder.parents) if group.is_relative_to(top)]
        limits += [limit for file in files if (limit := _read_limit(file)) is not None]
    return limits


def _read_limit(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None  # no such controller, or no limit


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

    @property
    def held(self) -> frozenset[str]:
        """Ids of the GPUs that somebody holds."""
        return frozenset(gpu_id for _, gpu_ids in self._taken.values() for gpu_id in gpu_ids)

    def free_beside(self, avoid: Collection[str]) -> Need:
        """What nobody holds, without the GPUs in ``avoid``."""
        kept = sum(gpu.gpu_id in avoid for gpu in self.gpus if gpu.gpu_id not in self.held)
        return self.free - Need(gpus=kept)

    def take(self, job_id: int, need: Need, avoid: Collection[str] = ()) -> list[str]:
        """GPU ids for the job, none of them in ``avoid``; it holds ``need`` from now on.

        Raises
        ------
        ValueError
            When it does not fit; nothing is taken then.
        """
        free = self.free_beside(avoid)
        if not need.fits(free):
            raise ValueError(f"job {job_id} does not fit: {need} of {free}")
        taken = self.held.union(avoid)
        gpu_ids = [gpu.gpu_id for gpu in self.gpus if gpu.gpu_id not in taken][: need.gpus]
        self._taken[job_id] = (need, gpu_ids)
        return gpu_ids

    def hold(self, job_id: int, need: Need, gpu_ids: list[str]) -> None:
        """Book what an adopted job has already."""
        self._taken[job_id] = (need, gpu_ids)

    def give_back(self, job_id: int) -> bool:
        """Free what the job holds; False when it held nothing."""
        return self._taken.pop(job_id, None) is not None
