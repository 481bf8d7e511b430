"""What the operating system lets a supervisor do with the processes below it; the rest is in ``tree``.

Linux: a child subreaper, which inherits every orphan below it, and signals through descriptors, so that a
process id that was given again is never hit. Elsewhere what comes nearest.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from cluster_agent.supervisor.identity import start_time

if sys.platform == "linux":
    import ctypes

    from cluster_agent.supervisor.identity import read_stat

    #: Unit of ``ru_maxrss``.
    RSS_BYTES = 1024
    _SET_PARENT_DEATH_SIGNAL = 1
    _SET_NAME = 15
    _SET_CHILD_SUBREAPER = 36
    _STOP_ROUNDS = 20
    _STRIKES = 20
    _prctl = ctypes.CDLL(None, use_errno=True).prctl

    def become_reaper() -> None:
        """Make orphans of this process's descendants its own children."""
        if _prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")

    def die_with_parent(parent: int) -> None:
        """Have this process killed when the thread that forked it ends; it ends at once if that has happened."""
        _prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    def set_name(name: str) -> None:
        """Have this process called ``name`` (15 bytes at most) where processes are listed by name."""
        _prctl(_SET_NAME, name.encode(), 0, 0, 0)

    def descendants(root: int, spared: Collection[int] = ()) -> dict[int, float]:
        """Processes below ``root`` by process id, with their start times; not those ``spared`` and what is below them."""
        processes = _all_processes()
        children: dict[int, list[int]] = {}
        for pid, (parent, _) in processes.items():
            children.setdefault(parent, []).append(pid)
        found: dict[int, float] = {}
        todo = [root]
        while todo:
            for pid in children.get(todo.pop(), ()):
                if pid not in spared:
                    found[pid] = processes[pid][1]
                    todo.append(pid)
        return found

    def marked(name: str, value: str) -> dict[int, float]:
        """Processes that were started with the variable ``name`` as ``value``, with their start times.

        This finds what a supervisor that was killed has left behind.
        """
        wanted = f"{name}={value}".encode()
        found = {}
        for pid, (_, started) in _all_processes().items():
            try:
                variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if wanted in variables:
                found[pid] = started
        return found

    def _all_processes() -> dict[int, tuple[int, float]]:
        """Parent and start time by process id."""
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
        return {pid: stat for pid in pids if (stat := read_stat(pid))}

    def send(pid: int, started: float, number: int) -> None:
        """Send a signal to the process ``pid`` if it is the one that started then. Harmless when it is gone."""
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            if start_time(pid) == started:
                signal.pidfd_send_signal(descriptor, number)
        except (ProcessLookupError, PermissionError):
            pass
        finally:
            os.close(descriptor)

    def kill_below(spared: Collection[int] = ()) -> None:
        """Kill everything below this process, also what starts itself again faster than it can be listed.

        All are stopped first, until there is nobody new; then none of them can start another one. Children that
        are ``spared`` go on, and what is below them.
        """
        stopped: dict[int, float] = {}
        for _ in range(_STOP_ROUNDS):
            found = descendants(os.getpid(), spared)
            fresh = {pid: started for pid, started in found.items() if stopped.get(pid) != started}
            if not fresh:
                break
            _stop_groups(fresh)
            for pid, started in fresh.items():
                send(pid, started, signal.SIGSTOP)
            _stop_children(spared)
            stopped |= fresh
        for pid, started in descendants(os.getpid(), spared).items():
            send(pid, started, signal.SIGKILL)

    def has_children(spared: Collection[int] = ()) -> bool:
        """Whether this process has a child beside those ``spared``."""
        me = os.getpid()
        try:
            children = Path(f"/proc/{me}/task/{me}/children").read_bytes().split()
        except OSError:
            return bool(descendants(me, spared))  # a kernel without this list
        return any(int(pid) not in spared for pid in children)

    def _stop_groups(processes: dict[int, float]) -> None:
        """Stop the process groups of some processes, each as a whole: nobody escapes from it by forking."""
        groups = set()
        for pid in processes:
            try:
                groups.add(os.getpgid(pid))
            except ProcessLookupError:
                continue
        for group in groups - {os.getpgid(0)}:
            _signal(os.killpg, group)

    def _stop_children(spared: Collection[int]) -> None:
        """Stop whoever is a child of this process now, within microseconds: a child is ours until it is reaped."""
        me = os.getpid()
        for _ in range(_STRIKES):
            try:
                children = Path(f"/proc/{me}/task/{me}/children").read_bytes().split()
            except OSError:
                return  # a kernel without this list: then the slower one has to do
            for pid in map(int, reversed(children)):
                if pid not in spared:
                    _signal(os.kill, pid)

    def _signal(how: Callable[[int, int], None], target: int) -> None:
        try:
            how(target, signal.SIGSTOP)
        except (ProcessLookupError, PermissionError):
            pass

else:
    import psutil

    RSS_BYTES = 1

    def kill_below(spared: Collection[int] = ()) -> None:
        """Kill everything below this process but for children that are ``spared``, and what is below them."""
        for pid, started in descendants(os.getpid(), spared).items():
            send(pid, started, signal.SIGKILL)

    def has_children(spared: Collection[int] = ()) -> bool:
        """Whether this process has a child beside those ``spared``."""
        return bool(descendants(os.getpid(), spared))

    def become_reaper() -> None:
        """Orphans go to the first process here; the runner's group is what can be reached of them."""

    def die_with_parent(parent: int) -> None:
        """End at once if the parent has ended already; nothing more is to be had here."""
        if os.getppid() != parent:
            os._exit(1)

    def set_name(name: str) -> None:
        """Nothing: a process cannot name itself here."""

    def descendants(root: int, spared: Collection[int] = ()) -> dict[int, float]:
        """Processes below ``root`` by process id, with their start times; not those ``spared`` and what is below them."""
        first = [child for child in psutil.Process(root).children() if child.pid not in spared]
        children = [*first, *(one for child in first for one in child.children(recursive=True))]
        found = {child.pid: start_time(child.pid) for child in children}
        return {pid: started for pid, started in found.items() if started is not None}

    def marked(name: str, value: str) -> dict[int, float]:  # noqa: ARG001
        """Nothing: the variables of other processes cannot be read here."""
        return {}

    def send(pid: int, started: float, number: int) -> None:
        """Send a signal to the process ``pid`` if it is the one that started then. Harmless when it is gone."""
        try:
            if start_time(pid) == started:
                os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass
