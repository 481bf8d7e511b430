"""Lines of an event log, and finding them again, over bytes in memory."""

from __future__ import annotations

import json
import random

import msgspec
import pytest

from cluster_agent.log.format import (
    MAX_OUTPUT_BYTES,
    LineTooLong,
    encode_line,
    incomplete_tail,
    output_bytes,
    parse_head,
    split_output,
)
from cluster_agent.log.scan import (
    ReadAt,
    current_tag,
    find_after,
    iter_lines,
    last_events,
    last_line,
    offset_of_last,
    sound_size,
    whole_size,
)
from cluster_agent.protocol import MAX_LINE_BYTES, Event, State, decode_event

TEXT = "aé€😀\n\x00\x1b"


def reader(data: bytes) -> ReadAt:
    return lambda offset, length: data[offset : offset + length]


def a_log(rng: random.Random, count: int, longest: int) -> tuple[bytes, list[int]]:
    """A log with lines of very different lengths, and where each begins."""
    data, starts = bytearray(), []
    for seq in range(1, count + 1):
        starts.append(len(data))
        text = "x" * int(longest ** rng.random())
        fields = {"tag": "0123abcd"} if seq == 1 else {"stream": "stdout", "text": text}
        data += encode_line(seq, 1e9 + seq, seq / 7, "started" if seq == 1 else "output", fields)
    return bytes(data), starts


# --- one line ---------------------------------------------------------------------------------------------


def test_encode_line_has_the_head_first_and_is_one_line() -> None:
    line = encode_line(7, 1767225600.1234567, 0.5, "output", {"stream": "stdout", "text": "a\r\nb\u2028"})
    assert line.startswith(b'{"seq":7,"at":1767225600.123457,"t":0.5,"type":"output","stream":"stdout"')
    assert line.count(b"\n") == 1
    assert json.loads(line)["text"] == "a\r\nb\u2028"
    assert parse_head(line) == (7, "output")


def test_encode_line_leaves_out_none_and_writes_enums_as_values() -> None:
    line = encode_line(1, 1.0, 0.0, "ended", {"state": State.LOST, "exit_code": None})
    assert json.loads(line) == {"seq": 1, "at": 1.0, "t": 0.0, "type": "ended", "state": "lost"}


@pytest.mark.parametrize("t", [0.0, 1e-6, 5e-324, 123456789.123456, 1e15])
def test_parse_head_reads_every_time(t: float) -> None:
    assert parse_head(encode_line(3, t, t, "clear", {})) == (3, "clear")


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"\0" * 50, b'{"seq":1}', b'{"at":1.0,"seq":1}', b' {"seq":1,"at":1.0,"t":0.0']
)
def test_parse_head_refuses_what_is_no_line(line: bytes) -> None:
    assert parse_head(line) is None


def test_encode_line_replaces_lone_surrogates_everywhere() -> None:
    fields = {"path": "a\udcff", "data": {"k\udc80": ["\ud800", 1, None]}}
    told = json.loads(encode_line(1, 1.0, 0.0, "file", fields))
    assert told["path"] == "a?"
    assert told["data"] == {"k?": ["?", 1, None]}


def test_encode_line_refuses_more_than_a_mebibyte() -> None:
    fits = MAX_LINE_BYTES - len(encode_line(1, 1.0, 0.0, "error", {"evalue": ""}))
    assert len(encode_line(1, 1.0, 0.0, "error", {"evalue": "x" * fits})) == MAX_LINE_BYTES
    with pytest.raises(LineTooLong, match="'error'"):
        encode_line(1, 1.0, 0.0, "error", {"evalue": "x" * (fits + 1)})


def test_encode_line_refuses_fields_of_the_head() -> None:
    with pytest.raises(ValueError, match="seq"):
        encode_line(1, 1.0, 0.0, "metric", {"seq": 9})


def test_encode_line_refuses_raw_json_that_would_forge_a_line() -> None:
    with pytest.raises(ValueError, match="line breaks"):
        encode_line(1, 1.0, 0.0, "display", {"data": msgspec.Raw(b'{}\n{"seq":2}')})


# --- output as text and bytes -----------------------------------------------------------------------------


@pytest.mark.parametrize("char", ["é", "€", "😀", "\U0010ffff", "\u0800"])
def test_incomplete_tail_holds_back_every_beginning_of_a_character(char: str) -> None:
    encoded = char.encode()
    for cut in range(1, len(encoded)):
        assert incomplete_tail(b"abc" + encoded[:cut]) == cut
        assert incomplete_tail(encoded[:cut]) == cut
    assert incomplete_tail(b"abc" + encoded) == 0


@pytest.mark.parametrize(
    "data", [b"", b"a", b"\x80", b"\x80\x80\x80\x80", b"\xc0", b"\xc1", b"\xf5", b"\xff", b"\xe2\x82\xac\x80"]
)
def test_incomplete_tail_does_not_hold_back_what_begins_nothing(data: bytes) -> None:
    assert incomplete_tail(data) == 0


