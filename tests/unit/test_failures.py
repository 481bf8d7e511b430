"""How a job's end without success is told."""

import msgspec
import pytest

from cluster_agent.protocol import Event, Job, State
from mlmagics.job.failures import failure
from mlmagics.preflight.here import Here

GIB = 2**30


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
        (job(State.FAILED, exit_code=3), "gpu-box/42 failed: exit code 3. All"),
        (
            job(State.FAILED, exit_code=137, reason="it exited with code 137, by which shells say more"),
            "gpu-box/42 failed: exit code 137, by which shells say more. All",
        ),
        (job(State.FAILED, signal="SIGSEGV"), "gpu-box/42 failed: ended by SIGSEGV. All"),
        (
            job(State.FAILED, signal="SIGINT", reason="too many processes"),
            "gpu-box/42 failed: ended by SIGINT (too many processes). All",
        ),
        (
            job(State.FAILED, signal="SIGKILL", reason="it was ended by the signal SIGKILL"),
            "failed: ended by SIGKILL. All",
        ),
        (job(State.TIMED_OUT), "gpu-box/42 timed out: its time limit of 4 h was up. All"),
        (
            job(State.CANCELLED, reason="cancelled by ada: wrong data"),
            "cancelled: cancelled by ada: wrong data. All",
        ),
        (job(State.CANCELLED), "gpu-box/42 cancelled: somebody asked for its end. All"),
        (
            job(State.LOST, reason="the box was restarted"),
            "gpu-box/42 lost: nobody saw how it ended (the box was restarted). All",
        ),
        (job(State.FAILED), "gpu-box/42 failed: without an exit code. All"),
    ],
)
def test_every_end_is_one_line_with_cause_and_log(ended, line):
    failed = failure("gpu-box/42", ended, None)
    assert line in failed.message
    assert "All of its output: %logs gpu-box/42" in failed.message
    assert "\n" not in failed.message
    assert failed.state == ended.state.value
    assert failed._render_traceback_()[-1].endswith(failed.message)


def error(ename, evalue="", **fields):
    return Event(type="error", ename=ename, evalue=evalue, **fields)


@pytest.mark.parametrize(
    ("ended", "event", "cause", "typed"),
    [
        (
            job(State.FAILED, signal="SIGKILL", memory_bytes=64 * GIB, peak_memory_bytes=64 * GIB,
                reason="out of memory: it used all of the 64 GiB that it had asked for; ask for more with --memory"),
            None,
            "failed: out of memory: it used all of the 64 GiB that it had asked for. All",
            "More memory: %resubmit gpu-box/42 --memory 128G",
        ),
        (
            job(State.FAILED, signal="SIGKILL", memory_bytes=2 * GIB, peak_memory_bytes=10 * GIB,
                reason="it was ended by the signal SIGKILL while the kernel ended processes of this machine for "
                "want of memory: it used up to 10 GiB and had asked for 2 GiB"),
            None,
            ("failed: ended by SIGKILL while the kernel ended processes of this machine for want of memory: it "
            "used up to 10 GiB and had asked for 2 GiB. All"),
            "More memory: %resubmit gpu-box/42 --memory 15G",
        ),
        (
            job(State.FAILED, exit_code=1, memory_bytes=2 * GIB, peak_memory_bytes=10 * GIB),
            error("MemoryError", "Unable to allocate 80 GiB"),
            ("failed: out of memory: it used up to 10 GiB and had asked for 2 GiB (MemoryError: Unable to allocate "
            "80 GiB). All"),
            "More memory: %resubmit gpu-box/42 --memory 15G",
        ),
        (
            job(State.FAILED, exit_code=1, memory_bytes=2 * GIB, peak_memory_bytes=2 * GIB,
                reason="RuntimeError: a worker is gone (the kernel ended a process of it, as its memory was used "
                "up)"),
            error("RuntimeError", "a worker is gone"),
            ("failed: RuntimeError: a worker is gone, and the kernel ended a process of it, as its memory was used "
            "up. All"),
            "More memory: %resubmit gpu-box/42 --memory 4G",
        ),
        (
            job(State.FAILED, exit_code=1, gpus=1),
            error("OutOfMemoryError", "CUDA out of memory. Tried to allocate 2 GiB"),
            "failed: OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB. ",
            ("which --memory does not change: make the batches smaller; code that spreads over several GPUs gets "
            "more by %resubmit gpu-box/42 --gpus 2"),
        ),
        (
            job(State.FAILED, exit_code=1, gpus=2),
            error("RuntimeError", "CUDA out of memory."),
            "failed: RuntimeError: CUDA out of memory. ",
            "%resubmit gpu-box/42 --gpus 3",
        ),
        (job(State.TIMED_OUT), None, "timed out: ", "More time: %resubmit gpu-box/42 --timeout 8h"),
        (
            job(State.LOST, reason="the box was restarted"),
            None,
            "lost: ",
            "It never runs again by itself: %resubmit gpu-box/42",
        ),
        (
            job(State.FAILED, exit_code=1),
            error("NameError", "name 'df' is not defined", name="df"),
            "failed: NameError: name 'df' is not defined. ",
            "df is defined in your notebook (int, 28 B), not in the cell: add --send df",
        ),
    ],
)  # fmt: skip
def test_causes_are_told_apart_and_end_with_what_to_type(ended, event, cause, typed):
    message = failure("gpu-box/42", ended, event, Here({"df": 1})).message
    assert cause in message
    assert message.endswith(typed)


def test_nothing_is_advised_where_the_cause_says_all():
    assert failure(
        "gpu-box/42", job(State.FAILED, exit_code=1), error("ValueError", "x"), Here()
    ).message == ("gpu-box/42 failed: ValueError: x. All of its output: %logs gpu-box/42")
    assert "%resubmit" not in failure("gpu-box/42", job(State.CANCELLED), None).message


@pytest.mark.parametrize(("limit", "option"), [(90.0, "3m"), (1.5, "3s"), (5400.0, "3h"), (45.0, "90s")])
def test_more_time_is_written_as_an_option_takes_it(limit, option):
    ended = msgspec.structs.replace(job(State.TIMED_OUT), timeout_s=limit)
    assert failure("gpu-box/42", ended, None).message.endswith(f"--timeout {option}")


def test_an_exception_is_named_and_brings_its_own_traceback():
    raised = error("ValueError", "bad trips\nand more", traceback=["line 1", "line 2"])
    failed = failure("gpu-box/42", job(State.FAILED, exit_code=1), raised)
    assert "gpu-box/42 failed: ValueError: bad trips. All" in failed.message
    assert failed._render_traceback_()[:2] == ["line 1", "line 2"]


def test_a_timeout_says_so_although_the_cell_saw_an_interrupt():
    seen = error("KeyboardInterrupt", traceback=[])
    assert "its time limit of 4 h was up" in failure("gpu-box/42", job(State.TIMED_OUT), seen).message
