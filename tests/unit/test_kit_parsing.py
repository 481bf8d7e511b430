"""The kit's decisions about a cell's text, and its own JSON."""

from __future__ import annotations

import ast
import json
import math
from typing import Any

import pytest

from mlmagics_job.cell import is_muted, looks_like_ipython
from mlmagics_job.channel import decode, encode
from mlmagics_job.display import is_plain
from mlmagics_job.errors import bounded


@pytest.mark.parametrize(
    ("source", "muted"),
    [
        ("x;", True),
        ("x", False),
        ("x ; # why", True),
        ("(x);", True),
        ("(\n x  # why\n);", True),
        ("(\n x\n)", False),
        ("'a;'", False),
        ("x  # ;", False),
        ("é = 1; é;", True),
        ("f('é');\n\n# end", True),
    ],
)
def test_a_semicolon_behind_the_last_expression_mutes(source: str, muted: bool) -> None:
    last = ast.parse(source).body[-1]
    assert is_muted(source, last) is muted


@pytest.mark.parametrize(
    "source",
    [
        "%%time\nx = 1",
        "x = 1\n!ls",
        "x = !ls",
        "y = %time 1",
        "len?",
        "?len",
        "pip install x",
        "for i in x:\n    !echo",
    ],
)
def test_ipython_syntax_is_known(source: str) -> None:
    assert looks_like_ipython(source)


@pytest.mark.parametrize(
    "source", ["x = (\n1", "def f(:\n    pass", "return 1\nx = 5", "x = ", "return 5", "def f(:", "print('a'"]
)
def test_broken_python_is_not_taken_for_ipython(source: str) -> None:
    assert not looks_like_ipython(source)


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"a": None, "b": True, "c": [1, -2, "x"], "d": {"e": 'quo"te\\ \n\x00\x1b é 🙂'}},
        {"float": 0.5, "tuple": [1, 2], "nested": [[{"deep": []}]]},
        {"big": 10**30},
    ],
)
def test_frames_are_plain_json(frame: dict[str, Any]) -> None:
    assert json.loads(encode(frame)) == frame
    assert decode(encode(frame)) == frame


def test_what_json_does_not_know_is_made_fit() -> None:
    class Number:
        def item(self) -> float:
            return 2.5

    given = {
        "bytes": b"\x89PNG",
        "nan": math.nan,
        "number": Number(),
        1: {"inner": (math.inf, {3})},
        "s": "\ud800",
    }
    made = json.loads(encode(given))  # type: ignore[arg-type]
    assert made == {"bytes": "iVBORw==", "nan": None, "number": 2.5, "1": {"inner": [None, [3]]}, "s": "?"}


def test_an_order_may_be_escaped_or_not() -> None:
    order = {"version": 1, "title": "gpu-box/42", "source": 'print("é 🙂 \\n")\n', "none": None, "x": 1.5}
    assert decode(json.dumps(order).encode()) == order
    assert decode(json.dumps(order, ensure_ascii=False, indent=1).encode() + b"\n") == order


@pytest.mark.parametrize("data", [b"[1]", b'{"a":1} x', b"7"])
def test_an_order_that_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(EOFError):
        decode(data)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (1, True),
        (None, True),
        ("x" * 200, True),
        ([1, "a", (2.0, None)], True),
        ({"a": {"b": []}}, True),
        (list(range(100)), False),
        ({1, 2}, False),
        ([object()], False),
        (int, False),
        (type("Sub", (int,), {})(1), False),
        ([[[[[[1]]]]]], False),
    ],
)
def test_plain_values_need_no_formatter(value: object, plain: bool) -> None:
    assert is_plain(value) is plain


def test_long_tracebacks_keep_both_ends_and_say_what_is_gone() -> None:
    lines = [f"line {i}" for i in range(10_000)]
    kept = bounded(lines, 2000)
    assert sum(map(len, kept)) < 2100
    assert (kept[0], kept[-1]) == ("line 0", "line 9999")
    assert any("more lines, cut here" in line for line in kept)
    assert bounded(["short"], 100) == ["short"]
    (cut,) = bounded(["x" * 1000], 100)
    assert "976 more characters, cut here" in cut
