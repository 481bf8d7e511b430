"""How a job's end without success is told. Pure."""

from __future__ import annotations

from cluster_agent.protocol import Event, Job, State, word
from cluster_agent.units import format_duration
from mlmagics.errors import JobFailed


def failure(ref: str, job: Job, error: Event | None) -> JobFailed:
    """The exception for ``job``, which has ended in another way than with success.

    Parameters
    ----------
    ref
        Its name for people, ``gpu-box/42``.
    job
        As its agent tells it.
    error
        The last ``error`` event of its log, where there is one.
    """
    message = (
        f"{ref} {word(job.state).lower()}: {_cause(job, error).rstrip('.')}. All of its output: %logs {ref}"
    )
    return JobFailed(
        message,
        ref=ref,
        state=job.state.value,
        remote_traceback=list(error.traceback or []) if error else [],
    )


def _cause(job: Job, error: Event | None) -> str:
    reason = (job.reason or "").strip().rstrip(".")
    if job.state is State.TIMED_OUT:
        return reason or f"its time limit of {format_duration(job.timeout_s)} was up"
    if job.state is State.CANCELLED:
        return reason or "somebody asked for its end"
    if job.state is State.LOST:
        return reason or "nobody can say how it ended"
    if job.signal:
        return f"ended by {job.signal}" + (f" ({reason})" if reason and job.signal not in reason else "")
    if error is not None and error.ename:
        said = (error.evalue or "").strip().splitlines()
        return error.ename + (f": {said[0][:200]}" if said else "")
    if job.exit_code is not None:
        return f"exit code {job.exit_code}"
    return reason or "without an exit code"
