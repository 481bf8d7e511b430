"""A process that waits for its job, with what the cell will import first already imported.

Nobody is to tell it from one that was started for the job. So whatever may differ by then makes it begin anew
(``exec``), and imports that do more than bring code make it give up: whoever wants it finds it gone.
"""

from __future__ import annotations

import os
import sys

from mlmagics_job.channel import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from mlmagics_job.channel import Channel
    from mlmagics_job.streams import Pair

#: Holds the number of a descriptor with an order that was received already.
ORDER_FD = "MLMAGICS_ORDER_FD"
#: What it says when the imports are done.
READY = b"ready"
#: The variable by which processes of a job are known; a waiting process has so many zeros in their place.
MARK = "MLMAGICS_START"
#: Mapped into every process that has looked at the GPUs, which may be other ones than the job's.
_GPU_DRIVER = "libcuda.so"
#: What nearly every cell needs of the kit.
_KIT = ("mlmagics_job.cell", "mlmagics_job.display", "keyword", "_json")


def wait(channel: Channel, imports: list[str], streams: Pair) -> dict[str, Any]:
    """Import what is named, say that this process is ready, and return the order when it comes."""
    _step_back()
    for name in (*_KIT, *imports):
        __import__(name)
    compile("0", "", "eval")  # the first time takes a millisecond or two
    mark = _Mark()
    stamps = _stamps()
    streams.flush()
    if _has_seen_gpus() or not _all_installed():
        os._exit(1)
    channel.say(READY)
    fd = channel.receive_file()
    _come_forward()
    order = read_file(fd)
    ours = order["ahead"]
    os.environ.update(ours["variables"])
    os.chdir(ours["folder"])
    if not mark.replace(ours["variables"][MARK]) or _stamps() != stamps:
        _begin_anew(channel, fd)
    os.close(fd)
    return order


def _begin_anew(channel: Channel, fd: int) -> NoReturn:
    """Start the same program with the order that has come, and nothing imported."""
    for inherited in (fd, channel.fileno()):
        os.set_inheritable(inherited, True)
    variables = dict(os.environ)
    variables[ORDER_FD] = str(fd)
    variables["MLMAGICS_CONTROL_FD"] = str(channel.fileno())
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run.py")
    os.execve(sys.executable, [sys.executable, program], variables)


class _Mark:
    """The place in this process's memory from which the system tells its variables to others."""

    def __init__(self) -> None:
        self._value = os.environ[MARK].encode()
        self._place = 0
        try:
            with open("/proc/self/stat", "rb") as file:
                fields = file.read().rpartition(b") ")[2].split()
            start, end = int(fields[47]), int(fields[48])
            with open("/proc/self/mem", "rb", buffering=0) as memory:
                memory.seek(start)
                found = (b"\0" + memory.read(end - start)).find(b"\0%s=%s\0" % (MARK.encode(), self._value))
        except (OSError, ValueError, IndexError):
            return  # no such files here: then each process begins anew
        if found >= 0:
            self._place = start + found + len(MARK) + 1

    def replace(self, value: str) -> bool:
        """Have the system tell ``value`` from now on; False when that cannot be."""
        new = value.encode()
        if not self._place or len(new) != len(self._value):
            return False
        try:
            with open("/proc/self/mem", "r+b", buffering=0) as memory:
                memory.seek(self._place)
                return memory.write(new) == len(new)
        except OSError:
            return False


def _stamps() -> list[tuple[str, int, int]]:
    """What changes when something is installed, or the interpreter replaced."""
    stamps = []
    for path in (sys.executable, *sys.path):
        try:
            status = os.stat(path) if path else None
        except OSError:
            status = None
        if status is not None:
            stamps.append((path, status.st_ino, status.st_mtime_ns))
    return stamps


def _all_installed() -> bool:
    """Whether all that was imported belongs to the interpreter: what somebody is working on may change any time."""
    homes = [os.path.dirname(os.__file__), os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    homes += [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    # sorted out by what a folder is, not by its spelling
    places = tuple(os.path.realpath(home) + os.sep for home in homes)
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return all(
        file.startswith(tuple(homes)) or os.path.realpath(file).startswith(places) for file in files if file
    )


def _has_seen_gpus() -> bool:
    try:
        with open("/proc/self/maps") as file:
            return _GPU_DRIVER in file.read()
    except OSError:
        return True  # nobody knows


def _step_back() -> None:
    """Leave the processors to jobs that run."""
    if hasattr(os, "SCHED_BATCH"):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _come_forward() -> None:
    if hasattr(os, "SCHED_BATCH"):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
