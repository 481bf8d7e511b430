"""How busy a job's GPUs are, as NVIDIA's library tells it; called in a thread, as a driver may hang."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any


class GpuLoad:
    """Reads the GPUs in ``gpu_ids``; those that NVML does not know, or that fail, are left out.

    Parameters
    ----------
    gpu_ids
        As ``CUDA_VISIBLE_DEVICES`` has them.
    nvml
        A module with the interface of ``pynvml``, which is imported with the first reading when none is given.
    """

    def __init__(self, gpu_ids: Sequence[str], nvml: Any = None) -> None:
        self._gpu_ids = gpu_ids
        self._nvml = nvml
        self._ready = False

    def read(self) -> list[dict[str, Any]]:
        """What a `sample` tells of each GPU; nothing where there is no driver."""
        nvml = self._nvml = self._nvml or importlib.import_module("pynvml")
        try:
            if not self._ready:
                nvml.nvmlInit()
                self._ready = True
        except nvml.NVMLError:
            return []
        found = []
        for gpu_id in self._gpu_ids:
            try:
                found.append(self._one(gpu_id))
            except nvml.NVMLError:
                continue
        return found

    def _one(self, gpu_id: str) -> dict[str, Any]:
        handle = self._nvml.nvmlDeviceGetHandleByUUID(gpu_id)
        memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        return {
            "id": gpu_id,
            "percent": int(self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu),
            "memory_bytes": int(memory.used),
            "memory_total_bytes": int(memory.total),
        }
