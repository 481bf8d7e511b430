"""When a job takes more than its share, where the kernel does not see to it. Pure."""

from __future__ import annotations

from cluster_agent.units import format_size

#: So many processes nobody needs; more of them are a program that starts itself again and again.
MAX_PROCESSES = 4096
#: Looks, a second apart, at which a job must be beyond its memory: a peak that is over at once passes.
_PATIENCE = 2


def out_of_memory(used_bytes: int, limit_bytes: int) -> str:
    """The reason of a job that used more memory than it had asked for."""
    used, limit = format_size(used_bytes), format_size(limit_bytes)
    told = f"all of the {limit}" if used == limit else f"{used} and had asked for {limit}"
    told += " that it had asked for" if used == limit else ""
    return f"out of memory: it used {told}; ask for more with --memory"


class Guard:
    """Judges looks at a job's processes.

    Parameters
    ----------
    memory_bytes
        What the job may use; None when nobody or somebody else sees to that.
    """

    def __init__(self, memory_bytes: int | None, max_processes: int = MAX_PROCESSES) -> None:
        self._memory_bytes = memory_bytes
        self._max_processes = max_processes
        self._beyond = 0

    def judge(self, memory_bytes: int | None, processes: int) -> str | None:
        """Why the job must end now; None when it need not. Memory that could not be measured is None."""
        if processes > self._max_processes:
            return f"too many processes: {processes}, of at most {self._max_processes} that a job may have"
        if self._memory_bytes is None or memory_bytes is None or memory_bytes <= self._memory_bytes:
            self._beyond = 0
            return None
        self._beyond += 1
        return out_of_memory(memory_bytes, self._memory_bytes) if self._beyond >= _PATIENCE else None
