"""Linux tells that something in a folder was written: one inotify instance, through libc.

Anything that stands in the way is an OSError: another system, no instance or watch left, a file system on
which other machines write unseen. Whoever wants to know then has to look again and again.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from pathlib import Path
from typing import Any

_MODIFY, _MOVED_TO, _CREATE, _ONLY_FOLDERS, _OVERFLOW = 0x2, 0x80, 0x100, 0x1000000, 0x4000
_HEADER = struct.Struct("iIII")

#: Magic numbers of statfs(2): file systems whose files change without this kernel's knowledge.
_REMOTE = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFF534D42: "CIFS",
    0xFE534D42: "SMB2",
    0x65735546: "FUSE",
    0x01021997: "9p",
    0x00C36400: "Ceph",
    0x0BD00BD0: "Lustre",
    0x47504653: "GPFS",
    0x5346414F: "AFS",
    0x19830326: "BeeGFS",
}


class Inotify:
    """Watches folders, not what is below them. ``fileno`` is readable when :meth:`read` has news."""

    def __init__(self) -> None:
        if not sys.platform.startswith("linux"):
            raise OSError(errno.ENOSYS, "inotify is a part of Linux")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = self._checked(self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._descriptor

    def add(self, folder: Path) -> int:
        """Watch ``folder``; the number that :meth:`read` tells, the same one for the same folder."""
        name = os.fsencode(folder)
        buffer = ctypes.create_string_buffer(512)
        self._checked(self._libc.statfs(name, buffer), name)
        magic = ctypes.c_ulong.from_buffer(buffer).value & 0xFFFFFFFF
        if magic in _REMOTE:
            raise OSError(errno.EOPNOTSUPP, f"{_REMOTE[magic]} does not tell of changes", str(folder))
        mask = _MODIFY | _MOVED_TO | _CREATE | _ONLY_FOLDERS
        return self._checked(self._libc.inotify_add_watch(self._descriptor, name, mask), name)

    def remove(self, watch: int) -> None:
        """Watch a folder no longer; harmless when the folder is gone."""
        self._libc.inotify_rm_watch(self._descriptor, watch)

    def read(self) -> set[int] | None:
        """Watches with news; None when the kernel lost count, so that any may have."""
        try:
            data = os.read(self._descriptor, 65536)
        except BlockingIOError:
            return set()
        watches: set[int] = set()
        offset = 0
        while offset < len(data):
            watch, mask, _, name_bytes = _HEADER.unpack_from(data, offset)
            if mask & _OVERFLOW:
                return None
            watches.add(watch)
            offset += _HEADER.size + name_bytes
        return watches

    def close(self) -> None:
        """Watch nothing any more."""
        os.close(self._descriptor)

    def _checked(self, result: Any, name: bytes | None = None) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), os.fsdecode(name) if name else None)
        return int(result)
