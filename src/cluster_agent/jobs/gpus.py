"""Which GPUs this box has, as NVIDIA's management library tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pynvml


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpu:
    """One GPU: ``gpu_id`` is what ``CUDA_VISIBLE_DEVICES`` takes."""

    gpu_id: str
    name: str
    memory_bytes: int


def find_gpus(nvml: Any = pynvml) -> list[Gpu]:
    """The GPUs of this box by UUID; none where there is no driver.

    Parameters
    ----------
    nvml
        A module with the interface of ``pynvml``.
    """
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return []
    try:
        return [_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
    finally:
        nvml.nvmlShutdown()


def _gpu(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    return Gpu(
        gpu_id=_text(nvml.nvmlDeviceGetUUID(handle)),
        name=_text(nvml.nvmlDeviceGetName(handle)),
        memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
    )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def declared_gpus(count: int, found: list[Gpu]) -> list[Gpu]:
    """The first ``count`` of the GPUs found; where there are fewer, slots that CUDA knows by number."""
    slots = [Gpu(gpu_id=str(index), name="declared", memory_bytes=0) for index in range(count)]
    return found[:count] if len(found) >= count else slots
