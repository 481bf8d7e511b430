"""Events out of chunks that are cut anywhere."""

from __future__ import annotations

import random

import pytest

from cluster_agent.event_stream import EventStream, NotEvents
from cluster_agent.log.format import encode_line
from cluster_agent.protocol import MAX_LINE_BYTES, Cursor

TAG = "0a1b2c3d"


def lines(count: int = 6, *, ended: bool = True) -> list[bytes]:
    made = [
        encode_line(seq, 1e9, seq / 10, "output", {"stream": "stdout", "text": f"é€😀 {seq}\n"})
        for seq in range(1, count)
    ]
    return [*made, encode_line(count, 1e9, 9.0, "ended" if ended else "clear", {})]


def seqs(stream: EventStream) -> list[int | None]:
    return [event.seq for event in stream]


def test_events_at_every_cut() -> None:
    data = b"".join(lines())
    for cut in range(len(data) + 1):
        stream = EventStream([data[:cut], data[cut:]], tag=TAG, after=0)
        assert seqs(stream) == [1, 2, 3, 4, 5, 6]
        assert stream.ended
        assert not stream.half_line


def test_a_connection_that_ends_anywhere_gives_whole_lines_only() -> None:
    data = b"".join(lines())
    for cut in range(len(data)):
        stream = EventStream([data[:cut]], tag=TAG, after=0)
        whole = data[:cut].count(b"\n")
        assert seqs(stream) == list(range(1, whole + 1))
        assert not stream.ended
        assert stream.half_line == (not data[:cut].endswith(b"\n") and cut > 0)
        assert stream.cursor == Cursor(tag=TAG, seq=whole)


def test_events_in_chunks_of_any_size() -> None:
    rng = random.Random(1)
    data = b"".join(lines(400))
    for _ in range(20):
        chunks, start = [], 0
        while start < len(data):
            size = rng.choice([0, 1, 2, 7, 60, 5000])
            chunks.append(data[start : start + size])
            start += size
        assert seqs(EventStream(chunks, tag=TAG, after=0)) == list(range(1, 401))


def test_what_was_seen_before_does_not_come_again() -> None:
    stream = EventStream(lines(), tag=TAG, after=4)
    assert seqs(stream) == [5, 6]


def test_a_gap_is_an_error() -> None:
    made = lines()
    stream = EventStream([*made[:2], *made[3:]], tag=TAG, after=0)
    with pytest.raises(NotEvents, match="event 4 after event 2"):
        list(stream)
    assert stream.cursor == Cursor(tag=TAG, seq=2)


def test_the_first_event_may_have_any_seq_when_asked_for_the_last_ones() -> None:
    stream = EventStream(lines()[3:], tag=TAG, after=None)
    assert stream.cursor is None
    assert seqs(stream) == [4, 5, 6]


def test_nothing_comes_after_the_end() -> None:
    stream = EventStream([*lines(), encode_line(7, 1e9, 9.0, "clear", {}), b"not json\n"], tag=TAG, after=0)
    assert seqs(stream)[-1] == 6


def test_lines_that_are_not_stored_move_no_cursor() -> None:
    heartbeat, queue = b'{"type":"heartbeat","at":1.5}\n', b'{"type":"queue","state":"queued","position":3}\n'
    stream = EventStream([queue, heartbeat, lines()[0], heartbeat], tag=TAG, after=0)
    assert [(event.type, event.seq) for event in stream] == [
        ("queue", None),
        ("heartbeat", None),
        ("output", 1),
        ("heartbeat", None),
    ]
    assert stream.cursor == Cursor(tag=TAG, seq=1)


def test_unknown_types_fields_and_values_do_not_stop_a_reader() -> None:
    made = [
        encode_line(1, 1e9, 0.0, "telepathy", {"mood": [1, 2], "text": "x"}),
        encode_line(2, 1e9, 0.5, "heartbeat", {"state": "hibernating"}),
        encode_line(3, 1e9, 9.0, "ended", {"state": "dreaming"}),
    ]
    events = list(EventStream(made, tag=TAG, after=0))
    assert [(event.type, event.seq, event.t) for event in events] == [
        ("telepathy", 1, 0.0),
        ("heartbeat", 2, 0.5),
        ("ended", 3, 9.0),
    ]
    assert events[-1].state is None


def test_a_recovered_log_changes_the_cursor() -> None:
    made = [
        *lines(3, ended=False),
        encode_line(4, 1e9, 9.0, "recovered", {"tag": "ffff0000", "old_tag": TAG}),
    ]
    stream = EventStream(made, tag=TAG, after=0)
    list(stream)
    assert stream.cursor == Cursor(tag="ffff0000", seq=4)


@pytest.mark.parametrize("line", [b"<html>\n", b"[1]\n", b'{"seq":1}\n', b'{"type":5}\n', b"\xff\n", b"\n"])
def test_other_lines_are_errors(line: bytes) -> None:
    with pytest.raises(NotEvents):
        list(EventStream([line], tag=TAG, after=0))


def test_a_line_without_end_is_an_error() -> None:
    with pytest.raises(NotEvents, match="1 MiB"):
        list(EventStream([b"x" * 65536] * (MAX_LINE_BYTES // 65536 + 1), tag=TAG, after=0))
