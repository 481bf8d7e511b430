"""Timings of a real agent, each alternated with the bare thing that it is compared with."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil

from cluster_agent.client import AgentClient
from cluster_agent.protocol import DONE, Submit

sys.path.insert(0, "tests")
from running import AgentProcess

FLOOD_BYTES = 50_000_000
FLOOD = f"line = 'x' * 99\nfor _ in range({FLOOD_BYTES // 100}): print(line)"
_keys = (f"bench-{number}" for number in range(10**9))


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured thing: value and base of each pair of runs, in ``unit``."""

    name: str
    unit: str
    values: list[float]
    bases: list[float]
    goal: str = ""

    @property
    def ratios(self) -> list[float]:
        """Value over base, pair by pair."""
        return [value / base for value, base in zip(self.values, self.bases, strict=True)]

    def row(self) -> str:
        """The figure as a line of a table."""
        if not self.bases:
            return f"| {self.name} | {_spread(self.values)} {self.unit} | | {self.goal} |"
        return f"| {self.name} | {_spread(self.values)} {self.unit} | {_spread(self.ratios)} | {self.goal} |"


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def _pairs(
    rounds: int, ours: Callable[[], float], base: Callable[[], float]
) -> tuple[list[float], list[float]]:
    values, bases = [], []
    for _ in range(rounds):
        bases.append(base())
        values.append(ours())
    return values, bases


def bare_python(source: str) -> float:
    """Milliseconds until the first byte of ``python -c``."""
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        seen = (time.perf_counter() - began) * 1000
        process.stdout.read()
    return seen


def first_line(client: AgentClient, source: str) -> float:
    """Milliseconds from the submit to the first output event at the client."""
    began = time.perf_counter()
    job = client.submit(Submit(source=source), next(_keys))
    for event in client.follow(job.job_id):
        if event.type == "output":
            seen = (time.perf_counter() - began) * 1000
    return seen


def pipe_flood() -> float:
    """MB/s of the flood through a local pipe."""
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", FLOOD], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while process.stdout.read(262144):
            pass
    return FLOOD_BYTES / 1e6 / (time.perf_counter() - began)


def followed_flood(client: AgentClient) -> float:
    """MB/s of the flood to a follower; every byte is counted."""
    began = time.perf_counter()
    job = client.submit(Submit(source=FLOOD), next(_keys))
    size = sum(len(event.text or "") for event in client.follow(job.job_id) if event.type == "output")
    assert size == FLOOD_BYTES // 100 * 100, size
    return FLOOD_BYTES / 1e6 / (time.perf_counter() - began)


def many_processes(count: int) -> float:
    """Seconds for bare processes, two at a time."""
    began = time.perf_counter()
    for _ in range(count // 2):
        pair = [
            subprocess.Popen([sys.executable, "-c", "print(1)"], stdout=subprocess.DEVNULL) for _ in range(2)
        ]
        for process in pair:
            process.wait()
    return time.perf_counter() - began


def many_jobs(client: AgentClient, count: int) -> float:
    """Seconds from the first submit until the last of ``count`` trivial jobs has ended."""
    began = time.perf_counter()
    jobs = [
        client.submit(Submit(source="print(1)", cpus=1, memory_bytes=2**28), next(_keys))
        for _ in range(count)
    ]
    last = jobs[-1].job_id
    for job in jobs:
        if job.job_id == last or client.job(job.job_id).state not in DONE:
            for _ in client.follow(job.job_id):
                pass
    return time.perf_counter() - began


def figures(start: Callable[[], AgentProcess], rounds: int) -> Iterator[Figure]:
    """All figures, one after the other."""
    began = time.perf_counter()
    agent = start()
    ready = time.perf_counter() - began
    yield Figure(name="agent ready after", unit="s", values=[ready], bases=[], goal="1 s")
    memory = psutil.Process(agent.pid).memory_full_info()
    yield Figure(
        name="agent's memory when idle (PSS)", unit="MB", values=[memory.pss / 1e6], bases=[], goal="60 MB"
    )
    client = agent.client()
    first_line(client, "print(1)")
    values, bases = _pairs(rounds, lambda: first_line(client, "print(1)"), lambda: bare_python("print(1)"))
    name = "first line of a trivial cell, over `python -c`"
    yield Figure(name=name, unit="ms", values=values, bases=bases, goal="1.5")
    values, bases = _pairs(max(3, rounds // 5), lambda: followed_flood(client), pipe_flood)
    name = "50 MB of 100-byte lines to a follower, over a local pipe"
    yield Figure(name=name, unit="MB/s", values=values, bases=bases, goal="0.65 or more")
    values, bases = _pairs(3, lambda: many_jobs(client, 100), lambda: many_processes(100))
    name = "100 trivial jobs, over bare processes two at a time"
    yield Figure(name=name, unit="s", values=values, bases=bases, goal="1.3")
