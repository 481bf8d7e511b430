"""Disks that can be filled, broken and made read-only. They need root, and are skipped loudly without.

tmpfs           a folder on a file system of 48 MiB
few_files       one on a file system that takes 800 files
ext4            a folder on an ext4 of 64 MiB, and what makes its kernel give it up
failing_sync    makes fsync and fdatasync of an agent fail while a file exists
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from running import AgentProcess

MIB = 2**20

_FAILING_SYNC = """\
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
static int fails(void) { if (access(MARK, F_OK) == 0) { errno = EIO; return 1; } return 0; }
int fsync(int fd) { return fails() ? -1 : (int) syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return fails() ? -1 : (int) syscall(SYS_fdatasync, fd); }
"""


def mount(*arguments: object) -> None:
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this needs the right to mount: {done.stderr.strip()}")


@contextlib.contextmanager
def memory_disk(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    mount("-t", "tmpfs", "-o", options, "none", folder)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    with memory_disk(tmp_path / "disk", "size=48m") as folder:
        yield folder


@pytest.fixture
def few_files(tmp_path: Path) -> Iterator[Path]:
    with memory_disk(tmp_path / "disk", "size=48m,nr_inodes=800") as folder:
        yield folder


class Ext4:
    """A folder on an ext4 of its own."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.image, self.folder = image, folder

    def fail(self) -> None:
        """Have the kernel find a fault, upon which it lets nobody write any more."""
        device = subprocess.run(
            ["findmnt", "--noheadings", "--output", "SOURCE", self.folder], capture_output=True, text=True
        ).stdout.strip()
        trigger = Path("/sys/fs/ext4", Path(device).name, "trigger_fs_error")
        if not os.access(trigger, os.W_OK):
            pytest.skip("this kernel has no trigger_fs_error")
        trigger.write_text("a test")

    def remount(self, mode: str) -> None:
        mount("-o", f"remount,{mode}", self.folder)

    def repair(self) -> None:
        """Mount it anew, as after a reboot."""
        subprocess.run(["umount", self.folder], check=True)
        subprocess.run(["e2fsck", "-p", "-f", self.image], capture_output=True, check=False)
        mount("-o", "loop,errors=remount-ro", self.image, self.folder)


@pytest.fixture
def ext4(tmp_path: Path) -> Iterator[Ext4]:
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 is not installed (e2fsprogs)")
    image, folder = tmp_path / "image", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    mount("-o", "loop,errors=remount-ro", image, folder)
    yield Ext4(image, folder)
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def failing_sync(tmp_path: Path) -> tuple[dict[str, str], Path]:
    """Variables for an agent, and the file that makes its syncs fail."""
    if shutil.which("gcc") is None:
        pytest.skip("this needs a C compiler (gcc)")
    mark, library = tmp_path / "no-sync", tmp_path / "sync.so"
    command = ["gcc", "-shared", "-fPIC", f'-DMARK="{mark}"', "-x", "c", "-", "-o", library]
    subprocess.run(command, input=_FAILING_SYNC, text=True, check=True)
    return {"LD_PRELOAD": str(library)}, mark


@pytest.fixture
def make_agent() -> Iterator[Callable[..., AgentProcess]]:
    """As ``start_agent``, but it does not start, and its end comes before that of a disk."""
    made: list[AgentProcess] = []

    def make(home: Path, *flags: str, **more: Any) -> AgentProcess:
        made.append(AgentProcess(home, flags, **more))
        return made[-1]

    yield make
    for agent in made:
        agent.destroy()
