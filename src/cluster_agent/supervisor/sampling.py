"""What a job uses, looked at once a second: `sample` events, the peak of memory, and whether it goes too far.

A look costs well below a millisecond. What may take longer (GPUs, the memory that processes share) is asked in
threads, and used when it is there. A job that ends within a second has none of this.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

from cluster_agent.executors.base import Order
from cluster_agent.isolation.ids import Ids, files_of
from cluster_agent.supervisor.background import Background
from cluster_agent.supervisor.gpu_load import GpuLoad
from cluster_agent.supervisor.group import Group
from cluster_agent.supervisor.guard import Guard
from cluster_agent.supervisor.usage import TreeMeter, Usage, own_part

LOOK_S = 1.0
#: A job has so many samples in its first ten minutes, and hardly more in each e-fold of its time.
_SAMPLES = 600
#: What was read of the GPUs is told for so long.
_FRESH_S = 5.0
#: Of its time, for a thread that looks at shared memory.
_DUTY = 0.01


def interval_s(elapsed_s: float) -> float:
    """Seconds between two samples of a job that has run for ``elapsed_s``."""
    return max(LOOK_S, elapsed_s / _SAMPLES)


class SharedMemory:
    """What processes that share memory use together: corrected by a slow look now and then."""

    def __init__(self, ids: Ids | None = None) -> None:
        self._ids = ids
        self._pids: tuple[int, ...] = ()
        self._part: Background[float | None] = Background(self._own_part)

    def correct(self, usage: Usage, now: float) -> int | None:
        """Memory of the tree; None while it is not known."""
        if len(usage.large) < 2:
            return usage.resident_bytes
        if now >= self._part.answered_at + max(LOOK_S, self._part.took_s / _DUTY):
            self._pids = usage.large
            self._part.ask()
        part = self._part.answer
        return None if part is None else round(usage.resident_bytes * part)

    def _own_part(self) -> float | None:
        with files_of(self._ids):
            return own_part(self._pids)


class Sampler:
    """Looks at the processes of one job.

    Parameters
    ----------
    group
        The job's control group, where it has one; then the kernel knows its memory.
    record
        Takes the values of a sample.
    """

    def __init__(self, order: Order, group: Group | None, record: Callable[[dict[str, Any]], None]) -> None:
        #: when the next look is due, in monotonic seconds
        self.due = math.inf
        self.peak_memory_bytes = 0
        self._group = group
        self._record = record
        watched = order.enforce_memory and not (group and group.limits_memory)
        self._guard = Guard(order.memory_bytes if watched else None, order.max_processes)
        self._meter = TreeMeter(os.getpid())
        self._shared = SharedMemory(order.ids)
        self._gpus = Background(GpuLoad(order.gpu_ids).read) if order.gpu_ids else None
        self._began = self._sampled_at = self._sample_at = 0.0
        self._cpu_s = 0.0

    def begin(self, now: float) -> None:
        """The job has begun."""
        self._began = self._sampled_at = now
        self.due = self._sample_at = now + LOOK_S

    def step(self, now: float) -> str | None:
        """Look when it is due; why the job must end now, when it must."""
        if now < self.due:
            return None
        self.due = now + LOOK_S
        usage = self._meter.look()
        memory_bytes = self._group.memory_bytes() if self._group else None
        if memory_bytes is None:
            memory_bytes = self._shared.correct(usage, now)
        self.peak_memory_bytes = max(self.peak_memory_bytes, memory_bytes or 0)
        if now >= self._sample_at:
            self._sample(now, usage, memory_bytes)
        if self._gpus is not None and self.due >= self._sample_at:
            self._gpus.ask()
        return self._guard.judge(memory_bytes, usage.processes)

    def _sample(self, now: float, usage: Usage, memory_bytes: int | None) -> None:
        cpus = max(0.0, usage.cpu_s - self._cpu_s) / (now - self._sampled_at)
        values: dict[str, Any] = {"cpus": round(cpus, 2)}
        if memory_bytes is not None:
            values["memory_bytes"] = memory_bytes
        if self._gpus is not None and self._gpus.answer and now - self._gpus.answered_at < _FRESH_S:
            values["gpus"] = self._gpus.answer
        self._record(values)
        self._cpu_s, self._sampled_at = usage.cpu_s, now
        self._sample_at = now + interval_s(now - self._began)
