"""What one thread of an agent that is root does with the rights of another user, as far as files go.

The kernel checks each act, as it would for a program of that user: links, folders, devices and names that people plant
in shared storage lead nobody further than they could go themselves. What is made belongs to that user.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from cluster_agent.isolation.ids import Ids, act_on_files, set_groups_of_thread

_OWN_FOLDER_AND_UMASK = 0x200
_thread = threading.local()


@dataclass(frozen=True, slots=True)
class Rights:
    """Of one user, as far as files go."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    umask: int = 0o077

    @classmethod
    def of(cls, ids: Ids) -> Rights:
        """The rights of the user of a job."""
        return cls(ids.uid, ids.gid, ids.groups, ids.umask)

    @classmethod
    def of_owner(cls, status: os.stat_result) -> Rights | None:
        """The rights of whom a file belongs to; None when that is this process's own user."""
        return None if status.st_uid == os.geteuid() else cls(status.st_uid, status.st_gid)


@contextlib.contextmanager
def acting_with(rights: Rights | None) -> Iterator[None]:
    """Inside the block this thread acts on files with these rights; with its own for None. Not to be nested.

    Raises
    ------
    NotDropped
        When that cannot be; nothing has been done then.
    """
    if rights is None:
        yield
        return
    own = os.geteuid(), os.getegid(), tuple(os.getgroups())
    umask = os.umask(rights.umask) if _has_own_umask() else None
    try:
        set_groups_of_thread(rights.groups)
        act_on_files(rights.uid, rights.gid)
        yield
    finally:
        act_on_files(*own[:2])
        set_groups_of_thread(own[2])
        if umask is not None:
            os.umask(umask)


def _has_own_umask() -> bool:
    """Whether this thread has a umask of its own, made for it: that of a process holds for all its threads.

    Some containers do not let it; what is made there is for its owner alone, by the agent's umask.
    """
    if not hasattr(_thread, "own"):
        _thread.own = ctypes.CDLL(None).unshare(_OWN_FOLDER_AND_UMASK) == 0
    return bool(_thread.own)
