"""Asks the machine which levels of isolation it has to offer. What is not tried here is not claimed.

Run as a program it is the trial itself: it gives up root as a supervisor does, and starts the Python of the jobs.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from cluster_agent.isolation.box import Box, command
from cluster_agent.isolation.ids import Ids, become_keeper, become_user
from cluster_agent.isolation.people import Keeper
from cluster_agent.isolation.rights import Rights, acting_with
from cluster_agent.supervisor.launch import settle_in

_PATIENCE_S = 30.0
_TRIAL = "job-0-trial"
_LIMITS = ("memory.max", "memory.limit_in_bytes", "pids.max")
#: Whose job it is in a trial.
_NOBODY = 65534


def why_no_users(keeper_name: str, keeper: Keeper | None, home: Path, python: str) -> str:
    """Why jobs cannot run as the unix users of their people, and what to do; empty when they can."""
    if sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"}:
        return f"it is for Linux on x86_64 and aarch64, and this is {sys.platform} on {platform.machine()}"
    if os.geteuid() != 0:
        return "only an agent that is root can start jobs as other unix users (sudo cluster-agent init --service)"
    if keeper is None:
        return (
            f"there is no unix user {keeper_name!r} for supervisors, which must not be root:"
            f" useradd --system --shell /usr/sbin/nologin {keeper_name}"
        )
    closed = next((part for part in (*reversed(home.parents), home) if not _may_pass(part, home)), None)
    if closed is not None:
        return (
            f"others cannot pass {closed}, and jobs lie in {home}: choose another home, such as"
            " --home /var/lib/cluster-agent"
        )
    said = _tried(["users", str(keeper.uid), str(keeper.gid), python])
    return f"a job of another unix user cannot start: {said}" if said else ""


def why_no_group(place: Path | None, keeper: Keeper | None) -> str:
    """Why jobs have no control groups of their own; with a ``keeper``, whose supervisors are to make them."""
    if place is None:
        return "no control group is delegated to the agent (cluster-agent init --service has systemd do that)"
    group, said = place / _TRIAL, ""
    try:
        if keeper is not None:
            said = _tried(["group", str(keeper.uid), str(keeper.gid), str(place)])
        else:
            group.mkdir(exist_ok=True)
        limits = any((group / name).exists() for name in _LIMITS)
        if not said and not limits:
            return f"{place} limits neither memory nor processes: have a controller delegated (Delegate=yes)"
    except OSError as error:
        said = error.strerror or str(error)
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()
    return f"supervisors cannot use {place}: {said}" if said else ""


def why_no_box(keeper: Keeper | None) -> str:
    """Why jobs cannot have systems of their own."""
    program = shutil.which("bwrap")
    if program is None:
        return "bubblewrap is not installed (apt install bubblewrap)"
    nowhere = Path("/tmp")
    box = Box(program=program, home=nowhere, project=nowhere, network=False)
    words = command(box, work=nowhere, readable=())
    said = _run([*words, shutil.which("true") or "/bin/true"], keeper)
    return f"this machine does not let it work: {said}" if said else ""


def give_group(place: Path, keeper: Keeper) -> None:
    """Let the keeper make groups in ``place``, and move processes into them."""
    for name in (".", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "tasks"):
        with contextlib.suppress(FileNotFoundError):
            os.chown(place / name, keeper.uid, keeper.gid)


def _may_pass(folder: Path, home: Path) -> bool:
    # the agent opens its own home as far as is needed
    return folder == home or not folder.exists() or bool(folder.stat().st_mode & 0o001)


def _tried(words: list[str]) -> str:
    """What went wrong in a trial."""
    return _run([sys.executable, "-I", "-m", "cluster_agent.isolation.probing", *words])


def _run(words: list[str], keeper: Keeper | None = None) -> str:
    """The last line that a command says when it fails, as the keeper's; empty when it does not."""
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            cwd="/",
            user=keeper.uid if keeper else None,
            group=keeper.gid if keeper else None,
            extra_groups=[] if keeper else None,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it does not start within {_PATIENCE_S:g} s"
    except OSError as error:
        return f"{words[0]}: {error.strerror}"
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return "" if done.returncode == 0 else last[:300]


def main(what: str, uid: int, gid: int, target: str) -> None:
    """The trial: as a supervisor, and then as its job."""
    ids = Ids(
        name="nobody",
        uid=_NOBODY,
        gid=_NOBODY,
        groups=(),
        home="/",
        login_shell="/bin/sh",
        keeper_uid=uid,
        keeper_gid=gid,
    )
    with acting_with(Rights.of(ids)):
        pass
    become_keeper(ids)
    if what == "group":
        group = Path(target) / _TRIAL
        group.mkdir(exist_ok=True)
        entry = os.open(group / "cgroup.procs", os.O_WRONLY)
        settle_in(os.getppid(), entry, ids)
        return
    become_user(ids)
    os.execv(target, [target, "-I", "-S", "-c", "pass"])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
