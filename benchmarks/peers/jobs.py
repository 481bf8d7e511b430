"""What the workers of other systems import, and helpers of more than one of them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: for ``PYTHONPATH`` of the workers
ROOT = str(Path(__file__).resolve().parents[2])
BIN = Path(sys.executable).parent


def run_source(source: str) -> None:
    """Run it as a script's text."""
    exec(compile(source, "<job>", "exec"), {"__name__": "__main__"})


def changed(array: Any) -> Any:
    """The array with its first value changed."""
    array[0] ^= 1
    return array


def made(size: int) -> Any:
    """An array of ``size`` bytes."""
    import numpy as np

    return np.full(size, 7, "uint8")


def size_of(array: Any) -> int:
    """Its bytes, where it has come to."""
    return int(array.nbytes)


def wait_until(ask: Callable[[], object], *, every_s: float = 0.002, within_s: float = 120.0) -> None:
    """Return when ``ask`` is true; what cannot be asked yet is asked again."""
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(ConnectionError):
            if ask():
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"not there within {within_s} s")
        time.sleep(every_s)


def ended(process: subprocess.Popen[Any]) -> None:
    """Let ``process`` end, or make it."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
