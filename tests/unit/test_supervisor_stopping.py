from __future__ import annotations

import math
import signal

from cluster_agent.supervisor.stopping import Stage, Stop, advance, begin


def play(stop: Stop, now: float, until: float, *, runner_dies=math.inf, tree_dies=math.inf):
    """The signals that are due between two moments, by the moment, and the stop in the end."""
    sent = []
    while now < until:
        stop, act = advance(stop, now, runner_alive=now < runner_dies, tree_alive=now < tree_dies)
        if act is not None:
            sent.append((round(now, 1), act.signal))
        now = round(now + 0.1, 1)
    return sent, stop


def test_stop_does_nothing_unasked():
    assert play(Stop(), 0.0, 100.0) == ([], Stop())


def test_stop_goes_from_interrupt_to_term_to_kill_and_gives_up():
    stop, first = begin(Stop(), 5.0, grace_s=3.0)
    assert first.signal == signal.SIGINT
    assert first.to_group
    sent, stop = play(stop, 5.0, 60.0)
    assert sent[0] == (8.0, signal.SIGTERM)
    assert sent[1] == (18.0, signal.SIGKILL)
    assert {number for _, number in sent[1:]} == {signal.SIGKILL}
    assert sent[-1][0] < 28.1
    assert stop.stage is Stage.GIVEN_UP


def test_stop_ends_when_the_tree_is_gone():
    stop, _ = begin(Stop(), 0.0, grace_s=3.0)
    sent, stop = play(stop, 0.0, 60.0, tree_dies=2.0)
    assert sent == []
    assert stop.until == math.inf


def test_second_request_shortens_the_grace_but_never_lengthens_it():
    stop, _ = begin(Stop(), 0.0, grace_s=600.0)
    stop, again = begin(stop, 5.0, grace_s=10.0)
    assert again is None
    stop, _ = begin(stop, 6.0, grace_s=600.0)
    assert play(stop, 6.0, 16.0)[0] == [(15.0, signal.SIGTERM)]


def test_request_changes_nothing_once_term_was_sent():
    stop, _ = begin(Stop(), 0.0, grace_s=1.0)
    _, stop = play(stop, 0.0, 5.0)
    assert begin(stop, 5.0, grace_s=0.1) == (stop, None)


def test_children_that_outlive_the_runner_get_term_and_kill():
    sent, stop = play(Stop(), 0.0, 30.0, runner_dies=3.0)
    assert sent[0] == (3.2, signal.SIGTERM)
    assert sent[1] == (8.2, signal.SIGKILL)
    assert stop.stage is Stage.GIVEN_UP


def test_children_that_finish_by_themselves_get_no_signal():
    assert play(Stop(), 0.0, 30.0, runner_dies=3.0, tree_dies=3.1)[0] == []


def test_runner_that_exits_during_the_grace_leaves_its_children_less_time():
    stop, _ = begin(Stop(), 0.0, grace_s=600.0)
    sent, _ = play(stop, 0.0, 10.0, runner_dies=1.0)
    assert sent[:2] == [(1.2, signal.SIGTERM), (6.2, signal.SIGKILL)]


def test_runner_that_exits_after_term_leaves_its_children_less_time():
    stop, _ = begin(Stop(), 0.0, grace_s=1.0)
    sent, _ = play(stop, 0.0, 8.0, runner_dies=2.0)
    assert sent[:2] == [(1.0, signal.SIGTERM), (7.0, signal.SIGKILL)]
