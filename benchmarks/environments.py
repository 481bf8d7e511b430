"""How long a job waits for its packages, from submit to its start: run by ``python -m benchmarks.environments``.

Twelve packages of 250 files each, from a folder: what an index and a network would add is not in it.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cluster_agent.client import AgentClient
from cluster_agent.environments.shelf import Shelf
from cluster_agent.protocol import State, Submit

sys.path.insert(0, "tests")
from running import AgentProcess
from wheels import make_wheel

PACKAGES, FILES, FILE_BYTES = 12, 250, 8192
GOAL_S = 1.0


def make_packages(folder: Path) -> list[str]:
    """Packages in ``folder``; their names."""
    for number in range(PACKAGES):
        module = f"package_{number}"
        files: dict[str, str | bytes] = {f"{module}/__init__.py": ""}
        files |= {
            f"{module}/part_{part}.py": f"data = {os.urandom(FILE_BYTES // 2).hex()!r}\n"
            for part in range(FILES)
        }
        make_wheel(folder, f"package-{number}", files=files)
    return [f"package-{number}" for number in range(PACKAGES)]


def wait_s(client: AgentClient, packages: list[str], lock: str = "") -> float:
    """Seconds from submit to start of a job with these packages."""
    began = time.perf_counter()
    job = client.submit(Submit(source="pass", packages=packages, lock=lock, cpus=1), os.urandom(8).hex())
    for event in client.follow(job.job_id):
        if event.type == "started":
            waited = time.perf_counter() - began
    ended = client.job(job.job_id)
    assert ended.state is State.SUCCEEDED, ended.reason
    return waited


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds by what is there already when a job is submitted."""
    with tempfile.TemporaryDirectory() as folder:
        links, home = Path(folder) / "links", Path(folder) / "home"
        packages = make_packages(links)
        home.mkdir()
        (home / "agent.toml").write_text(f'[packages]\nfind_links = ["{links}"]\noffline = true\n')
        agent = AgentProcess(home, ["--gpus", "0"], hosted=False)
        agent.start()
        try:
            return _measure(agent, packages, rounds)
        finally:
            agent.destroy()


def _measure(agent: AgentProcess, packages: list[str], rounds: int) -> dict[str, list[float]]:
    client, shelf = agent.client(), Shelf(agent.home / "environments")
    found: dict[str, list[float]] = {}

    def take(what: str, ask: Callable[[], float]) -> None:
        found.setdefault(what, []).append(ask())

    take("nothing (unpacked, installed)", lambda: wait_s(client, packages))
    lock = client.make_lock(packages).lock
    for _ in range(rounds):
        take("no packages asked for", lambda: wait_s(client, []))
        take("the environment, versions locked", lambda: wait_s(client, packages, lock))
        take("the environment, versions chosen anew", lambda: wait_s(client, packages))
        for entry in shelf.entries():
            shelf.delete(entry.key)
        take("the files, versions locked: a warm rebuild", lambda: wait_s(client, packages, lock))
    return found


def table(rounds: int = 10) -> list[str]:
    """The lines of a table in Markdown."""
    lines = ["| what is there already | s until the job starts | goal |", "|---|---|---|"]
    for what, seconds in measure(rounds).items():
        goal = f"below {GOAL_S:g}" if "rebuild" in what else ""
        spread = f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"
        lines.append(f"| {what} | {spread} | {goal} |")
    return lines


if __name__ == "__main__":
    print("\n".join(table()))
