"""Which process is meant: a process id alone may be somebody else's by now."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable
from pathlib import Path

if sys.platform == "linux":
    #: Places in ``/proc/PID/stat`` behind the command's closing parenthesis.
    _PARENT, _START_TICKS = 1, 19

    def read_stat(pid: int) -> tuple[int, float] | None:
        """Parent and start time (clock ticks since boot) of a process; None when there is no such process."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = stat[stat.rindex(b")") + 2 :].split()
        return int(fields[_PARENT]), float(fields[_START_TICKS])

    def start_time(pid: int) -> float | None:
        """When the process ``pid`` started, in clock ticks since boot; None when there is no such process."""
        stat = read_stat(pid)
        return stat[1] if stat else None

    def has_ended(pid: int) -> bool:
        """Whether the process ``pid`` only waits for somebody to take note of its exit."""
        try:
            state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1]
        except (FileNotFoundError, ProcessLookupError):
            return True
        return state in {b"Z", b"X"}

    @functools.cache
    def boot_id() -> str:
        """What tells this boot of the machine from every other one."""
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()

else:
    import psutil

    def start_time(pid: int) -> float | None:
        """When the process ``pid`` started, in Unix seconds; None when there is no such process."""
        try:
            return float(psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None

    def has_ended(pid: int) -> bool:
        """Whether the process ``pid`` only waits for somebody to take note of its exit."""
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def boot_id() -> str:
        """What tells this boot of the machine from every other one."""
        return f"boot-{psutil.boot_time():.0f}"


def still_there(pids: Iterable[int], started: Iterable[float], boot: str) -> list[int]:
    """Which of the processes that started then, in the boot ``boot``, have not ended yet."""
    if boot != boot_id():
        return []
    return [
        pid for pid, at in zip(pids, started, strict=False) if start_time(pid) == at and not has_ended(pid)
    ]
