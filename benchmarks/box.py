"""An agent to measure: its own process, home, token and durable store, as ``cluster-agent serve`` makes them."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.runs import WIDTH, Sink
from cluster_agent.client import AgentClient
from cluster_agent.protocol import DONE, State, Submit

sys.path.insert(0, "tests")
from running import AgentProcess, agent_command, until

#: A share of the box that lets as many jobs run at a time as there are processors.
SMALL: dict[str, Any] = {"cpus": 1, "memory_bytes": 2**28}
_SPARES = re.compile(r'^cluster_agent_spares\{has="([a-z]+)"\} (\d+)$', re.MULTILINE)
#: The agent compiles the job's side for an interpreter half a second after the first job in it.
_COMPILED_S = 2.5


class Box:
    """A serving agent, its client, and how to wait until all is as it was before the last job."""

    def __init__(
        self, agent: AgentProcess, client: AgentClient, http: httpx.Client, warm: int, ready_s: float
    ) -> None:
        self.agent = agent
        #: from the start of its process until it serves
        self.ready_s = ready_s
        self.client = client
        self._http = http
        self._warm = warm

    def run(self, source: str, sink: Sink) -> None:
        """Submit a cell and follow it to its end."""
        job = self.client.submit(Submit(source=source), os.urandom(8).hex())
        state = None
        for event in self.client.follow(job.job_id):
            if event.type == "output":
                sink(event.text or "")
            state = event.state or state
        if state is not State.SUCCEEDED:
            raise RuntimeError(f"the job ended {state}")

    def run_many(self, source: str, count: int) -> None:
        """Submit as many cells and return when the last has ended."""
        jobs = [self.client.submit(Submit(source=source, **SMALL), os.urandom(8).hex()) for _ in range(count)]
        for job in reversed(jobs):
            if self.client.job(job.job_id).state not in DONE:
                for _ in self.client.follow(job.job_id):
                    pass

    def rest(self, *, imports: bool = False) -> None:
        """Return when the agent has replaced what the last job has taken.

        Parameters
        ----------
        imports
            Whether an interpreter with imports done must be among what waits.
        """

        def replaced() -> bool:
            waits = self._waiting()
            warm = waits["interpreter"] + waits["imports"]
            return waits["supervisor"] >= 1 and warm >= self._warm and waits["imports"] >= imports

        try:
            until(replaced, within_s=120)
        except AssertionError:
            raise RuntimeError("the agent holds no interpreter ready: memory may be short") from None

    def settle(self, source: str, *, imports: bool = False) -> None:
        """Let the agent learn what its jobs are like, as it does from the first ones of a day."""
        self.run(source, lambda _: None)
        time.sleep(_COMPILED_S)
        for _ in range(2):
            self.run(source, lambda _: None)
            self.rest(imports=imports)

    def family(self) -> list[psutil.Process]:
        """The agent's process and those that wait for jobs."""
        agent = psutil.Process(self.agent.pid)
        return [agent, *agent.children(recursive=True)]

    def _waiting(self) -> dict[str, int]:
        found = _SPARES.findall(self._http.get("/metrics").raise_for_status().text)
        return {name: int(count) for name, count in found}


@contextmanager
def serving(*, tls: bool = False, warm: int = 2, **settings: Any) -> Iterator[Box]:
    """An agent in a home of its own that serves until the end of the block."""
    flags = ["--gpus", "0", "--warm", str(warm)]
    for name, value in settings.items():
        flags += [f"--{name.replace('_', '-')}", str(value)]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder) / "box"
        if tls:
            agent_command(home, "init")
            flags += ["--host", "127.0.0.1"]
        agent = AgentProcess(home, flags, hosted=False)
        ca = str(home / "cert.pem") if tls else None
        try:
            began = time.perf_counter()
            agent.start()
            ready_s = time.perf_counter() - began
            headers = {"Authorization": f"Bearer {agent.token}"}
            verify: Any = ca or False
            with (
                AgentClient(agent.url, token=agent.token, ca=ca, timeout_s=60) as client,
                httpx.Client(base_url=agent.url, headers=headers, verify=verify, trust_env=False) as http,
            ):
                yield Box(agent, client, http, warm, ready_s)
        finally:
            agent.destroy()


def width_of(box: Box) -> int:
    """How many small jobs the agent runs at a time."""
    return min(WIDTH, box.client.info().cpus)
