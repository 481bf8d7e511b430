"""Values that a job has kept, read here."""

import hashlib
import itertools
import json
import math
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest

from cluster_agent.protocol import Event, ResultEntry, State
from mlmagics.display.telling import results_lines
from mlmagics.display.view import View
from mlmagics.errors import BadValue, UserError
from mlmagics.job.points import metric_points
from mlmagics.job.results import NotTrusted, decode, described, entry_of
from mlmagics_job.channel import encode
from mlmagics_job.forms import json_form
from mlmagics_job.packing import pieces
from mlmagics_job.pickles import packed


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


@pytest.mark.parametrize("kind", ["marshal", "dill", ""])
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


ASK = "name it in --fetch"
TAGGED = [
    (1, (2, [3]), {"a": (4,)}),
    {1: "a", (2, 3): None, "$": {"$": 1}},
    [float("inf"), -float("inf"), -0.0],
    {1, "a"},
    frozenset({(1, 2)}),
    [b"\0\xff", bytearray(b"x"), 1 + 2j, range(1, 9, 2)],
    [Decimal("1.10"), Fraction(1, 3), UUID(int=5)],
    [date(2024, 1, 2), time(3, 4, 5, 6), timedelta(-1, 2, 3), datetime(2024, 1, 2, 3, 4, 5, 6)],
    datetime(2024, 1, 2, tzinfo=timezone.utc),
    datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=5, minutes=30))),
]


@pytest.mark.parametrize("value", TAGGED, ids=range(len(TAGGED)))
def test_what_json_lacks_comes_back_as_it_was(value):
    form, made = json_form(value)
    data = encode({"v": made})[5:-1]
    assert form == "tagged"
    back = decode(entry(data, format="tagged"), data, "gpu-box/42")
    assert (type(back), repr(back)) == (type(value), repr(value))


def test_not_a_number_is_one():
    data = encode(json_form(float("nan"))[1])
    assert math.isnan(decode(entry(data, format="tagged"), data, "gpu-box/42"))


@pytest.mark.parametrize(
    "made",
    [
        {"$": "eval", "v": "1"},
        {"$": "tuple", "v": [1], "more": 1},
        {"$": ["tuple"], "v": [1]},
        {"$": "datetime", "v": "today"},
        {"$": "datetime", "v": ["2024-01-01", "../../etc/passwd", 0]},
        {"$": "range", "v": [0.5, 1, 1]},
        {"$": "set", "v": [[1]]},
        {"$": "bytes", "v": "?"},
        {"$": "float", "v": {"a": 1}},
        {"$": "fraction", "v": [1, 0]},
    ],
)
def test_a_tag_that_is_not_ours_or_has_no_value_is_refused(made):
    data = json.dumps(made).encode()
    with pytest.raises(UserError, match=r"m of gpu-box/42 cannot be read as tagged: "):
        decode(entry(data, format="tagged"), data, "gpu-box/42")


def test_a_pickle_is_read_by_those_who_trust_it_only():
    data = b"".join(bytes(piece) for piece in pieces(*packed({"a": 1})))
    with pytest.raises(NotTrusted, match="%fetch gpu-box/42 m --trust"):
        decode(entry(data, format="pickle"), data, "gpu-box/42")
    assert decode(entry(data, format="pickle"), data, "gpu-box/42", trust=True) == {"a": 1}
    with pytest.raises(UserError, match="cannot be read as pickle"):
        decode(entry(data[:-1], format="pickle"), data[:-1], "gpu-box/42", trust=True)


def test_the_kept_are_told_in_a_line_and_the_large_with_their_size():
    view = View(State.SUCCEEDED)
    sizes = [
        ("rmse", 4, None),
        ("model", 2_900_000, None),
        ("df", 1_200_000_000, f"large: {ASK}"),
        ("x", 0, "odd"),
    ]
    for seq, (name, size, reason) in enumerate(sizes, 1):
        view.feed(Event(type="result", seq=seq, name=name, size=size, reason=reason))
    assert results_lines(view, "gpu-box/42") == [
        "Kept: rmse, model (2.8 MiB): %fetch gpu-box/42 NAME",
        "Not kept: df (1.1 GiB), name it in --fetch",
        "Not kept: x: odd",
    ]
    assert results_lines(view, "gpu-box/42", ["rmse", "x"]) == [
        "Kept: model (2.8 MiB): %fetch gpu-box/42 model",
        "Not kept: df (1.1 GiB), name it in --fetch",
    ]
