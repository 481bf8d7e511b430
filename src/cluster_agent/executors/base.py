"""What the agent asks of an executor: start a job's supervisor, find it again, nudge it, see it end.

How a job is started and watched is an executor's business; what it did stands in its event log, which the
supervisor writes wherever it runs. So this contract is the smallest that survives a restart of the agent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cluster_agent.environments.base import EnvironmentOrder
from cluster_agent.isolation.box import Box
from cluster_agent.isolation.ids import Ids
from cluster_agent.protocol import Inputs


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """All that a supervisor needs to run one job, once."""

    job_id: int
    #: the job's folder (:class:`cluster_agent.folder.JobFolder`), which exists, with ``work/`` in it
    folder: Path
    #: of this start; a supervisor that finds it closed exits without a trace
    nonce: str
    #: of the event log
    tag: str
    source: str
    #: interpreter that runs the cell
    python: str
    #: the job's whole environment, secrets included; written to no file
    variables: dict[str, str] = field(repr=False)
    timeout_s: float
    grace_s: float
    #: how people name the job, such as ``gpu-box/42``
    title: str
    #: bytes after which the log only counts
    log_limit_bytes: int = 2 * 2**30
    #: names of the cell's variables to keep as results
    fetch: tuple[str, ...] = ()
    #: of variables that are kept unasked, each and all
    keep_each_bytes: int = 0
    keep_all_bytes: int = 0
    #: variables that are set before the first line: name to a Python literal, as text
    params: dict[str, str] = field(default_factory=dict)
    #: what travels with the cell; its files and values lie in the job's folder
    inputs: Inputs = Inputs()
    #: what it needs installed beside what ``python`` has
    environment: EnvironmentOrder | None = None
    #: nothing but the cell tells it from other jobs, so that an interpreter which waits may run it
    common: bool = False
    #: GPUs that it holds, as ``CUDA_VISIBLE_DEVICES`` has them
    gpu_ids: tuple[str, ...] = ()
    #: memory that it holds, and whether it is ended when it uses more
    memory_bytes: int | None = None
    enforce_memory: bool = False
    max_processes: int = 4096
    #: control group in which it gets one of its own
    cgroup: Path | None = None
    #: whose job it is, where that is not the agent's own user; the supervisor gives up root then
    ids: Ids | None = None
    #: it gets a system of its own
    box: Box | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Handle:
    """A supervisor's identity: a process id alone may be somebody else's by now."""

    pid: int
    #: start time of the process in clock ticks or seconds since boot, as the platform tells it
    pid_started: float
    boot_id: str


class Running(Protocol):
    """One supervisor that was started or adopted."""

    handle: Handle

    async def wait(self) -> None:
        """Return when the supervisor is gone; what the job did stands in its log."""

    def nudge(self) -> None:
        """Make the supervisor look at the wish file now. Harmless when it is gone."""


class Executor(Protocol):
    """A way to run jobs."""

    async def open(self) -> None:
        """Get ready; spare supervisors may start in the background."""

    async def start(self, order: Order) -> Running:
        """Hand ``order`` to a supervisor of its own session; return once it has all of it.

        Raises
        ------
        OSError
            When no process can be started. Nothing has run then.
        """

    def adopt(self, handle: Handle) -> Running | None:
        """The supervisor that ``handle`` names, or None when it no longer lives."""

    def sweep(self, nonce: str) -> list[int]:
        """Kill what is left of the start ``nonce``, whose supervisor is dead; the processes that were hit.

        To be repeated until it hits none. Blocking.
        """

    async def close(self) -> None:
        """Let go: spares end, supervisors with a job go on."""
