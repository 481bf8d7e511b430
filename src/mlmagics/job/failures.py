"""How a job's end without success is told: the cause, and what to type next. Pure."""

from __future__ import annotations

import math

from cluster_agent.protocol import Event, Job, State, word
from cluster_agent.units import format_duration, format_size
from mlmagics.display.escapes import one_line, shown_text
from mlmagics.errors import JobFailed
from mlmagics.job.hints import hint
from mlmagics.preflight.here import Here

_GIB = 2**30
#: How an agent tells that part of a job was ended so; it stands in brackets behind another reason.
_KILLED_FOR_MEMORY = "the kernel ended a process of it, as its memory was used up"
_CUDA = ("cuda out of memory", "cudaerrormemoryallocation", "cuda_error_out_of_memory", "resource_exhausted")


def failure(ref: str, job: Job, error: Event | None, here: Here | None = None) -> JobFailed:
    """The exception for ``job``, which has ended in another way than with success.

    Parameters
    ----------
    ref
        Its name for people, ``gpu-box/42``.
    job
        As its agent tells it.
    error
        The last ``error`` event of its log, where there is one.
    here
        What is at hand where the exception is shown.
    """
    return JobFailed(
        ending(ref, job, error, here, more=f"All of its output: %logs {ref}"),
        ref=ref,
        state=job.state.value,
        remote_traceback=[shown_text(line) for line in error.traceback or []] if error else [],
    )


def ending(ref: str, job: Job, error: Event | None, here: Here | None = None, more: str = "") -> str:
    """One line for :func:`failure`'s arguments: which job, how it ended and why, ``more``, what to type next."""
    told = f"{ref} {word(job.state).lower()}: {cause(job, error).rstrip('.')}"
    return one_line(". ".join(part for part in (told, more, advice(ref, job, error, here)) if part))


def cause(job: Job, error: Event | None) -> str:
    """Why ``job`` did not succeed, in one sentence without its full stop."""
    reason = (job.reason or "").strip().rstrip(".")
    if job.state is State.TIMED_OUT:
        return reason or f"its time limit of {format_duration(job.timeout_s)} was up"
    if job.state is State.CANCELLED:
        return reason or "somebody asked for its end"
    if job.state is State.LOST:
        return f"nobody saw how it ended{f' ({reason})' if reason else ''}"
    if reason.startswith("out of memory"):
        return reason.partition("; ")[0]
    if job.signal:
        return _with_more(f"ended by {job.signal}", f"it was ended by the signal {job.signal}", reason)
    if error is not None and error.ename:
        said = (error.evalue or "").strip().splitlines()
        told = error.ename + (f": {said[0][:200]}" if said else "")
        used = format_size(job.peak_memory_bytes or 0)
        if error.ename == "MemoryError":
            asked = f" and had asked for {format_size(job.memory_bytes)}" if job.memory_bytes else ""
            told = f"out of memory: it used up to {used}{asked} ({told})"
        return told + (f", and {_KILLED_FOR_MEMORY}" if _KILLED_FOR_MEMORY in reason else "")
    if job.exit_code is not None:
        return _with_more(f"exit code {job.exit_code}", f"it exited with code {job.exit_code}", reason)
    return reason or "without an exit code"


def _with_more(told: str, in_reason: str, reason: str) -> str:
    """``told``, and what the agent's ``reason`` says beyond ``in_reason``, which means the same."""
    if not reason or reason == in_reason:
        return told
    more = reason.removeprefix(in_reason)
    return f"{told} ({reason})" if more == reason else told + more


def advice(ref: str, job: Job, error: Event | None, here: Here | None = None) -> str:
    """What to type next, in one sentence without its full stop; empty where nothing is better than the obvious."""
    if job.state is State.TIMED_OUT:
        return (
            f"More time: %resubmit {ref} --timeout {_option_time(2 * job.timeout_s)}" if job.timeout_s else ""
        )
    if job.state is State.LOST:
        return f"It never runs again by itself: %resubmit {ref}"
    if job.state is not State.FAILED:
        return ""
    if _out_of_memory(job, error):
        return f"More memory: %resubmit {ref} --memory {_more_memory(job)}"
    if is_cuda_out_of_memory(error):
        return (
            "This is the memory of the GPU, which --memory does not change: make the batches smaller; "
            f"code that spreads over several GPUs gets more by %resubmit {ref} --gpus {max(1, job.gpus) + 1}"
        )
    return hint(error, here) if here is not None else ""


def is_cuda_out_of_memory(error: Event | None) -> bool:
    """Whether ``error`` says that the memory of a GPU was full."""
    if error is None or error.ename in (None, "MemoryError"):
        return False
    said = (error.evalue or "").lower()
    return error.ename == "OutOfMemoryError" or any(mark in said for mark in _CUDA)


def _out_of_memory(job: Job, error: Event | None) -> bool:
    reason = job.reason or ""
    told = reason.startswith("out of memory") or "want of memory" in reason or _KILLED_FOR_MEMORY in reason
    return told or (error is not None and error.ename == "MemoryError")


def _more_memory(job: Job) -> str:
    peak = job.peak_memory_bytes or 0
    wanted = 1.5 * peak if peak > job.memory_bytes else 2 * job.memory_bytes
    return f"{max(1, math.ceil(wanted / _GIB))}G"


def _option_time(seconds: float) -> str:
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{math.ceil(seconds)}s"
