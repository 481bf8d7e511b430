"""Values that a job has kept, read here."""

import hashlib
import itertools
import json

import pytest

from cluster_agent.protocol import Event, ResultEntry
from mlmagics.errors import BadValue, UserError
from mlmagics.job.points import metric_points
from mlmagics.job.results import decode, described, entry_of


def entry(data=b"", name="m", **fields):
    known = {"kind": "dict", "format": "json", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return ResultEntry(name=name, **{**known, **fields})


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(2**80), 0.1, 1e300, "Grüße\n\u2028", [], [1, [2.5, None]], {"a": {"b": [1]}, "": 0}],
)
def test_plain_values_come_back_as_they_were(value):
    data = json.dumps(value, ensure_ascii=False).encode()
    back = decode(entry(data), data, "gpu-box/42")
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{", "cannot be read as json"),
        (b"NaN", "NaN is not JSON"),
        (b"\xff", "cannot be read as json"),
        (b"[" * 200_000, "cannot be read as json"),
        (b'{"__reduce__": 1} x', "cannot be read as json"),
    ],
)
def test_what_is_no_json_is_refused(data, said):
    with pytest.raises(UserError, match=f"m of gpu-box/42 .*{said}|{said}"):
        decode(entry(data), data, "gpu-box/42")


def test_bytes_that_are_not_those_announced_are_refused():
    for announced in (entry(b"[1]"), entry(b"[2]", sha256=None, size=4)):
        with pytest.raises(UserError, match="other bytes than announced"):
            decode(announced, b"[2]", "gpu-box/42")


@pytest.mark.parametrize("kind", ["pickle", "arrow", ""])
def test_a_format_that_is_not_known_is_not_guessed(kind):
    with pytest.raises(UserError, match="does not know: upgrade it here"):
        decode(entry(b"x", format=kind), b"x", "gpu-box/42")


def test_an_entry_is_found_or_the_reason_told():
    entries = [entry(b"1"), ResultEntry(name="n", kind="object", reason="it is a socket.")]
    assert entry_of(entries, "m", "gpu-box/42").name == "m"
    with pytest.raises(UserError, match=r"^n was not kept by gpu-box/42: it is a socket$"):
        entry_of(entries, "n", "gpu-box/42")
    with pytest.raises(BadValue, match=r"gpu-box/42 kept no 'x'; it kept m$"):
        entry_of(entries, "x", "gpu-box/42")
    with pytest.raises(BadValue, match="it kept nothing"):
        entry_of([], "x", "gpu-box/42")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": 1}, "dict, 1 item"),
        (list(range(2000)), "list, 2,000 items"),
        ("abc", "str, 3 characters"),
        (0.5, "float"),
    ],
)
def test_a_value_is_described_in_a_few_words(value, said):
    assert described(value) == said


def test_metrics_are_dicts_and_evenly_fewer_when_there_are_very_many():
    events = [Event(type="metric", step=float(i), values={"rmse": i}) for i in range(1000)]
    events.insert(3, Event(type="output", text="x"))
    assert metric_points(events[:3]) == [{"step": float(i), "rmse": i} for i in range(3)]
    assert metric_points([Event(type="metric", values={"rmse": 1})]) == [{"rmse": 1}]
    steps = [point["step"] for point in metric_points(events, most=100)]
    assert 50 < len(steps) <= 100
    assert len({later - earlier for earlier, later in itertools.pairwise(steps)}) == 1
    assert steps[0] == 0
