"""P8: an agent that has nothing to do: when it is ready, what it takes, and what an interpreter that waits takes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from benchmarks.box import Box, serving
from benchmarks.figures import Figure
from benchmarks.runs import IMPORTS

IDLE_S = 10.0
MB = 10**6


def idle(rounds: int, idle_s: float = IDLE_S) -> Iterator[Figure]:
    """Each value from an agent of its own."""
    ready: list[float] = []
    memory: list[float] = []
    load: list[float] = []
    for _ in range(rounds):
        with serving() as box:
            ready.append(box.ready_s)
            box.client.info()
            box.rest()
            memory.append(psutil.Process(box.agent.pid).memory_full_info().pss / MB)
            load.append(_load(box, idle_s))
    yield Figure(row="P8", name="agent ready after", unit="s", values=ready)
    yield Figure(row="P8", name="agent's memory (PSS)", unit="MB", values=memory)
    yield Figure(row="P8", name="idle: processor time of all its processes", unit="%", values=load)


def waiting(rounds: int) -> Iterator[Figure]:
    """What an interpreter with pandas and xgboost takes while it waits for a job, beside a plain one."""
    values, bases = [], []
    with serving() as box, _imported() as plain:
        box.settle(IMPORTS, imports=True)
        for _ in range(rounds):
            box.rest(imports=True)
            # the libraries' own pages are shared by both, and so in neither
            bases.append(_private(plain))
            values.append(max(map(_private, box.family()[1:])))
            box.run(IMPORTS, lambda _: None)
    yield Figure(
        row="P8",
        name="private memory of an interpreter that waits with pandas and xgboost",
        unit="MB",
        values=values,
        bases=bases,
        base="python -c of the imports",
    )


@contextmanager
def _imported() -> Iterator[psutil.Process]:
    """A plain process that has imported the same."""
    source = f"{IMPORTS}; import sys; sys.stdout.flush(); sys.stdin.read()"
    command = [sys.executable, "-c", source]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield psutil.Process(process.pid)
        assert process.stdin is not None
        process.stdin.close()


def _private(process: psutil.Process) -> float:
    return float(process.memory_full_info().uss) / MB


def _load(box: Box, idle_s: float) -> float:
    """Per cent of one processor."""
    family = box.family()
    before = sum(_used(process) for process in family)
    began = time.monotonic()
    time.sleep(idle_s)
    return (sum(_used(process) for process in family) - before) / (time.monotonic() - began) * 100


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
