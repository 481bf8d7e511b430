"""P10: a real agent with 100,000 jobs of history beside one with 100. ``python -m benchmarks.history``."""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil

from benchmarks.box import SMALL
from benchmarks.figures import Detail, Figure
from benchmarks.runs import pairs, seconds
from cluster_agent.client import AgentClient
from cluster_agent.folder import JobFolder
from cluster_agent.home import Home, user_name
from cluster_agent.jobs.records import JobRecord
from cluster_agent.jobs.sql import SqlThread, connect
from cluster_agent.jobs.store import Store, migrate
from cluster_agent.protocol import ACTIVE, State, Submit

sys.path.insert(0, "tests")
from running import AgentProcess

MANY, FEW = 100_000, 100
_BATCH = 1000
#: of each kind in a round
_CALLS = 10
_LOG = b'{"seq":1,"at":0.0,"t":0.0,"type":"started","tag":"0badcafe","version":1}\n{"seq":2,"type":"ended"}\n'
_CELL = "import time\n" + "x = 1  # a line of a cell\n" * 80


def make_history(home: Home, count: int) -> None:
    """Records and folders of ``count`` jobs that ended within the last 20 days."""
    asyncio.run(_add_records(home, count))
    for job_id in range(1, count + 1):
        folder = JobFolder(home.jobs / str(job_id))
        folder.work.mkdir(mode=0o700, parents=True)
        folder.log.write_bytes(_LOG)
    os.sync()  # the agent's own syncs must not wait for all of that


async def _add_records(home: Home, count: int) -> None:
    db = connect(home.database)
    migrate(db)
    sql = SqlThread(db)
    store = Store(sql)
    try:
        for start in range(1, count + 1, _BATCH):
            batch = range(start, min(start + _BATCH, count + 1))
            await asyncio.gather(*(store.add(_record(job_id, count)) for job_id in batch))
    finally:
        await sql.close()


def _record(job_id: int, count: int) -> JobRecord:
    ended_at = time.time() - (count - job_id) * 20 * 86400 / count
    return JobRecord(
        job_id=job_id,
        name=f"train-{job_id % 50}",
        # most are those of one person
        user=user_name(os.geteuid()) if job_id % 5 else f"user-{job_id % 20}",
        project="default",
        state=State.FAILED if job_id % 10 == 0 else State.SUCCEEDED,
        submitted_at=ended_at - 700,
        started_at=ended_at - 600,
        ended_at=ended_at,
        key=f"key-{job_id}",
        body_sha256="0" * 64,
        gpus=1,
        cpus=8,
        memory_bytes=2**36,
        timeout_s=14_400,
        grace_s=60,
        priority="normal",
        python="/usr/bin/python3",
        cluster="box",
        notebook=f"notebook-{job_id % 300}",
        env_names=[],
        log_tag="0badcafe",
        gpu_ids=["GPU-1"],
        exit_code=0,
        complete=True,
        seconds=600.0,
        # measured, but for the newest thousand
        disk_bytes=12_288 if job_id <= count - 1000 else None,
        source=_CELL,
    )


def figures(agent: AgentProcess, rounds: int) -> Iterator[tuple[str, float, str, str]]:
    """Name, value, unit and goal of each figure."""
    began = time.perf_counter()
    agent.start()
    yield "agent ready after", time.perf_counter() - began, "s", "5 s"
    client = agent.client()
    asked: dict[str, Callable[[AgentClient], object]] = {
        "newest 50": lambda c: c.jobs(limit=50),
        "newest 50, mine": lambda c: c.jobs(limit=50, user="me"),
        "mine that are active": lambda c: c.jobs(states=ACTIVE, user="me"),
        "newest 50 that failed": lambda c: c.jobs(states={State.FAILED}, limit=50),
        "newest of a notebook": lambda c: c.jobs(notebook="notebook-7", limit=1),
        "newest 50 of a name": lambda c: c.jobs(name="train-7", limit=50),
    }
    for name, ask in asked.items():
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            ask(client)
            times.append((time.perf_counter() - began) * 1000)
        p95 = statistics.quantiles(times, n=20)[-1]
        yield f"{name}, p95", p95, "ms", "50 ms" if name == "newest 50" else ""
    yield "agent's memory (PSS)", psutil.Process(agent.pid).memory_full_info().pss / 1e6, "MB", ""
    began = time.perf_counter()
    client.usage()
    yield "usage of 30 days", time.perf_counter() - began, "s", ""
    agent.stop()
    began = time.perf_counter()
    agent.start()
    yield "agent ready after a restart", time.perf_counter() - began, "s", "5 s"


def histories(rounds: int, count: int = MANY) -> Iterator[Figure | Detail]:
    """P10: what people do often, with a long history over the same with a short one; and how fast it lists."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        agents = []
        for jobs in (count, FEW):
            home = Home(Path(folder) / str(jobs))
            home.prepare()
            make_history(home, jobs)
            agents.append(AgentProcess(home.path, ["--gpus", "0"], hosted=False))
        long, short = agents
        lines = ["| what | measured | goal |", "|---|---|---|"]
        try:
            for name, value, unit, goal in figures(long, 100):
                lines.append(f"| {name} | {value:.3g} {unit} | {goal} |")
            short.start()
            yield from _compared(long.client(), short.client(), rounds, count)
        finally:
            for agent in agents:
                agent.destroy()
    text = (
        f"An agent with {count:,} jobs of history, each with a folder and a log; times as a client sees them."
    )
    yield Detail(title="A long history", text=text, lines=lines)


def _compared(long: AgentClient, short: AgentClient, rounds: int, count: int) -> Iterator[Figure]:
    acts: dict[str, Callable[[AgentClient], float]] = {
        "submit": _submit_ms,
        "list the newest 50": lambda client: 1000 * seconds(lambda: client.jobs(limit=50)),
        "follow an old job from its start to its end": _follow_ms,
    }
    for name, act in acts.items():
        act(long)
        act(short)
        values, bases = pairs(rounds, partial(_often, act, long), partial(_often, act, short))
        yield Figure(
            row="P10",
            name=f"{name}, {count:,} jobs of history",
            unit="ms",
            values=values,
            bases=bases,
            base=f"{FEW} jobs of history",
        )


def _often(act: Callable[[AgentClient], float], client: AgentClient) -> float:
    """The median of some calls: one alone is as long as the disk's mood."""
    return statistics.median(act(client) for _ in range(_CALLS))


def _follow_ms(client: AgentClient) -> float:
    return 1000 * seconds(lambda: list(client.follow(FEW // 2)))


def _submit_ms(client: AgentClient) -> float:
    began = time.perf_counter()
    job = client.submit(Submit(source="pass", **SMALL), os.urandom(8).hex())
    took = (time.perf_counter() - began) * 1000
    for _ in client.follow(job.job_id):
        pass
    return took


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("--jobs", type=int, default=MANY)
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    for told in histories(args.rounds, args.jobs):
        print(told.line() if isinstance(told, Figure) else "\n".join(told.lines))
