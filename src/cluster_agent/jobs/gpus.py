"""Which GPUs this box has, as NVIDIA's management library (NVML) tells it.

A driver that is missing, hangs or fails half-way never stops the agent: what cannot be asked is not handed out.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import pynvml

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
#: For the driver to wake up and tell of all GPUs, when the agent starts.
FIND_S = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpu:
    """One GPU: ``gpu_id`` is what ``CUDA_VISIBLE_DEVICES`` takes."""

    gpu_id: str
    name: str
    #: 0 for one that was declared and that NVML does not know
    memory_bytes: int


class Patience:
    """Calls a library that may never return, in a thread that nobody has to wait for."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def ask(self, question: Callable[[], _T], within_s: float) -> _T:
        """The answer to ``question``.

        Raises
        ------
        TimeoutError
            When there is none in time; at once while an earlier question has no answer yet.
        """
        if self._thread is not None and self._thread.is_alive():
            raise TimeoutError
        answers: queue.SimpleQueue[tuple[_T | None, Exception | None]] = queue.SimpleQueue()

        def work() -> None:
            try:
                answers.put((question(), None))
            except Exception as error:  # noqa: BLE001  # goes on in the thread that asked
                answers.put((None, error))

        self._thread = threading.Thread(target=work, name="nvml", daemon=True)
        self._thread.start()
        try:
            answer, error = answers.get(timeout=within_s)
        except queue.Empty:
            raise TimeoutError from None
        if error is not None:
            raise error
        return answer  # type: ignore[return-value]


def find_gpus(nvml: Any = pynvml, within_s: float = FIND_S) -> list[Gpu]:
    """The GPUs of this box by UUID, but for those that do not answer; none where there is no driver.

    Parameters
    ----------
    nvml
        A module with the interface of ``pynvml``.
    within_s
        How long the driver has to answer.
    """
    try:
        return Patience().ask(lambda: _find(nvml), within_s)
    except TimeoutError:
        _log.error("the NVIDIA driver did not answer within %g s; no GPU is handed out", within_s)
    except nvml.NVMLError as error:
        _log.error("the NVIDIA driver fails, no GPU is handed out: %s", error)
    return []


def _find(nvml: Any) -> list[Gpu]:
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return []
    try:
        found = [_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
    finally:
        nvml.nvmlShutdown()
    return [gpu for gpu in found if gpu is not None]


def _gpu(nvml: Any, index: int) -> Gpu | None:
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        return Gpu(
            gpu_id=text(nvml.nvmlDeviceGetUUID(handle)),
            name=text(nvml.nvmlDeviceGetName(handle)),
            memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
        )
    except nvml.NVMLError as error:
        _log.error("GPU %d does not answer and is not handed out: %s", index, error)
        return None


def text(value: str | bytes) -> str:
    """What NVML tells as text; older versions of its module give bytes."""
    return value.decode() if isinstance(value, bytes) else value


def declared_gpus(count: int, found: list[Gpu]) -> list[Gpu]:
    """The first ``count`` of the GPUs found; where there are fewer, slots that CUDA knows by number."""
    slots = [Gpu(gpu_id=str(index), name="unknown model", memory_bytes=0) for index in range(count)]
    return found[:count] if len(found) >= count else slots
