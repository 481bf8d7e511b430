"""How a job's end without success is told."""

import pytest

from cluster_agent.protocol import Event, Job, State
from mlmagics.job.failures import failure


def job(state, **fields):
    return Job(
        job_id=42,
        name="train",
        user="ada",
        project="default",
        state=state,
        history_url="https://gpu-box/history/42",
        agent_id="a",
        log_tag="0" * 8,
        submitted_at=0.0,
        timeout_s=14400.0,
        **fields,
    )


@pytest.mark.parametrize(
    ("ended", "line"),
    [
        (job(State.FAILED, exit_code=3), "gpu-box/42 failed: exit code 3."),
        (job(State.FAILED, signal="SIGSEGV"), "gpu-box/42 failed: ended by SIGSEGV."),
        (
            job(State.FAILED, signal="SIGKILL", reason="out of memory."),
            "failed: ended by SIGKILL (out of memory).",
        ),
        (job(State.TIMED_OUT), "gpu-box/42 timed out: its time limit of 4 h was up."),
        (
            job(State.CANCELLED, reason="cancelled by ada: wrong data"),
            "cancelled: cancelled by ada: wrong data.",
        ),
        (job(State.CANCELLED), "gpu-box/42 cancelled: somebody asked for its end."),
        (job(State.LOST, reason="the box was restarted"), "gpu-box/42 lost: the box was restarted."),
        (job(State.FAILED), "gpu-box/42 failed: without an exit code."),
    ],
)
def test_every_end_is_one_line_with_cause_and_next_step(ended, line):
    failed = failure("gpu-box/42", ended, None)
    assert line in failed.message
    assert failed.message.endswith("All of its output: %logs gpu-box/42")
    assert "\n" not in failed.message
    assert failed.state == ended.state.value
    assert failed._render_traceback_()[-1].endswith(failed.message)


def test_an_exception_is_named_and_brings_its_own_traceback():
    error = Event(
        type="error", ename="ValueError", evalue="bad trips\nand more", traceback=["line 1", "line 2"]
    )
    failed = failure("gpu-box/42", job(State.FAILED, exit_code=1), error)
    assert "gpu-box/42 failed: ValueError: bad trips. All" in failed.message
    assert failed._render_traceback_()[:2] == ["line 1", "line 2"]


def test_a_timeout_says_so_although_the_cell_saw_an_interrupt():
    error = Event(type="error", ename="KeyboardInterrupt", evalue="", traceback=[])
    assert "its time limit of 4 h was up" in failure("gpu-box/42", job(State.TIMED_OUT), error).message
