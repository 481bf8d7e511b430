"""NVIDIA's management library as tests set it up: the names are those of ``pynvml``."""

# ruff: noqa: N802, N815

from __future__ import annotations

import threading
import types

GIB = 2**30


class FakeNvml:
    """The part of ``pynvml`` that is used, over GPUs as a test sets them up."""

    nvmlMemory_v2 = 2

    class NVMLError(Exception):
        pass

    def __init__(self, count: int = 2, *, driver: bool = True) -> None:
        self.driver = driver
        self.processes: list[list[int]] = [[] for _ in range(count)]
        self.used = [0] * count
        self.lost: set[int] = set()
        self.old = False
        #: while it is not set nothing answers
        self.answers = threading.Event()
        self.answers.set()
        self.asked = 0

    def nvmlInit(self) -> None:
        self.answers.wait()
        if not self.driver:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlShutdown(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        return len(self.used)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index in self.lost:
            raise self.NVMLError("GPU is lost")
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        self.answers.wait()
        self.asked += 1
        return self.nvmlDeviceGetHandleByIndex(int(uuid.removeprefix("GPU-")))

    def nvmlDeviceGetUUID(self, handle: int) -> bytes:
        return f"GPU-{handle}".encode()

    def nvmlDeviceGetName(self, handle: int) -> str:
        return "H200"

    def nvmlDeviceGetMemoryInfo(self, handle: int, version: int | None = None) -> types.SimpleNamespace:
        if version is not None and self.old:
            raise self.NVMLError("Function Not Found")
        return types.SimpleNamespace(total=80 * GIB, used=self.used[handle])

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[types.SimpleNamespace]:
        return [types.SimpleNamespace(pid=pid) for pid in self.processes[handle]]

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> types.SimpleNamespace:
        if handle in self.lost:
            raise self.NVMLError("GPU is lost")
        return types.SimpleNamespace(gpu=93)
