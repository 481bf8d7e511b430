"""The ids that a supervisor and its job have where the agent is root, and how root is given up for good.

A supervisor must write a log that its job cannot touch, and signal and start processes of the job's user, and must
not be root. So it has two users at once, and nothing else::

                  real    effective  saved   for files
    supervisor    keeper  user       keeper  keeper
    job           user    user       user    user

Its files are the keeper's. It may signal the user's processes (its effective id), and a child of it may become the
user for good, without any privilege. Nothing of the user may signal or trace it, since none of its other ids is
the user's (decision 30).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NO_NEW_PRIVILEGES, _CAPABILITY_BOUNDING_DROP, _AMBIENT, _AMBIENT_CLEAR = 38, 24, 47, 4
_SYS_SETGROUPS = {"x86_64": 116, "aarch64": 159}
_LAST_CAPABILITY = 63
_EINVAL = 22
#: More than the runner, for when the kernel looks for memory.
_EXPENDABLE = 500


class NotDropped(OSError):
    """Rights that were to be given up are still there; whoever sees this must not go on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ids:
    """A unix user whose job it is, and the one who keeps its log. Neither of them is root."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    login_shell: str
    keeper_uid: int
    keeper_gid: int

    @property
    def umask(self) -> int:
        """Of the user's jobs: the group may write where it is the user's own, as login programs have it."""
        return 0o007 if self.gid == self.uid else 0o077


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def become_keeper(ids: Ids) -> None:
    """Make this process, which is root's and has one thread, a supervisor of a job of ``ids``: for good.

    Raises
    ------
    NotDropped
        When anything of root's is left.
    """
    libc = _libc()
    global _score_file
    _score_file = _open_score()
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise NotDropped("the kernel has no no_new_privs")
    libc.prctl(_AMBIENT, _AMBIENT_CLEAR, 0, 0, 0)
    for capability in range(_LAST_CAPABILITY + 1):
        if libc.prctl(_CAPABILITY_BOUNDING_DROP, capability, 0, 0, 0) != 0 and ctypes.get_errno() == _EINVAL:
            break  # there are no more
    os.setgroups(ids.groups)
    os.setresgid(ids.keeper_gid, ids.gid, ids.keeper_gid)
    os.setresuid(ids.keeper_uid, ids.uid, ids.keeper_uid)
    act_on_files(ids.keeper_uid, ids.keeper_gid)
    _check_nothing_left()


def become_user(ids: Ids) -> None:
    """Make this process, a child of a supervisor, one of the user's: for good."""
    os.setresgid(ids.gid, ids.gid, ids.gid)
    os.setresuid(ids.uid, ids.uid, ids.uid)
    if os.getresuid() != (ids.uid,) * 3 or os.getresgid() != (ids.gid,) * 3:
        raise NotDropped(f"this process has not become {ids.name}")
    _check_nothing_left()


@contextlib.contextmanager
def files_of(ids: Ids | None) -> Iterator[None]:
    """In a supervisor: what this thread does to files inside the block it does with the user's rights."""
    if ids is None:
        yield
        return
    act_on_files(ids.uid, ids.gid)
    try:
        yield
    finally:
        act_on_files(ids.keeper_uid, ids.keeper_gid)


@contextlib.contextmanager
def expendable_children(ids: Ids | None) -> Iterator[None]:
    """In a supervisor: what is forked inside the block is the kernel's first choice when memory is short.

    A process that has given up root cannot do that itself.
    """
    if ids is None or _score_file is None:
        yield
        return
    before = int(os.pread(_score_file, 16, 0))
    _set_score(_score_file, min(1000, max(0, before) + _EXPENDABLE))
    try:
        yield
    finally:
        _set_score(_score_file, before)


def set_groups_of_thread(groups: tuple[int, ...]) -> None:
    """Set the other groups of this thread only; the library sets those of all threads.

    Raises
    ------
    OSError
        When the kernel refuses, or nobody knows how it is asked on this machine.
    """
    number = _SYS_SETGROUPS.get(platform.machine())
    if number is None:
        raise NotDropped(f"the groups of a thread cannot be set on {platform.machine()}")
    libc = _libc()
    array = (ctypes.c_uint32 * max(1, len(groups)))(*groups)
    if libc.syscall(number, len(groups), array) != 0:
        error = ctypes.get_errno()
        raise NotDropped(error, os.strerror(error))


def act_on_files(uid: int, gid: int) -> None:
    """Have this thread's acts on files be those of another user, one of this process's ids."""
    libc = _libc()
    libc.setfsgid(gid)
    libc.setfsuid(uid)
    # neither call says whether it has worked; asking for what cannot be tells how things are
    if libc.setfsuid(-1) != uid or libc.setfsgid(-1) != gid:
        raise NotDropped(f"this thread does not act on files as uid {uid}")


def _check_nothing_left() -> None:
    if 0 in (*os.getresuid(), *os.getresgid(), *os.getgroups()):
        raise NotDropped("an id of root is left")
    # as bytes: what decodes text may have to be imported, from where only root can read
    lines = Path("/proc/self/status").read_bytes().splitlines()
    facts = dict(line.split(b":", 1) for line in lines if b":" in line)
    if any(int(facts[name], 16) for name in (b"CapPrm", b"CapEff", b"CapInh", b"CapAmb")):
        raise NotDropped("a capability of root is left")
    if int(facts[b"NoNewPrivs"]) != 1:
        raise NotDropped("no_new_privs is not in force")


def _set_score(descriptor: int, score: int) -> None:
    with contextlib.suppress(OSError):
        os.pwrite(descriptor, str(score).encode(), 0)


def _open_score() -> int | None:
    try:
        return os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None


#: of this process: set before the right to open it is given up
_score_file: int | None = None