def pieces_as_events(data: bytes) -> list[Event]:
    events = []
    for piece in split_output(data):
        line = encode_line(1, 1.0, 0.0, "output", {"stream": "stdout", **piece.fields})
        assert len(line) < MAX_LINE_BYTES
        event = decode_event(line)
        assert output_bytes(event) == piece.data
        events.append(event)
    return events


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 65535, 65536, 65537, 131072, 300_000])
@pytest.mark.parametrize("kind", ["ascii", "utf8", "latin1", "binary", "control", "mixed", "continuation"])
def test_split_output_keeps_every_byte(kind: str, size: int) -> None:
    rng = random.Random(f"{kind}{size}")
    unit = {
        "ascii": b"a line of text\n",
        "utf8": TEXT.encode(),
        "latin1": "caf\u00e9 au lait\n".encode("latin-1"),
        "binary": rng.randbytes(997),
        "control": bytes(range(32)),
        "mixed": b"fine\n" * 2000 + b"\xff\n",
        "continuation": b"\x80",
    }[kind]
    data = (unit * (size // len(unit) + 1))[:size]
    events = pieces_as_events(data)
    assert b"".join(output_bytes(event) for event in events) == data
    if kind in {"ascii", "control"}:
        assert all(event.text is not None for event in events)
        assert len(events) == -(-size // MAX_OUTPUT_BYTES)


def test_split_output_never_splits_a_character() -> None:
    for shift in range(4):
        data = b"x" * shift + "😀".encode() * 50_000
        assert all(event.text is not None for event in pieces_as_events(data))


def test_split_output_keeps_most_of_a_text_with_one_bad_byte_as_text() -> None:
    data = b"a line of text\n" * 4000 + b"\xff\n" + b"a line of text\n" * 300
    as_bytes = [output_bytes(e) for e in pieces_as_events(data) if e.base64 is not None]
    assert len(as_bytes) == 1
    assert b"\xff" in as_bytes[0]
    assert len(as_bytes[0]) <= 4096


# --- lines in a file --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "longest"), [(1, 1), (2, 900_000), (30, 900_000), (400, 200_000), (3000, 20)]
)
def test_find_after_finds_every_line(count: int, longest: int) -> None:
    data, starts = a_log(random.Random(count), count, longest)
    read_at = reader(data)
    for seq in {0, 1, count - 1, count, *random.Random(1).sample(range(count + 1), min(count, 60))}:
        expected = starts[seq] if seq < count else len(data)
        assert find_after(read_at, len(data), seq) == expected


def test_find_after_takes_few_reads() -> None:
    data, _ = a_log(random.Random(5), 20_000, 300)
    reads = 0

    def counted(offset: int, length: int) -> bytes:
        nonlocal reads
        reads += 1
        return data[offset : offset + length]

    find_after(counted, len(data), 12_345)
    assert reads < 100


def test_find_after_refuses_a_file_that_is_no_log() -> None:
    data = b"hello\nworld\n"
    with pytest.raises(ValueError, match="no line of an event log"):
        find_after(reader(data), len(data), 1)


@pytest.mark.parametrize("longest", [10, 100_000])
def test_offset_of_last_counts_back(longest: int) -> None:
    data, starts = a_log(random.Random(2), 120, longest)
    read_at = reader(data)
    assert offset_of_last(read_at, len(data), 0) == len(data)
    for count in range(1, 121):
        assert offset_of_last(read_at, len(data), count) == starts[120 - count]
    assert offset_of_last(read_at, len(data), 121) == 0
    assert offset_of_last(read_at, 0, 3) == 0
    assert last_line(read_at, len(data)) == data[starts[-1] :]
    assert [event.seq for event in last_events(read_at, len(data), 3)] == [118, 119, 120]


def test_whole_and_sound_size_at_every_cut() -> None:
    data, starts = a_log(random.Random(3), 12, 40)
    ends = [*starts[1:], len(data)]
    for cut in range(len(data) + 1):
        whole = max((end for end in ends if end <= cut), default=0)
        assert whole_size(reader(data[:cut]), cut) == whole
        assert sound_size(reader(data[:cut]), cut) == whole


@pytest.mark.parametrize("spoilt", [b"\0" * 5000, b"\0" * 100 + b"\n", b'{"seq":13,"at":1.0\n', b"\n\n\n"])
def test_sound_size_drops_what_a_crash_of_the_machine_left(spoilt: bytes) -> None:
    data, _ = a_log(random.Random(4), 12, 40)
    both = data + spoilt
    assert sound_size(reader(both), len(both)) == len(data)


def test_sound_size_keeps_lines_of_a_newer_version() -> None:
    data = encode_line(1, 1.0, 0.0, "ended", {"state": "hibernated", "seconds": "many"})
    assert sound_size(reader(data), len(data)) == len(data)


def test_iter_lines_gives_every_line_once() -> None:
    data, starts = a_log(random.Random(6), 60, 900_000)
    assert list(iter_lines(reader(data), len(data))) == data.splitlines(keepends=True)
    assert b"".join(iter_lines(reader(data), len(data), starts[30])) == data[starts[30] :]
    assert list(iter_lines(reader(b""), 0)) == []


def test_current_tag_is_the_first_lines_until_it_is_recovered() -> None:
    data, _ = a_log(random.Random(7), 20, 40)
    assert current_tag(reader(data), len(data)) == "0123abcd"
    data += encode_line(21, 1.0, 9.0, "recovered", {"tag": "ffff0000", "old_tag": "0123abcd", "kept_seq": 20})
    data += encode_line(22, 1.0, 9.0, "ended", {"state": "lost"})
    assert current_tag(reader(data), len(data)) == "ffff0000"
    assert current_tag(reader(b""), 0) is None
