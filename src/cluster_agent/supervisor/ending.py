"""What a job came to; pure. The first cause wins between a cancel, the time limit and the runner's exit."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from cluster_agent.protocol import State
from cluster_agent.supervisor.guard import out_of_memory
from cluster_agent.units import format_duration, format_size

_REASON_LENGTH = 300
#: Shells add this to the number of the signal that ended a command.
_SHELLS = 128


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a job was stopped, when its runner did not exit first."""

    state: State
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """What is known about a job's memory when it has ended."""

    #: the most that it was seen to use, and what it had asked for
    peak_bytes: int = 0
    asked_bytes: int | None = None
    #: processes that the kernel killed because the job's own group had reached its limit
    group_kills: int = 0
    #: processes of this machine that the kernel killed for want of memory meanwhile
    machine_kills: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """The part of an `ended` event that says how."""

    state: State
    exit_code: int | None = None
    signal: str | None = None
    reason: str | None = None


def cancelled(by: str, reason: str) -> Cause:
    """The cause of a job that ``by`` did not want any more."""
    return Cause(
        State.CANCELLED, one_line(f"cancelled by {by}: {reason}" if reason else f"cancelled by {by}")
    )


def timed_out(timeout_s: float) -> Cause:
    """The cause of a job whose time is up."""
    return Cause(State.TIMED_OUT, f"its time limit of {format_duration(timeout_s)} was reached")


def not_ready(timeout_s: float) -> Cause:
    """The cause of a job whose environment takes too long to build."""
    return Cause(
        State.TIMED_OUT,
        f"its environment was not ready after {format_duration(timeout_s)}; whoever runs the box can allow more"
        " ([packages] timeout)",
    )


def never_launched(reason: str) -> Ending:
    """The ending of a job whose runner could not be started."""
    return Ending(state=State.FAILED, reason=one_line(reason))


def beyond_its_share(reason: str) -> Cause:
    """The cause of a job that took more than it may."""
    return Cause(State.FAILED, one_line(reason))


def ending(cause: Cause | None, status: int | None, *, error: str | None, memory: Memory) -> Ending:
    """The ending of a job.

    Parameters
    ----------
    cause
        What stopped it, when a signal went out before its exit was seen.
    status
        Wait status of the runner; None when it was given up.
    error
        The last exception that the cell raised, as ``Name: message``.
    memory
        What it used, and whether the kernel had to kill for want of it.
    """
    code = None if status is None else os.waitstatus_to_exitcode(status)
    name = _signal_name(-code) if code is not None and code < 0 else None
    exit_code = code if code is not None and code >= 0 else None
    if cause is not None:
        return Ending(state=cause.state, exit_code=exit_code, signal=name, reason=cause.reason)
    if exit_code == 0:
        return Ending(state=State.SUCCEEDED, exit_code=0)
    if name is not None:
        reason = _signal_reason(name, memory)
    elif exit_code == 1 and error:
        reason = one_line(error)
    else:
        reason = _exit_reason(exit_code or 0)
    if name != "SIGKILL" and memory.group_kills:
        reason = one_line(f"{reason} (the kernel ended a process of it, as its memory was used up)")
    return Ending(state=State.FAILED, exit_code=exit_code, signal=name, reason=reason)


def one_line(text: str) -> str:
    """``text`` as one line of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= _REASON_LENGTH else line[: _REASON_LENGTH - 1] + "…"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def _signal_reason(name: str, memory: Memory) -> str:
    told = f"it was ended by the signal {name}"
    if name != "SIGKILL":
        return told
    asked = memory.asked_bytes
    if memory.group_kills and asked is not None:
        return out_of_memory(max(memory.peak_bytes, asked), asked)
    if memory.machine_kills:
        had_asked = f" and had asked for {format_size(asked)}" if asked is not None else ""
        used = f": it used up to {format_size(memory.peak_bytes)}{had_asked}" if memory.peak_bytes else ""
        return f"{told} while the kernel ended processes of this machine for want of memory{used}"
    return told


def _exit_reason(exit_code: int) -> str:
    told = f"it exited with code {exit_code}"
    if not _SHELLS < exit_code < _SHELLS + signal.NSIG:
        return told
    return f"{told}, by which shells say that a command was ended by {_signal_name(exit_code - _SHELLS)}"
