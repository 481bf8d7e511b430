"""Which GPUs somebody outside uses, so that no job gets them. Asked just before GPUs are handed out.

::

    watch = GpuWatch(gpus)
    busy = await watch.busy_outside(held)      # gpu_id -> in one phrase, who or what uses it
    ... Slots.take(job_id, need, avoid=busy)
    waiting_for(busy)                          # "1 GPU is in use outside mlmagics (by bob, process 4711)"

``held`` are the GPUs of our own jobs, those that were left behind included: what runs there is ours. An answer
is used for two seconds. A driver that does not answer keeps no job from starting: then nothing is known of
anybody outside, and ``trouble`` says so.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
import pynvml

from cluster_agent.jobs.gpus import Gpu, Patience
from cluster_agent.units import format_size

#: Memory that is in use although no process is seen, as when this is a container: more than a display takes.
BUSY_BYTES = 2**30
KEEP_S = 2.0
ANSWER_S = 3.0
#: Between two looks at a driver that did not answer, when no job waits for a GPU.
_TROUBLE_LOOK_S = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """What NVML tells of one GPU."""

    #: process ids with a compute context
    processes: tuple[int, ...] = ()
    used_bytes: int = 0
    #: what the driver said in place of an answer
    fault: str | None = None


def in_use(use: Use, users: Mapping[int, str]) -> str | None:
    """Who or what uses a GPU that none of our jobs holds, as a phrase; None when it is free. Pure."""
    if use.fault is not None:
        return f"does not answer ({use.fault})"
    if use.processes:
        first = min(use.processes)
        who = f"by {users[first]}, process {first}" if first in users else f"by process {first}"
        more = f" and {len(use.processes) - 1} more" if len(use.processes) > 1 else ""
        return f"in use outside mlmagics ({who}{more})"
    if use.used_bytes > BUSY_BYTES:
        return f"in use outside mlmagics ({format_size(use.used_bytes)} of its memory)"
    return None


def waiting_for(busy: Mapping[str, str]) -> str:
    """What a job waits for that could start if the GPUs in ``busy`` were free. Pure."""
    count = len(busy)
    first = next(iter(busy.values()), "")
    if count == 1:
        return f"1 GPU {first}" if first.startswith("does") else f"1 GPU is {first}"
    return f"{count} GPUs are in use outside mlmagics or do not answer"


class GpuWatch:
    """Asks the driver about GPUs, in a thread, and never waits long for it.

    Parameters
    ----------
    gpus
        Those that the agent hands out; declared ones, which NVML does not know, are not asked about.
    nvml
        A module with the interface of ``pynvml``.
    """

    def __init__(self, gpus: Sequence[Gpu], nvml: Any = pynvml, *, answer_s: float = ANSWER_S) -> None:
        #: one line when the driver did not answer the last time
        self.trouble = ""
        self._known = [gpu.gpu_id for gpu in gpus if gpu.memory_bytes]
        self._nvml = nvml
        self._answer_s = answer_s
        self._patience = Patience()
        self._uses: dict[str, Use] = {}
        self._asked_at = -math.inf
        #: what our jobs held then: of these it is not known whether anybody else uses them
        self._held = frozenset[str]()
        self._initialised = False

    async def busy_outside(self, held: Collection[str]) -> dict[str, str]:
        """GPUs that none of our jobs holds and that are in use all the same: by id, in one phrase, why."""
        free = [gpu_id for gpu_id in self._known if gpu_id not in held]
        if not free:
            return {}
        if time.monotonic() - self._asked_at >= KEEP_S or not self._held.isdisjoint(free):
            await asyncio.to_thread(self._ask, frozenset(held))
        uses = {gpu_id: self._uses[gpu_id] for gpu_id in free if gpu_id in self._uses}
        users = _users({pid for use in uses.values() for pid in use.processes})
        told = {gpu_id: in_use(use, users) for gpu_id, use in uses.items()}
        return {gpu_id: phrase for gpu_id, phrase in told.items() if phrase is not None}

    async def watch(self) -> None:
        """Ask again, for ever, while there is trouble: it may pass without a job that needs a GPU."""
        while True:
            await asyncio.sleep(_TROUBLE_LOOK_S)
            if self.trouble:
                await asyncio.to_thread(self._ask, self._held)

    def _ask(self, held: frozenset[str]) -> None:
        try:
            self._uses = self._patience.ask(lambda: self._read(held), self._answer_s)
            self.trouble = ""
        except TimeoutError:
            self._uses = {}
            self.trouble = "the NVIDIA driver does not answer, so GPUs in use by others cannot be told"
        except self._nvml.NVMLError as error:
            self._uses = {}
            self._initialised = False
            self.trouble = f"the NVIDIA driver fails, so GPUs in use by others cannot be told: {error}"
        self._asked_at, self._held = time.monotonic(), held

    def _read(self, held: frozenset[str]) -> dict[str, Use]:
        if not self._initialised:
            self._nvml.nvmlInit()
            self._initialised = True
        return {gpu_id: self._use(gpu_id) for gpu_id in self._known if gpu_id not in held}

    def _use(self, gpu_id: str) -> Use:
        nvml = self._nvml
        try:
            handle = nvml.nvmlDeviceGetHandleByUUID(gpu_id)
            processes = tuple(process.pid for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle))
            return Use(processes=processes, used_bytes=used_bytes(nvml, handle))
        except nvml.NVMLError as error:
            return Use(fault=str(error))


def used_bytes(nvml: Any, handle: Any) -> int:
    """Memory of a GPU in use, without what the driver keeps for itself where it tells the two apart."""
    try:
        return int(nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2).used)
    except nvml.NVMLError:
        return int(nvml.nvmlDeviceGetMemoryInfo(handle).used)


def _users(pids: Collection[int]) -> dict[int, str]:
    """Who runs each of the processes that can be seen from here."""
    found = {}
    for pid in pids:
        try:
            found[pid] = psutil.Process(pid).username()
        except (psutil.Error, KeyError):
            continue
    return found
