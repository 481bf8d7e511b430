"""P9: very many followers of a large log. ``python -m benchmarks.followers``."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import psutil

from benchmarks.box import SMALL, serving
from benchmarks.figures import Figure
from benchmarks.runs import p99
from cluster_agent.log.format import parse_head
from cluster_agent.protocol import Submit

sys.path.insert(0, "tests")
sys.path.insert(0, "tests/faults")
from followers import follow_all

from running import wait_ended

MB = 10**6


@dataclass(frozen=True, kw_only=True)
class Served:
    """What was measured, in MB, MB/s and milliseconds."""

    before: float
    most: float
    speed: float
    submits: list[float]


def crowds(rounds: int) -> Iterator[Figure]:
    """P9: a thousand followers of one job, some of whom never read, and somebody who submits meanwhile."""
    found = [measure(followers=900, idle=100, log_mb=1000, part_mb=10) for _ in range(rounds)]
    who = "900 followers of a job that has printed 1 GB, and 100 that never read"
    yield Figure(row="P9", name=f"{who}: all together", unit="MB/s", values=[one.speed for one in found])
    submits = [p99(one.submits) for one in found]
    yield Figure(row="P9", name="a submit meanwhile, p99", unit="ms", values=submits)
    yield Figure(
        row="P9", name="agent's memory (RSS) meanwhile", unit="MB", values=[one.most for one in found]
    )


def measure(*, followers: int, idle: int, log_mb: int, part_mb: int) -> Served:
    """The most memory that the agent took, and how fast all were served together.

    Parameters
    ----------
    followers
        Who follow the job from a cursor ``part_mb`` before the end of its log on.
    idle
        Who do so and never read, beside them.
    """
    with serving() as box, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as elsewhere:
        box.run("pass", lambda _: None)
        source = f"line = 'x' * 99\nfor _ in range({log_mb * MB // 100}): print(line)"
        job = box.client.submit(Submit(source=source), "k")
        wait_ended(box.client, job.job_id)
        seq, part = _last_part(box.agent.home / "jobs" / str(job.job_id) / "events.ndjson", part_mb * MB)
        box.rest()
        process = psutil.Process(box.agent.pid)
        before = most = process.memory_info().rss
        submits: list[float] = []
        elsewhere.submit(_ready).result()
        began = time.monotonic()
        crowd = elsewhere.submit(
            _follow, box.agent.url, box.agent.token, job.job_id, followers, idle, f"{job.log_tag}.{seq}"
        )
        while not crowd.done():
            asked = time.perf_counter()
            box.client.submit(Submit(source="pass", **SMALL), os.urandom(8).hex())
            submits.append(1000 * (time.perf_counter() - asked))
            most = max(most, process.memory_info().rss)
            wait([crowd], timeout=0.5)
        took = time.monotonic() - began
        if crowd.result() != [hashlib.sha256(part).hexdigest()] * followers:
            raise RuntimeError("somebody did not see what is in the log")
        speed = len(part) * followers / MB / took
        return Served(before=before / MB, most=most / MB, speed=speed, submits=submits)


def _ready() -> None:
    """Nothing: the process in which the followers are has started then."""


def _follow(url: str, token: str, job_id: int, followers: int, idle: int, after: str) -> list[str]:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return asyncio.run(follow_all(url, token, job_id, readers=followers, idle=idle, after=after))


def _last_part(log: Path, size: int) -> tuple[int, bytes]:
    """The whole lines among the last ``size`` bytes but for the first, and the ``seq`` of that."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - size))
        file.readline()
        head = parse_head(file.readline())
        assert head is not None
        return head[0], file.read()


def main() -> None:
    """Measure once and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.followers", description=__doc__)
    parser.add_argument("--followers", type=int, default=900)
    parser.add_argument("--idle", type=int, default=100)
    parser.add_argument("--log-mb", type=int, default=1000)
    parser.add_argument("--part-mb", type=int, default=10)
    args = parser.parse_args()
    told = measure(followers=args.followers, idle=args.idle, log_mb=args.log_mb, part_mb=args.part_mb)
    print(
        f"{args.followers} followers read the last {args.part_mb} MB of a log of {args.log_mb} MB, {args.idle} more"
        f" never read: agent {told.before:.0f} MB before, {told.most:.0f} MB at most; {told.speed:.0f} MB/s in all;"
        f" a submit meanwhile took {p99(told.submits):.0f} ms (p99)"
    )


if __name__ == "__main__":
    main()
