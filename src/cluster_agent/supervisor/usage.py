"""What the processes below a supervisor use: processor time and memory, read cheaply and often.

Unlike the lists by which processes are signalled these may miss one that has just begun; it is there the next
time.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """The processes of a job at one moment."""

    processes: int
    #: processor seconds of all processes so far, those that have ended included
    cpu_s: float
    #: memory of all of them; what several share is counted once for each
    resident_bytes: int
    #: those that are so large that it matters what they share
    large: tuple[int, ...] = ()


#: Below this a process is not worth a closer look.
LARGE_BYTES = 64 * 2**20

if sys.platform == "linux":
    import resource

    _TICKS = os.sysconf("SC_CLK_TCK")
    _PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
    #: Places in ``/proc/PID/stat`` behind the command's closing parenthesis.
    _PARENT, _USER, _CHILDREN_SYSTEM, _RESIDENT = 1, 11, 14, 21
    #: After so many looks all processes of the machine are looked at again: an id may be another's by now.
    _FORGET_AFTER = 60

    class TreeMeter:
        """Reads the processes below ``root``; those of others are looked at once."""

        def __init__(self, root: int) -> None:
            self._root = root
            self._ours: set[int] = set()
            self._others: set[int] = set()
            self._looks = 0

        def look(self) -> Usage:
            """What the tree uses now."""
            stats = self._stats()
            usage = resource.getrusage(resource.RUSAGE_CHILDREN)
            resident = {pid: int(stat[_RESIDENT]) * _PAGE_BYTES for pid, stat in stats.items()}
            ticks = sum(int(part) for stat in stats.values() for part in stat[_USER : _CHILDREN_SYSTEM + 1])
            return Usage(
                processes=len(stats),
                cpu_s=ticks / _TICKS + usage.ru_utime + usage.ru_stime,
                resident_bytes=sum(resident.values()),
                large=tuple(pid for pid, size in resident.items() if size > LARGE_BYTES),
            )

        def _stats(self) -> dict[int, list[bytes]]:
            present = {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208
            self._looks += 1
            if self._looks % _FORGET_AFTER == 0:
                self._others.clear()
            self._others &= present
            fresh = {pid: stat for pid in present - self._others - self._ours if (stat := _stat(pid))}
            known = {pid: stat for pid in self._ours & present if (stat := _stat(pid))}
            self._ours = set(known) | self._sort(fresh)
            return known | {pid: fresh[pid] for pid in self._ours & set(fresh)}

        def _sort(self, fresh: dict[int, list[bytes]]) -> set[int]:
            """The new processes that are ours; those whose parent is unknown have another turn next time."""
            ours: set[int] = set()
            todo = {pid: int(stat[_PARENT]) for pid, stat in fresh.items() if pid != self._root}
            self._others.add(0)
            while True:
                found = {
                    pid for pid, parent in todo.items() if parent == self._root or parent in self._ours | ours
                }
                foreign = {pid for pid, parent in todo.items() if parent in self._others}
                if not found and not foreign:
                    return ours
                ours |= found
                self._others |= foreign
                for pid in found | foreign:
                    del todo[pid]

    def own_part(pids: tuple[int, ...]) -> float | None:
        """The part of the memory of some processes that is left when what they share is counted once.

        Slow: every page is looked at. None when none of them can be read.
        """
        resident = proportional = 0
        for pid in pids:
            try:
                with open(f"/proc/{pid}/smaps_rollup", "rb", buffering=0) as file:  # noqa: PTH123
                    lines = file.read(4096).splitlines()
            except OSError:
                continue
            told = {line.split()[0]: int(line.split()[1]) for line in lines if line[:4] in {b"Rss:", b"Pss:"}}
            resident += told.get(b"Rss:", 0)
            proportional += told.get(b"Pss:", 0)
        return proportional / resident if resident else None

    def _stat(pid: int) -> list[bytes] | None:
        try:
            descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        except OSError:
            return None
        try:
            content = os.read(descriptor, 1024)
        except OSError:
            return None
        finally:
            os.close(descriptor)
        return content[content.rindex(b")") + 2 :].split()

else:
    import psutil

    class TreeMeter:
        """Reads the processes below ``root``; the time of those that have ended is not known here."""

        def __init__(self, root: int) -> None:
            self._root = psutil.Process(root)

        def look(self) -> Usage:
            """What the tree uses now."""
            cpu_s, sizes = 0.0, {}
            for process in self._root.children(recursive=True):
                try:
                    times = process.cpu_times()
                    sizes[process.pid] = process.memory_info().rss
                except psutil.Error:
                    continue
                cpu_s += times.user + times.system
            large = tuple(pid for pid, size in sizes.items() if size > LARGE_BYTES)
            return Usage(processes=len(sizes), cpu_s=cpu_s, resident_bytes=sum(sizes.values()), large=large)

    def own_part(pids: tuple[int, ...]) -> float | None:  # noqa: ARG001
        """None: it cannot be had here."""
        return None


def machine_oom_kills() -> int:
    """How many processes the kernel has killed for memory since boot; 0 where it does not say."""
    try:
        counters = Path("/proc/vmstat").read_text()
    except OSError:
        return 0
    for line in counters.splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0
