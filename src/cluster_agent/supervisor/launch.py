"""Starting the runner: the process in the job's own interpreter, with two pipes and a control channel."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cluster_agent.executors.base import Order
from cluster_agent.folder import JobFolder
from cluster_agent.supervisor.channels import Control, Pipe, control_pair, send_order
from cluster_agent.supervisor.group import Group
from cluster_agent.supervisor.processes import die_with_parent

#: The variable by which processes of a job are known when their supervisor is gone.
MARK = "MLMAGICS_START"
#: The file of the kit that is the runner's program.
ENTRY = Path("mlmagics_job/run.py")
_CONTROL = "MLMAGICS_CONTROL_FD"
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


def launch(order: Order, kit: Path, group: Group | None = None) -> Runner:
    """Start the runner of ``order``, in the control group ``group``. Call it in the main thread: the runner dies with the thread that forks it.

    Raises
    ------
    LaunchError
        When there is no such interpreter, or the system refuses.
    """
    ours, theirs = control_pair()
    with theirs:
        send_order(ours, order)
        variables = {**order.variables, _CONTROL: str(theirs.fileno()), MARK: order.nonce}
        supervisor = os.getpid()
        entry = None
        try:
            entry = group.open() if group is not None else None
            process = subprocess.Popen(
                [order.python, str(kit / ENTRY)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                cwd=JobFolder(order.folder).work,
                env=variables,
                umask=0o077,
                bufsize=0,
                preexec_fn=lambda: _settle_in(supervisor, entry),  # noqa: PLW1509
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            ours.close()
            raise LaunchError(f"cannot start {order.python}: {_why(error)}") from error
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


def _settle_in(supervisor: int, group_entry: int | None) -> None:
    """Runs in the forked child, before it becomes the runner."""
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
