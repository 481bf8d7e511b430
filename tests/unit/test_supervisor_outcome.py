from __future__ import annotations

import signal

import pytest

from cluster_agent.protocol import State
from cluster_agent.supervisor.ending import (
    Ending,
    Memory,
    beyond_its_share,
    cancelled,
    ending,
    never_launched,
    timed_out,
)

EXIT_3 = 3 << 8


GIB = 2**30
KERNEL = (
    "it was ended by the signal SIGKILL while the kernel ended processes of this machine for want of memory"
)


def failed(reason, **fields):
    return Ending(state=State.FAILED, reason=reason, **fields)


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (0, None, Ending(state=State.SUCCEEDED, exit_code=0)),
        (0, "ValueError: seen and caught", Ending(state=State.SUCCEEDED, exit_code=0)),
        (EXIT_3, "E: old", failed("it exited with code 3", exit_code=3)),
        (1 << 8, "E: a\nb", failed("E: a b", exit_code=1)),
        (1 << 8, None, failed("it exited with code 1", exit_code=1)),
        (signal.SIGKILL, None, failed("it was ended by the signal SIGKILL", signal="SIGKILL")),
        (40, None, failed("it was ended by the signal SIG40", signal="SIG40")),
    ],
)
def test_ending_tells_how_the_runner_exited(status, error, expected):
    assert ending(None, status, error=error, memory=Memory()) == expected


@pytest.mark.parametrize(
    ("code", "by"),
    [(137, "SIGKILL"), (143, "SIGTERM"), (139, "SIGSEGV"), (128, None), (255, None), (2, None)],
)
def test_ending_explains_the_exit_codes_of_shells(code, by):
    reason = ending(None, code << 8, error=None, memory=Memory()).reason
    more = f", by which shells say that a command was ended by {by}" if by else ""
    assert reason == f"it exited with code {code}{more}"


@pytest.mark.parametrize(
    ("memory", "told"),
    [
        (
            Memory(peak_bytes=GIB, asked_bytes=2 * GIB, group_kills=1),
            "out of memory: it used all of the 2 GiB that it had asked for; ask for more with --memory",
        ),
        (
            Memory(peak_bytes=GIB, asked_bytes=2 * GIB, machine_kills=1),
            f"{KERNEL}: it used up to 1 GiB and had asked for 2 GiB",
        ),
        (
            Memory(machine_kills=1),
            KERNEL,
        ),
        (Memory(peak_bytes=GIB, asked_bytes=2 * GIB), "it was ended by the signal SIGKILL"),
    ],
)
def test_ending_names_memory_when_the_kernel_killed_for_it(memory, told):
    assert ending(None, signal.SIGKILL, error=None, memory=memory).reason == told


def test_ending_tells_of_a_child_that_the_kernel_killed():
    memory = Memory(asked_bytes=GIB, group_kills=1)
    told = ending(None, 1 << 8, error="BrokenProcessPool: a child died", memory=memory)
    assert told.reason == (
        "BrokenProcessPool: a child died (the kernel ended a process of it, as its memory was used up)"
    )
    assert ending(None, signal.SIGTERM, error=None, memory=Memory(machine_kills=1)).reason == (
        "it was ended by the signal SIGTERM"
    )


def test_ending_tells_what_was_too_much():
    told = ending(beyond_its_share("out of memory: 3 of 2"), signal.SIGKILL, error=None, memory=Memory())
    assert told == failed("out of memory: 3 of 2", signal="SIGKILL")


@pytest.mark.parametrize("status", [0, EXIT_3, signal.SIGKILL, None])
def test_ending_keeps_the_first_cause_and_tells_the_exit_beside_it(status):
    told = ending(timed_out(14400.0), status, error="KeyboardInterrupt", memory=Memory(machine_kills=1))
    assert (told.state, told.reason) == (State.TIMED_OUT, "its time limit of 4 h was reached")
    assert told.exit_code == (None if status in (None, signal.SIGKILL) else status >> 8)
    assert told.signal == ("SIGKILL" if status == signal.SIGKILL else None)


def test_reasons_are_one_line_of_bounded_length():
    assert cancelled("ada", "").reason == "cancelled by ada"
    assert cancelled("ada", "wrong\ndata").reason == "cancelled by ada: wrong data"
    assert len(cancelled("ada", "x" * 10_000).reason) <= 300
    assert never_launched("a\n  b") == Ending(state=State.FAILED, reason="a b")
