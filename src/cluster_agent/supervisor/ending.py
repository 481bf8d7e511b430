"""What a job came to; pure. The first cause wins between a cancel, the time limit and the runner's exit."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from cluster_agent.protocol import State
from cluster_agent.units import format_duration

_REASON_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a job was stopped, when its runner did not exit first."""

    state: State
    reason: str


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


def never_launched(reason: str) -> Ending:
    """The ending of a job whose runner could not be started."""
    return Ending(state=State.FAILED, reason=one_line(reason))


def ending(cause: Cause | None, status: int | None, *, error: str | None, oom_kills: int) -> Ending:
    """The ending of a job.

    Parameters
    ----------
    cause
        What stopped it, when a signal went out before its exit was seen.
    status
        Wait status of the runner; None when it was given up.
    error
        The last exception that the cell raised, as ``Name: message``.
    oom_kills
        Processes of this machine which the kernel killed for memory meanwhile.
    """
    code = None if status is None else os.waitstatus_to_exitcode(status)
    name = _signal_name(-code) if code is not None and code < 0 else None
    exit_code = code if code is not None and code >= 0 else None
    if cause is not None:
        return Ending(state=cause.state, exit_code=exit_code, signal=name, reason=cause.reason)
    if exit_code == 0:
        return Ending(state=State.SUCCEEDED, exit_code=0)
    if name is not None:
        reason = _signal_reason(name, oom_kills)
    elif exit_code == 1 and error:
        reason = one_line(error)
    else:
        reason = f"it exited with code {exit_code}"
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


def _signal_reason(name: str, oom_kills: int) -> str:
    if name == "SIGKILL" and oom_kills:
        return "it was ended by SIGKILL, and the kernel killed a process for want of memory meanwhile"
    return f"it was ended by the signal {name}"
