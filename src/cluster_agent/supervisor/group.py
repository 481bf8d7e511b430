"""A job's own control group, where ops or the service manager have given the agent a place for such.

Version 2 of the kernel's interface limits memory and processes and kills all at once; version 1 limits memory.
The group is made by the supervisor, which stays outside, and entered by the runner before it becomes the job.
"""

from __future__ import annotations

import os
from pathlib import Path

from cluster_agent.executors.base import Order
from cluster_agent.isolation.levels import BWRAP, CGROUP, PROCESS, USER

#: Threads count as processes here.
_THREADS = 8


class Group:
    """One job's group.

    Parameters
    ----------
    path
        Its folder, which exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        #: version of the interface, by what the kernel has put into the folder
        self._version = 2 if (path / "cgroup.events").exists() else 1
        self.limits_memory = (path / self._memory_file).exists()
        self.limits_processes = (path / "pids.max").exists()

    @classmethod
    def make(cls, order: Order) -> Group | None:
        """The group of a job, with its limits; None where there is no place for groups.

        Raises
        ------
        OSError
            When the kernel refuses.
        """
        if order.cgroup is None:
            return None
        path = order.cgroup / name_of(order)
        path.mkdir(exist_ok=True)
        group = cls(path)
        try:
            group._limit(order)
        except OSError:
            group.remove()
            raise
        return group

    @property
    def kind(self) -> str:
        """How `started` names it."""
        return f"cgroup{self._version}"

    @property
    def _memory_file(self) -> str:
        return "memory.max" if self._version == 2 else "memory.limit_in_bytes"

    def _limit(self, order: Order) -> None:
        if order.enforce_memory and order.memory_bytes is not None and self.limits_memory:
            self._write(self._memory_file, str(order.memory_bytes))
            for name, value in (("memory.oom.group", "1"), ("memory.swap.max", "0")):
                if (self._path / name).exists():
                    self._write(name, value)
        else:
            self.limits_memory = False
        if self.limits_processes:
            self._write("pids.max", str(_THREADS * order.max_processes))

    def open(self) -> int:
        """A descriptor to which a process writes ``0`` to enter; children follow."""
        return os.open(self._path / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)

    def take(self, pid: int) -> None:
        """Put a process into it; what it starts from now on follows."""
        self._write("cgroup.procs", str(pid))

    def memory_bytes(self) -> int | None:
        """Memory in use that the kernel cannot drop; None when it does not tell."""
        current = self._number("memory.current" if self._version == 2 else "memory.usage_in_bytes")
        if current is None:
            return None
        counters = self._counters("memory.stat")
        if self._version == 2:
            return current - counters.get("file", 0) + counters.get("shmem", 0)
        return current - counters.get("total_cache", 0) + counters.get("total_shmem", 0)

    def oom_kills(self) -> int:
        """How many processes the kernel has killed because the group reached its limit."""
        return self._counters("memory.events" if self._version == 2 else "memory.oom_control").get(
            "oom_kill", 0
        )

    def kill(self) -> None:
        """Kill every process in it at once, where the kernel can."""
        try:
            self._write("cgroup.kill", "1")
        except OSError:
            pass  # an older kernel; whoever asks for this goes on to kill them one by one

    def remove(self) -> None:
        """Remove it; one that still has processes stays, for the next agent to clear away."""
        try:
            self._path.rmdir()
        except OSError:
            pass

    def _write(self, name: str, text: str) -> None:
        descriptor = os.open(self._path / name, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    def _number(self, name: str) -> int | None:
        try:
            return int((self._path / name).read_bytes())
        except (OSError, ValueError):
            return None

    def _counters(self, name: str) -> dict[str, int]:
        try:
            lines = (self._path / name).read_text().splitlines()
        except OSError:
            return {}
        pairs = (line.split() for line in lines)
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def name_of(order: Order) -> str:
    """Name of the folder of a job's group."""
    return f"job-{order.job_id}-{order.nonce}"


def confinement(order: Order, group: Group | None) -> dict[str, str]:
    """What keeps the job within its memory and its number of processes, as `started` tells it."""
    kind = group.kind if group is not None else ""
    memory = "watch" if order.enforce_memory and order.memory_bytes is not None else "none"
    return {
        "memory": kind if group is not None and group.limits_memory else memory,
        "processes": kind if group is not None and group.limits_processes else "watch",
    }


def isolation(order: Order, group: Group | None) -> list[str]:
    """The levels that are in force for the job, as `started` and its record tell them."""
    limited = group is not None and (group.limits_memory or group.limits_processes)
    return [
        PROCESS if order.ids is None else USER,
        *([CGROUP] if limited else []),
        *([BWRAP] if order.box is not None else []),
    ]
