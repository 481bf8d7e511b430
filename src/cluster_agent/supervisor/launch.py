"""Starting the runner: the process in the job's own interpreter, with two pipes and a control channel."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster_agent.executors.base import Order
from cluster_agent.folder import JobFolder
from cluster_agent.isolation import box
from cluster_agent.isolation.ids import Ids, become_user, expendable_children
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
#: Threads count, and those of all jobs of a person.
MOST_OF_ONE_USER = 2**15
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
    before, variables = _boxed(order, kit)
    return _start(
        [*before, order.python],
        kit,
        {**order.variables, **variables, MARK: order.nonce},
        JobFolder(order.folder).work,
        lambda channel: send_order(channel, order),
        group,
        order.ids,
    )


def _boxed(order: Order, kit: Path) -> tuple[list[str], dict[str, str]]:
    """What comes before the command of a job that gets a system of its own, and its variables for that."""
    if order.box is None:
        return [], {}
    folder = JobFolder(order.folder)
    readable = [kit, folder.inputs, folder.values]
    if order.environment is not None:
        readable.append(order.environment.shelf)
    devices = box.gpu_devices(order.gpu_ids)
    return box.command(order.box, work=folder.work, readable=readable, devices=devices), {box.UNBLOCK: "1"}


def launch_ahead(wanted: GetReady) -> Runner:
    """Start a runner that imports what is wanted, and then waits for the order that :func:`give` gives it.

    Raises
    ------
    LaunchError
        As for :func:`launch`.
    """
    return _start(
        [wanted.python],
        Path(wanted.kit),
        {**wanted.variables, MARK: _NO_NONCE},
        Path("/"),
        lambda channel: send_imports(channel, wanted.imports),
        ids=wanted.ids,
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
    command: list[str],
    kit: Path,
    variables: Mapping[str, str],
    folder: Path,
    greet: Callable[[socket.socket], None],
    group: Group | None = None,
    ids: Ids | None = None,
) -> Runner:
    ours, theirs = control_pair()
    with theirs:
        greet(ours)
        supervisor = os.getpid()
        entry = None
        try:
            entry = group.open() if group is not None else None
            with expendable_children(ids):
                process = subprocess.Popen(
                    [*command, str(kit / ENTRY)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=(theirs.fileno(),),
                    cwd=folder if ids is None else "/",
                    env={**variables, _CONTROL: str(theirs.fileno())},
                    umask=0o077 if ids is None else ids.umask,
                    bufsize=0,
                    preexec_fn=lambda: settle_in(  # noqa: PLW1509
                        supervisor, entry, ids, folder, boxed=len(command) > 1
                    ),
                )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            ours.close()
            raise LaunchError(f"cannot start {command[-1]}: {_why(error)}") from error
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


def settle_in(
    supervisor: int,
    group_entry: int | None,
    ids: Ids | None = None,
    folder: Path | None = None,
    *,
    boxed: bool = False,
) -> None:
    """Make a forked child of the ``supervisor`` one that a job can be made of: it leads its own group and dies with it.

    Of another user it becomes a process of that user, for good, in the job's ``folder``.
    """
    os.setpgid(0, 0)
    inside = group_entry is None or (ids is not None and _enters(group_entry))
    for name in _RESET:
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    # what wraps a job must outlive the signals that are for the job, which lets them through again
    signal.pthread_sigmask(signal.SIG_SETMASK, box.FOR_THE_JOB if boxed else ())
    if ids is None:
        _offer_to_oom_killer()
    else:
        _bound_processes()
        become_user(ids)
        if folder is not None:
            os.chdir(folder)
    if not inside and group_entry is not None:
        os.write(group_entry, b"0")
    # last, as taking another user's ids undoes it
    die_with_parent(supervisor)


def _bound_processes() -> None:
    """Leave process ids to others: what starts faster than it is looked at is stopped here, for all of a user."""
    most = min(MOST_OF_ONE_USER, resource.getrlimit(resource.RLIMIT_NPROC)[1] % 2**63)
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))


def _enters(group_entry: int) -> bool:
    """Whether this process is in the group now: version 2 asks who enters, version 1 whom it concerns."""
    try:
        return os.write(group_entry, b"0") > 0
    except PermissionError:
        return False


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
