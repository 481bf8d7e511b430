"""Where the time of P1, P1c and P5 goes: the steps of one start, and who works how much for each of many jobs."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass

import psutil

from benchmarks.batches import JOBS
from benchmarks.box import Box, serving
from benchmarks.figures import number
from benchmarks.runs import MARK, TRIVIAL, bare_many
from cluster_agent.client import AgentClient
from cluster_agent.protocol import Submit
from cluster_agent.supervisor.nursery import NURSERY_NAME

#: Says how much processor time its own process has taken; makes no variable, as the trivial cell makes none.
_COUNTED = "print(__import__('time').process_time())"


@dataclass(frozen=True)
class Steps:
    """When the steps of a start were done, in ms since its submit was sent."""

    answered: float
    begun: float
    printed: float
    seen: float


@dataclass(frozen=True)
class Work:
    """Processor time for one of many trivial jobs, in ms."""

    client: float
    agent: float
    supervisors: float
    interpreters: float
    #: the same in a process without us
    bare: float


def table(starts: int) -> list[str]:
    """Both as lines of Markdown."""
    return [*_start_lines(starts), "", *_work_lines(measure_work())]


def _start_lines(starts: int) -> Iterator[str]:
    warm, cold = (measure_starts(starts, warm=number_of) for number_of in (2, 0))
    yield "| ms since the submit of a trivial cell, median | warm | cold |"
    yield "|---|---|---|"
    names = (
        "its answer is there: the job is kept, durably",
        "its supervisor begins",
        "the cell has printed",
        "the line is seen",
    )
    for name, *found in zip(names, astuple(warm), astuple(cold), strict=True):
        yield f"| {name} | " + " | ".join(map(number, found)) + " |"


def _work_lines(work: Work) -> Iterator[str]:
    yield f"| processor time for each of {JOBS} trivial jobs | ms |"
    yield "|---|---|"
    yield f"| client | {number(work.client)} |"
    yield f"| agent | {number(work.agent)} |"
    yield f"| supervisors, what forks them, and the ends of interpreters | {number(work.supervisors)} |"
    yield f"| interpreters, until the cell is done | {number(work.interpreters)} |"
    whole = work.client + work.agent + work.supervisors + work.interpreters
    yield f"| all of these | {number(whole)} |"
    yield f"| a bare process | {number(work.bare)} |"


def measure_starts(count: int, *, warm: int) -> Steps:
    """The median of each step of as many starts over plain HTTP."""
    with serving(warm=warm) as box:
        box.settle(TRIVIAL)
        found = [_steps(box) for _ in range(count)]
    return Steps(*(statistics.median(values) for values in zip(*map(astuple, found), strict=True)))


def _steps(box: Box) -> Steps:
    box.rest()
    sent = time.time()
    job = box.client.submit(Submit(source=TRIVIAL), os.urandom(8).hex())
    answered = time.time()
    begun = printed = seen = 0.0
    for event in box.client.follow(job.job_id):
        if event.type == "started":
            begun = event.at
        elif event.type == "output" and MARK in (event.text or ""):
            printed, seen = event.at, time.time()
    return Steps(*(1000 * (at - sent) for at in (answered, begun, printed, seen)))


def measure_work() -> Work:
    """Who works how much; the rest of an interpreter's time, its end, is counted with its supervisor."""
    with serving() as box:
        box.settle(TRIVIAL)
        box.rest()
        agent = psutil.Process(box.agent.pid)
        [nursery] = [child for child in agent.children() if child.name() == NURSERY_NAME]
        client_before, agent_before = time.process_time(), _own(agent)
        nursery_before = _with_children(nursery)
        box.run_many(_COUNTED, JOBS)
        client = time.process_time() - client_before
        box.rest()
        newest = box.client.jobs(limit=1).jobs[0].job_id
        ids = range(newest - JOBS + 1, newest + 1)
        interpreters = sum(_printed(box.client, job_id) for job_id in ids)
        below = _with_children(nursery) - nursery_before
        server = _own(agent) - agent_before
    before = _children()
    bare_many(TRIVIAL, JOBS)
    whole = (client, server, below - interpreters, interpreters, _children() - before)
    return Work(*(1000 * value / JOBS for value in whole))


def _printed(client: AgentClient, job_id: int) -> float:
    return float("".join(event.text or "" for event in client.follow(job_id) if event.type == "output"))


def _own(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _with_children(process: psutil.Process) -> float:
    """Of a process and all below it that have ended."""
    times = process.cpu_times()
    return float(_own(process) + times.children_user + times.children_system)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
