"""The agent's memory under very many followers of a large log. ``python -m benchmarks.followers``."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import resource
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.measure import Figure
from cluster_agent.log.format import parse_head
from cluster_agent.protocol import Submit

sys.path.insert(0, "tests")
sys.path.insert(0, "tests/faults")
from followers import follow_all

from running import AgentProcess, wait_ended

MB = 10**6


@dataclass(frozen=True, kw_only=True)
class Served:
    """What was measured, in MB and MB/s."""

    before: float
    most: float
    speed: float


def figure(folder: Path) -> Figure:
    """The most memory that the agent took for a thousand followers."""
    most = measure(folder, followers=900, idle=100, log_mb=1000, part_mb=10).most
    name = "agent's memory (RSS) under 900 followers of a 1 GB log and 100 that never read"
    return Figure(name=name, unit="MB", values=[most], bases=[], goal="200 MB")


def measure(folder: Path, *, followers: int, idle: int, log_mb: int, part_mb: int) -> Served:
    """The most memory that the agent took, and how fast all were served together.

    Parameters
    ----------
    followers
        Who follow the job from a cursor ``part_mb`` before the end of its log on.
    idle
        Who do so and never read, beside them.
    """
    most_descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_descriptors, most_descriptors))
    agent = AgentProcess(folder / "home")
    try:
        agent.start()
        client = agent.client()
        source = f"line = 'x' * 99\nfor _ in range({log_mb * MB // 100}): print(line)"
        job = client.submit(Submit(source=source), "k")
        wait_ended(client, job.job_id)
        seq, part = _last_part(agent.home / "jobs" / str(job.job_id) / "events.ndjson", part_mb * MB)
        process = psutil.Process(agent.pid)
        before = most = process.memory_info().rss
        seen: list[str] = []
        following = follow_all(
            agent.url, agent.token, job.job_id, readers=followers, idle=idle, after=f"{job.log_tag}.{seq}"
        )
        reading = threading.Thread(target=lambda: seen.extend(asyncio.run(following)))
        began = time.monotonic()
        reading.start()
        while reading.is_alive():
            most = max(most, process.memory_info().rss)
            reading.join(0.1)
        took = time.monotonic() - began
        if seen != [hashlib.sha256(part).hexdigest()] * followers:
            raise SystemExit("somebody did not see what is in the log")
        return Served(before=before / MB, most=most / MB, speed=len(part) * followers / MB / took)
    finally:
        agent.destroy()


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
    with tempfile.TemporaryDirectory() as folder:
        told = measure(
            Path(folder),
            followers=args.followers,
            idle=args.idle,
            log_mb=args.log_mb,
            part_mb=args.part_mb,
        )
    print(
        f"{args.followers} followers read the last {args.part_mb} MB of a log of {args.log_mb} MB, {args.idle} more"
        f" never read: agent {told.before:.0f} MB before, {told.most:.0f} MB at most; {told.speed:.0f} MB/s in all"
    )


if __name__ == "__main__":
    main()
