"""The command line of bubblewrap, which gives a job a system of its own. Pure, but for a look at what is there.

What a job sees: the system, read-only; its own /tmp, /run, /dev and processes; of the agent's home only the kit, the
environments and its own folder; and it may write the project and its working folder.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

#: Set where signals come in blocked: the program that wraps the job must outlive those that are for the job.
UNBLOCK = "MLMAGICS_UNBLOCK"
#: Those that only the job is to take.
FOR_THE_JOB = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
#: Of /run, what names and GPUs need.
_OF_RUN = ("/run/systemd/resolve", "/run/resolvconf", "/run/nvidia-persistenced")
#: Device files of the driver that are no single GPU's.
_DRIVER = re.compile(r"nvidia(ctl|-uvm|-uvm-tools|-modeset|-caps)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """What the box of a job is made of."""

    #: path of bwrap
    program: str
    #: the agent's home, which is hidden
    home: Path
    #: the project's folder
    project: Path
    #: folder of the socket for people, hidden too: a job that is the agent's user would be an admin there
    people: Path | None = None
    #: whether the job has a network
    network: bool = True


def command(
    box: Box,
    *,
    work: Path,
    readable: Collection[Path],
    devices: Collection[Path] = (),
) -> list[str]:
    """What comes before the job's own command.

    Parameters
    ----------
    work
        The job's working folder, where it begins.
    readable
        What of the agent's home it may read; what is not there is left out.
    devices
        Files below ``/dev`` that it may use beside those that every program may.
    """
    words = [box.program, "--die-with-parent", "--unshare-user-try", "--unshare-pid", "--unshare-ipc"]
    words += ["--unshare-cgroup-try"] + ([] if box.network else ["--unshare-net"])
    words += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    for device in devices:
        words += ["--dev-bind-try", str(device), str(device)]
    for name in ("/tmp", "/var/tmp", "/run"):
        words += ["--tmpfs", name]
    for name in _OF_RUN:
        words += ["--ro-bind-try", name, name]
    for folder in (box.home, *([box.people] if box.people else [])):
        words += ["--tmpfs", str(folder)]
    for path in readable:
        words += ["--ro-bind-try", str(path), str(path)]
    for path in (box.project, work):
        words += ["--bind", str(path), str(path)]
    return [*words, "--chdir", str(work), "--"]


def gpu_devices(gpu_ids: Collection[str], dev: Path = Path("/dev"), proc: Path = Path("/proc")) -> list[Path]:
    """The device files of these GPUs and of the driver; of all GPUs where the driver does not tell which is which."""
    if not gpu_ids:
        return []
    numbers = dict(_numbers(proc / "driver" / "nvidia" / "gpus"))
    wanted = [numbers.get(gpu) for gpu in gpu_ids]
    files = sorted(dev.glob("nvidia*"))
    own = {f"nvidia{number}" for number in wanted}
    known = None not in wanted
    return [
        file
        for file in files
        if _DRIVER.fullmatch(file.name)
        or (file.name in own if known else re.fullmatch(r"nvidia\d+", file.name))
    ]


def _numbers(folder: Path) -> Iterator[tuple[str, int]]:
    """Number of the device file by id of the GPU."""
    for file in folder.glob("*/information"):
        try:
            lines = file.read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:
            continue
        facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if facts.get("Device Minor", "").isdigit():
            yield facts.get("GPU UUID", ""), int(facts["Device Minor"])
