from __future__ import annotations

import signal

import pytest

from cluster_agent.protocol import State
from cluster_agent.supervisor.ending import Ending, cancelled, ending, never_launched, timed_out

EXIT_3 = 3 << 8


@pytest.mark.parametrize(
    ("status", "error", "oom_kills", "expected"),
    [
        (0, None, 0, Ending(state=State.SUCCEEDED, exit_code=0)),
        (0, "ValueError: seen and caught", 0, Ending(state=State.SUCCEEDED, exit_code=0)),
        (EXIT_3, "E: old", 0, Ending(state=State.FAILED, exit_code=3, reason="it exited with code 3")),
        (1 << 8, "E: a\nb", 0, Ending(state=State.FAILED, exit_code=1, reason="E: a b")),
        (1 << 8, None, 0, Ending(state=State.FAILED, exit_code=1, reason="it exited with code 1")),
        (
            signal.SIGKILL,
            None,
            0,
            Ending(state=State.FAILED, signal="SIGKILL", reason="it was ended by the signal SIGKILL"),
        ),
        (40, None, 0, Ending(state=State.FAILED, signal="SIG40", reason="it was ended by the signal SIG40")),
    ],
)
def test_ending_tells_how_the_runner_exited(status, error, oom_kills, expected):
    assert ending(None, status, error=error, oom_kills=oom_kills) == expected


def test_ending_names_memory_when_the_kernel_killed_for_it():
    assert "memory" in ending(None, signal.SIGKILL, error=None, oom_kills=1).reason


@pytest.mark.parametrize("status", [0, EXIT_3, signal.SIGKILL, None])
def test_ending_keeps_the_first_cause_and_tells_the_exit_beside_it(status):
    told = ending(timed_out(14400.0), status, error="KeyboardInterrupt", oom_kills=1)
    assert (told.state, told.reason) == (State.TIMED_OUT, "its time limit of 4 h was reached")
    assert told.exit_code == (None if status in (None, signal.SIGKILL) else status >> 8)
    assert told.signal == ("SIGKILL" if status == signal.SIGKILL else None)


def test_reasons_are_one_line_of_bounded_length():
    assert cancelled("ada", "").reason == "cancelled by ada"
    assert cancelled("ada", "wrong\ndata").reason == "cancelled by ada: wrong data"
    assert len(cancelled("ada", "x" * 10_000).reason) <= 300
    assert never_launched("a\n  b") == Ending(state=State.FAILED, reason="a b")
