"""Starting the runner: the process in the job's own interpreter, with two pipes and a control channel."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster_agent.executors.base import Order
from cluster_agent.folder import JobFolder
from cluster_agent.supervisor.channels import Control, Pipe, control_pair, send_imports, send_order
from cluster_agent.supervisor.group import Group
from cluster_agent.supervisor.messages import GetReady
from cluster_agent.supervisor.processes import die_with_parent

#: The variable by which processes of a job are known when their supervisor is gone.
MARK = "MLMAGICS_START"
#: The file of the kit that is the runner's program.
ENTRY = Path("mlmagics_job/run.py")
_CONTROL = "MLMAGICS_CONTROL_FD"
#: What the kit says when it waits, its imports done.
AHEAD = b"ready"
#: In place of the nonce, as long as there is none; as long as one, so that it can be replaced in place.
_NO_NONCE = "0" * 16
#: The runner is a better choice than supervisor and agent when the kernel looks for memory.
_OOM_SCORE = 500
#: What whoever started the agent may have had ignored, and a job must not inherit so.
_RESET = ("SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGCHLD", "SIGUSR1", "SIGUSR2", "SIGALRM")


class LaunchError(Exception):
    """The runner could not be started; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Runner:
    """A runner that was started, and the supervisor's ends of its channels."""

    pid: int
    pipes: tuple[Pipe, Pipe]
    control: Control
    #: kept so that nobody but the tree reaps the process
    process: subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Ready:
    """A runner that waits for an order."""

    runner: Runner
    made_for: GetReady


def launch(order: Order, kit: Path, group: Group | None = None) -> Runner:
    """Start the runner of ``order``, in the control group ``group``. Call it in the main thread: the runner dies with the thread that forks it.

    Raises
    ------
    LaunchError
        When there is no such interpreter, or the system refuses.
    """
    return _start(
        order.python,
        kit,
        {**order.variables, MARK: order.nonce},
        JobFolder(order.folder).work,
        lambda channel: send_order(channel, order),
        group,
    )


def launch_ahead(wanted: GetReady) -> Runner:
    """Start a runner that imports what is wanted, and then waits for the order that :func:`give` gives it.

    Raises
    ------
    LaunchError
        As for :func:`launch`.
    """
    return _start(
        wanted.python,
        Path(wanted.kit),
        {**wanted.variables, MARK: _NO_NONCE},
        Path("/"),
        lambda channel: send_imports(channel, wanted.imports),
    )


def give(ready: Ready, order: Order, group: Group | None = None) -> Runner:
    """Have the runner that waits run ``order``, in the control group ``group``.

    Raises
    ------
    LaunchError
        When it is gone, or cannot be put into the group.
    """
    runner, has = ready.runner, ready.made_for.variables
    late = {name: value for name, value in order.variables.items() if has.get(name) != value}
    try:
        if group is not None:
            group.take(runner.pid)
        runner.control.give(order, {**late, MARK: order.nonce})
    except OSError as error:
        raise LaunchError(f"the interpreter that was held ready is gone: {_why(error)}") from error
    return runner


def _start(
    python: str,
    kit: Path,
    variables: Mapping[str, str],
    folder: Path,
    greet: Callable[[socket.socket], None],
    group: Group | None = None,
) -> Runner:
    ours, theirs = control_pair()
    with theirs:
        greet(ours)
        supervisor = os.getpid()
        entry = None
        try:
            entry = group.open() if group is not None else None
            process = subprocess.Popen(
                [python, str(kit / ENTRY)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                cwd=folder,
                env={**variables, _CONTROL: str(theirs.fileno())},
                umask=0o077,
                bufsize=0,
                preexec_fn=lambda: settle_in(supervisor, entry),  # noqa: PLW1509
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            ours.close()
            raise LaunchError(f"cannot start {python}: {_why(error)}") from error
        finally:
            if entry is not None:
                os.close(entry)
    assert process.stdout is not None
    assert process.stderr is not None
    pipes = (
        Pipe("stdout", os.dup(process.stdout.fileno())),
        Pipe("stderr", os.dup(process.stderr.fileno())),
    )
    process.stdout.close()
    process.stderr.close()
    return Runner(pid=process.pid, pipes=pipes, control=Control(ours), process=process)


def settle_in(supervisor: int, group_entry: int | None) -> None:
    """Make a forked child of the ``supervisor`` one that a job can be made of: it leads its own group and dies with it."""
    os.setpgid(0, 0)
    if group_entry is not None:
        os.write(group_entry, b"0")
    for name in _RESET:
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _offer_to_oom_killer()
    die_with_parent(supervisor)


def _offer_to_oom_killer() -> None:
    try:
        descriptor = os.open("/proc/self/oom_score_adj", os.O_RDWR)
    except OSError:
        return
    try:
        score = max(0, int(os.read(descriptor, 16)))
        os.pwrite(descriptor, str(min(1000, score + _OOM_SCORE)).encode(), 0)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def _why(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
