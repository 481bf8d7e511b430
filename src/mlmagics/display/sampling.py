"""What a job uses, in words: from the samples that its supervisor takes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster_agent.units import format_size

#: so many GPUs are told one by one
_ONE_BY_ONE = 4


@dataclass(frozen=True)
class GpuUse:
    """One GPU; what is not known is None."""

    percent: float | None
    memory_bytes: int | None
    memory_total_bytes: int | None


@dataclass(frozen=True)
class Usage:
    """One sample; what is not known is None. ``cpus`` is how many were busy on average since the one before."""

    cpus: float | None
    memory_bytes: int | None
    gpus: tuple[GpuUse, ...]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Usage:
        """The sample with the content ``values``."""
        gpus = values.get("gpus")
        return cls(
            cpus=_number(values.get("cpus")),
            memory_bytes=_whole(values.get("memory_bytes")),
            gpus=tuple(_gpu(entry) for entry in gpus if isinstance(entry, Mapping))
            if isinstance(gpus, list)
            else (),
        )


class Samples:
    """All samples of a job: the latest, and what the GPUs did in all."""

    def __init__(self) -> None:
        self.latest: Usage | None = None
        self._at = 0.0
        self._gpu_seconds = self._seconds = 0.0
        self._gpu_peak = 0

    def add(self, values: Mapping[str, Any], t: float) -> None:
        """One more sample, taken ``t`` seconds after the log's begin."""
        usage = Usage.of(values)
        percents = [gpu.percent for gpu in usage.gpus if gpu.percent is not None]
        # the first has no time before it that it could stand for
        passed = max(0.0, t - self._at) if self.latest is not None else 0.0
        if percents:
            self._gpu_seconds += passed * sum(percents) / len(percents)
            self._seconds += passed
        self._gpu_peak = max([self._gpu_peak, *(gpu.memory_bytes or 0 for gpu in usage.gpus)])
        self.latest, self._at = usage, t

    def summary(self) -> str:
        """How the GPUs were used in all; empty when nothing is known."""
        parts = []
        if self._seconds:
            parts.append(f"GPU {self._gpu_seconds / self._seconds:.0f} % busy on average")
        if self._gpu_peak and self.latest and self.latest.gpus:
            parts.append(f"peak GPU memory {_of(self._gpu_peak, self.latest.gpus[0].memory_total_bytes)}")
        return ", ".join(parts)


def usage_line(usage: Usage, *, cpus: int, memory_bytes: int) -> str:
    """``1 GPU 93 %, 31 GiB of 80 GiB; memory 3.1 GiB of 16 GiB; 1.9 of 8 CPUs``.

    Parameters
    ----------
    cpus, memory_bytes
        What the job was given; 0 for memory without a limit.
    """
    parts = [_gpus(usage.gpus)] if usage.gpus else []
    if usage.memory_bytes is not None:
        parts.append(f"memory {_of(usage.memory_bytes, memory_bytes)}")
    if usage.cpus is not None:
        parts.append(f"{usage.cpus:.1f} of {cpus} CPU{'' if cpus == 1 else 's'}")
    return "; ".join(part for part in parts if part)


def _gpus(gpus: tuple[GpuUse, ...]) -> str:
    if len(gpus) == 1:
        return f"1 GPU {_one(gpus[0])}".rstrip()
    if len(gpus) <= _ONE_BY_ONE:
        return f"{len(gpus)} GPUs: " + " | ".join(_one(gpu) or "not known" for gpu in gpus)
    percents = [gpu.percent for gpu in gpus if gpu.percent is not None]
    used, total = (
        sum(size or 0 for size in sizes)
        for sizes in zip(*((gpu.memory_bytes, gpu.memory_total_bytes) for gpu in gpus), strict=True)
    )
    busy = (
        f" {sum(percents) / len(percents):.0f} % on average ({min(percents):.0f} to {max(percents):.0f} %),"
        if percents
        else ""
    )
    return f"{len(gpus)} GPUs{busy} {_of(used, total)}"


def _one(gpu: GpuUse) -> str:
    parts = [f"{gpu.percent:.0f} %"] if gpu.percent is not None else []
    if gpu.memory_bytes is not None:
        parts.append(_of(gpu.memory_bytes, gpu.memory_total_bytes))
    return ", ".join(parts)


def _of(size: int, total: int | None) -> str:
    return format_size(size) + (f" of {format_size(total)}" if total else "")


def _gpu(entry: Mapping[str, Any]) -> GpuUse:
    return GpuUse(
        _number(entry.get("percent")),
        _whole(entry.get("memory_bytes")),
        _whole(entry.get("memory_total_bytes")),
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
