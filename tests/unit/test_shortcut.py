"""A log whose middle is left unread is shown as if all of it had been read."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

import pytest

from cluster_agent.protocol import Event, State, StreamCount
from mlmagics.display.text import Text
from mlmagics.display.view import Budget, View
from mlmagics.job.shortcut import Account, bridge

BUDGET = Budget(head_lines=20, head_chars=2000, tail_lines=10, tail_chars=1000)


def log_of(*outputs: tuple[str, str], other: dict[int, str] | None = None) -> list[Event]:
    """A whole log: texts by stream, events of other types before the texts of those numbers, ``ended``."""
    events = [Event(type="started", seq=1)]
    for number, (stream, text) in enumerate(outputs):
        if other and number in other:
            events.append(Event(type=other[number], seq=len(events) + 1, data={"text/plain": "p"}))
        events.append(Event(type="output", seq=len(events) + 1, stream=stream, text=text))  # type: ignore[arg-type]
    kinds: dict[str, int] = {}
    for event in events:
        kinds[event.type] = kinds.get(event.type, 0) + 1
    streams = {}
    for name in ("stdout", "stderr"):
        text = "".join(text for stream, text in outputs if stream == name)
        lines = text.count("\n") + (bool(text) and not text.endswith("\n"))
        digest = hashlib.sha256(text.encode()).hexdigest()
        streams[name] = StreamCount(bytes=len(text.encode()), lines=lines, sha256=digest)
    kinds["ended"] = 1
    end = Event(type="ended", seq=len(events) + 1, state=State.SUCCEEDED, streams=streams, events=kinds)
    return [*events, end]


def drawn(view: View) -> list[tuple[str, int, int, str]]:
    return [
        ("".join(item.head), item.left_out, item.left_out_bytes, "".join(item.tail))
        for item in view.items
        if isinstance(item, Text)
    ]


def read_all(log: Sequence[Event]) -> View:
    view = View(budget=BUDGET)
    for event in log:
        view.feed(event)
    return view


def read_with_a_jump(log: Sequence[Event], first: int, last: int) -> View | None:
    """The view after the ``first`` events, a jump, and what the ``last`` ones hold; None when there is no way."""
    view, account = View(budget=BUDGET), Account()
    for event in log[:first]:
        account.add(event)
        view.feed(event)
    assert view.overflows
    found = bridge(account, log[-last:], BUDGET.tail_lines, BUDGET.tail_chars)
    if found is None:
        return None
    view.skip(found.stream, found.lines)
    for event in found.events:
        view.feed(event)
    return view


@pytest.mark.parametrize("seed", range(30))
def test_a_jump_shows_and_counts_what_reading_would(seed: int) -> None:
    chance = random.Random(seed)
    text = "".join(f"{n} {'x' * chance.randrange(60)}\n" for n in range(2000))
    text += chance.choice(["", "no end", "\u00e4" * 50])
    outputs, start = [], 0
    while start < len(text):
        size = chance.randrange(1, 400)
        outputs.append(("stdout", text[start : start + size]))
        start += size
    log = log_of(*outputs)
    jumped = read_with_a_jump(log, 40 + chance.randrange(40), 30 + chance.randrange(100))
    assert jumped is not None
    assert drawn(jumped) == drawn(read_all(log))
    assert jumped.left_out > 1500


LINES = [("stdout", f"{n}\n") for n in range(1000)]


def test_no_jump_over_anything_but_one_stream() -> None:
    assert read_with_a_jump(log_of(*LINES), 50, 50) is not None
    for kind in ("display", "clear", "error", "file", "hologram", "dropped"):
        assert read_with_a_jump(log_of(*LINES, other={500: kind}), 50, 50) is None
    assert read_with_a_jump(log_of(*LINES, other={500: "sample", 600: "metric"}), 50, 50) is not None
    mixed = [*LINES[:500], ("stderr", "x\n"), *LINES[500:]]
    assert read_with_a_jump(log_of(*mixed), 50, 50) is None


def test_a_jump_before_what_comes_after_a_flood() -> None:
    log = log_of(*LINES, ("stderr", "warning\n"), ("stdout", "end\n"), other={1000: "display", 10: "display"})
    jumped = read_with_a_jump(log, 50, 50)
    assert jumped is not None
    assert drawn(jumped) == drawn(read_all(log))


def test_no_jump_where_the_end_does_not_tell_all_that_is_shown() -> None:
    log = log_of(*LINES)
    assert read_with_a_jump(log, 50, 8) is None
    assert read_with_a_jump(log, 50, len(log) - 50) is None
    assert read_with_a_jump(log[:-1], 50, 50) is None
    # nobody knows how much of such a line is gone
    huge = [*LINES[:40], *(("stdout", "x" * 900) for _ in range(100)), ("stdout", "\n")]
    assert read_with_a_jump(log_of(*huge), 45, 50) is None
    bars = [*LINES, *(("stdout", "\r50 %" * 100) for _ in range(100))]
    assert read_with_a_jump(log_of(*bars), 50, 50) is None
    assert read_with_a_jump(log_of(*bars), 50, 150) is not None
