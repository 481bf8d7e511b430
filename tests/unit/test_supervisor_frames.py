from __future__ import annotations

import hashlib
import json
import math

import pytest

from cluster_agent.log.format import encode_line
from cluster_agent.protocol import MAX_LINE_BYTES
from cluster_agent.supervisor.frames import (
    MAX_DEPTH,
    MAX_KINDS,
    decode_frame,
    event_fields,
    refusal,
    shrink_display,
    shrink_error,
)
from cluster_agent.supervisor.quota import TAIL_BYTES, Quota, Tail


def fields_of(**frame):
    return event_fields(decode_frame(json.dumps(frame).encode()))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"x",
        b"[]",
        b"3",
        b"{}",
        b'{"type": 3}',
        b'{"type":"display","data":[1]}',
        b"\xff",
        b"[" * 100_000,
        b'{"type":"display","data":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    ],
)
def test_decode_takes_only_frames(payload):
    assert decode_frame(payload) is None


def test_decode_takes_numbers_and_text_as_python_writes_them():
    frame = decode_frame(json.dumps({"type": "metric", "values": {"a": math.nan, "b": "\ud800"}}).encode())
    assert math.isnan(frame.values["a"])
    assert b'"a":null,"b":"?"' in encode_line(1, 0.0, 0.0, "metric", event_fields(frame))


def test_frames_of_newer_kits_become_no_event():
    assert fields_of(type="hologram", ack=True) is None


def test_fields_leave_out_what_is_not_said():
    fields = fields_of(type="display", data={"text/plain": "x"}, ack=True)
    line = json.loads(encode_line(1, 0.0, 0.0, "display", fields))
    assert set(line) == {"seq", "at", "t", "type", "data"}


def test_display_that_is_too_large_gives_its_biggest_items_away():
    data = {
        "image/png": "A" * MAX_LINE_BYTES,
        "text/html": "é" * 600_000,
        "text/plain": "small",
        "text/latex": "x" * 500_000,
    }
    fields, blobs = shrink_display(fields_of(type="display", data=data, metadata={"width": 3}))
    assert set(fields["data"]) == {"text/plain", "text/latex"}
    assert {mime: blobs[name] for mime, name in fields["blobs"].items()} == {
        "image/png": data["image/png"].encode(),
        "text/html": data["text/html"].encode(),
    }
    assert all(hashlib.sha256(content).hexdigest() == name for name, content in blobs.items())
    assert encode_line(1, 0.0, 0.0, "display", fields)


def test_frames_are_refused_that_readers_could_not_take_apart():
    def nested(depth):
        inner = "[" * depth + "]" * depth
        return decode_frame(b'{"type":"display","data":{"a":%s}}' % inner.encode())

    assert refusal(nested(MAX_DEPTH - 2)) is None
    assert "within each other" in refusal(nested(MAX_DEPTH + 1))
    assert "within each other" in refusal(nested(900))


def test_display_of_too_many_kinds_is_refused():
    frames = [
        decode_frame(json.dumps({"type": "display", "data": dict.fromkeys(map(str, range(count)))}).encode())
        for count in (MAX_KINDS, MAX_KINDS + 1)
    ]
    assert refusal(frames[0]) is None
    assert refusal(frames[1]) == f"a display with {MAX_KINDS + 1} kinds of data: more than {MAX_KINDS}"


def test_display_with_many_items_fits():
    data = {f"x/{number}": "y" * 20_000 for number in range(MAX_KINDS)}
    fields, blobs = shrink_display(fields_of(type="display", data=data))
    assert len(blobs) == 1  # all of them are alike
    assert len(fields["data"]) + len(fields["blobs"]) == MAX_KINDS
    assert encode_line(1, 0.0, 0.0, "display", fields)


def test_error_that_is_too_large_keeps_both_ends():
    lines = [f"\x1b[31m{number} " + "\x00" * 5000 for number in range(1000)]
    fields = shrink_error(fields_of(type="error", ename="E" * 500, evalue="\x01" * 10**6, traceback=lines))
    assert fields["traceback"][0].startswith("\x1b[31m0 ")
    assert fields["traceback"][-1].startswith("\x1b[31m999 ")
    assert encode_line(1, 0.0, 0.0, "error", fields)


def test_quota_admits_output_up_to_its_limit():
    quota = Quota(100)
    assert [quota.admit_output(60) for _ in range(3)] == [60, 40, 0]


def test_quota_drops_frames_once_their_kind_is_used_up_and_counts_them():
    quota = Quota(100)
    assert quota.admit_frame("metric", 2**26)
    assert not quota.admit_frame("metric", 1)
    assert not quota.admit_frame("metric", 1)
    assert quota.admit_frame("display", 2**26)
    assert quota.dropped_frames == {"metric": 2}


def test_tail_keeps_the_last_part():
    tail = Tail()
    assert tail.add(b"a" * TAIL_BYTES) == b""
    assert tail.add(b"bc") == b"aa"
    assert tail.add(b"d" * TAIL_BYTES) == b"a" * (TAIL_BYTES - 2) + b"bc"
    assert bytes(tail.kept) == b"d" * TAIL_BYTES
