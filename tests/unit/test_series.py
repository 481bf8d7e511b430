"""Metrics over the steps of a run, and their charts."""

from __future__ import annotations

import itertools
import math
import random
import re
from xml.etree import ElementTree

import pytest

from mlmagics.display.chart import charts, charts_html, metric, metrics_line, number
from mlmagics.display.series import MAX_POINTS, MAX_SERIES, Metrics, Point, Series, Trace, thinned


def series(*values: float) -> Series:
    made = Series("loss", "step")
    for step, value in enumerate(values):
        made.add(float(step), value)
    return made


def told(line: str) -> list[tuple[str, str, float, float]]:
    metrics = Metrics()
    metrics.read_line(line)
    return [(trace.name, trace.axis, trace.latest.step, trace.latest.value) for trace in metrics.traces()]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[12]\ttrain-rmse:0.45\tvalidation-rmse:0.5", [("train-rmse", "round", 12, 0.45), ("validation-rmse", "round", 12, 0.5)]),
        ("[0]\ttrain-rmse:0.4+0.01\ttest-rmse:1e-3+0.2", [("train-rmse", "round", 0, 0.4), ("test-rmse", "round", 0, 0.001)]),
        ("[10]\ttraining's l2: 0.2\tvalid_0's l2: 0.3", [("training's l2", "round", 10, 0.2), ("valid_0's l2", "round", 10, 0.3)]),
        ("[1]\tcv_agg's valid l2: 0.3 + 0.01", [("cv_agg's valid l2", "round", 1, 0.3)]),
        ("{'loss': 0.5, 'learning_rate': 5e-05, 'epoch': 1.5}", [("loss", "epoch", 1.5, 0.5), ("learning_rate", "epoch", 1.5, 5e-5)]),
        ("{'eval_loss': '0.5', 'eval_runtime': '3.2', 'epoch': '2.0'}", [("eval_loss", "epoch", 2, 0.5)]),
        ("[3]\tfoo bar", []), ("[3] a:1", []), ("[3]\ta:1\tb", []), ("{'a': 1}", []), ("", []), ("[" * 99, []),
    ],
)  # fmt: skip
def test_metrics_of_a_line(line: str, expected: list[tuple[str, str, float, float]]) -> None:
    assert told(line) == expected


@pytest.mark.parametrize("count", [1, 2, 3, 249, 995, 1000, 4321, 30_000])
def test_series_is_bounded_and_keeps_what_matters(count: int) -> None:
    dice = random.Random(count)
    values = [dice.gauss(0, 1) for _ in range(count)]
    trace = series(*values).trace()
    assert len(trace.points) <= MAX_POINTS
    assert trace.count == count
    kept = [(point.step, point.value) for point in trace.points]
    assert kept == sorted(set(kept))
    assert kept[0] == (0, values[0])
    assert kept[-1] == (count - 1, values[-1])
    assert trace.low is not None
    assert trace.high is not None
    assert trace.low.value == min(value for _, value in kept) == min(values)
    assert trace.high.value == max(value for _, value in kept) == max(values)
    few = [(point.step, point.value) for point in thinned(trace.points, 250)]
    assert len(few) <= 250
    assert set(few) <= set(kept)
    assert {kept[0], kept[-1], (trace.low.step, trace.low.value)} <= set(few)


def test_series_of_a_long_run_is_as_fine_at_its_begin_as_at_its_end() -> None:
    steps = [point.step for point in series(*(math.sin(n) for n in range(50_000))).trace().points]
    assert max(after - before for before, after in itertools.pairwise(steps)) < 50_000 / 100


def test_series_what_is_not_finite_is_a_gap_and_counted() -> None:
    trace = series(1.0, math.nan, math.inf, 2.0, 3.0).trace()
    assert trace.points == (Point(0, 1), Point(3, 2, gap=True), Point(4, 3))
    assert trace.not_finite == 2
    assert series(math.nan).trace().points == ()
    assert math.isnan(series(1.0, math.nan).trace().latest.value)


def test_metrics_take_numbers_only_and_count_steps_where_there_are_none() -> None:
    metrics = Metrics()
    for values in ({"a": 1, "b": True, "c": "x", "d": "nan"}, {"a": 2}, {"a": 10**400, "e": None}):
        metrics.add(values, None)
    by_name = {trace.name: trace for trace in metrics.traces()}
    assert by_name.keys() == {"a", "d"}
    assert [point.step for point in by_name["a"].points] == [0, 1]
    assert by_name["a"].not_finite == by_name["d"].not_finite == 1


def test_metrics_series_are_bounded_and_the_rest_is_counted() -> None:
    metrics = Metrics()
    metrics.add({f"m{n}": n for n in range(MAX_SERIES + 5)}, 1.0)
    assert len(metrics.traces()) == MAX_SERIES
    assert metrics.left_out == 5


@pytest.mark.parametrize(
    ("name", "expected"),
    [("train-rmse", "rmse"), ("validation_0-rmse", "rmse"), ("valid_0's l2", "l2"), ("val_loss", "loss"), ("loss", "loss"),
     ("test", "test"), ("top_5_acc", "top 5 acc"), ("ndcg@10", "ndcg@10"), ("train/loss", "loss")],
)  # fmt: skip
def test_chart_metric_of_a_name(name: str, expected: str) -> None:
    assert metric(name) == expected


def trace(name: str, *values: float, axis: str = "step") -> Trace:
    made = Series(name, axis)
    for step, value in enumerate(values):
        made.add(float(step), value)
    return made.trace()


def drawing(markup: str) -> ElementTree.Element:
    found = re.search(r"<svg role.*?</svg>", markup)
    assert found is not None
    return ElementTree.fromstring(found[0])


SVG = "{http://www.w3.org/2000/svg}"


def test_charts_are_by_metric_and_axis() -> None:
    found = charts(
        [
            trace("loss", 1),
            trace("val_loss", 2),
            trace("lr", 1),
            trace("eval_loss", 1, axis="epoch"),
            trace("x", math.nan),
        ]
    )
    assert [(chart.title, [one.name for one in chart.traces]) for chart in found] == [
        ("loss", ["loss", "val_loss"]),
        ("lr", ["lr"]),
        ("eval_loss", ["eval_loss"]),
    ]


def test_chart_says_in_words_what_it_draws() -> None:
    markup = charts_html(
        [trace("train-rmse", 3, 2, 1.5), trace("validation-rmse", 3.5, 2.5, 2.75)], points=True
    )
    svg = drawing(markup)
    assert svg.attrib["role"] == "img"
    assert (svg.findtext(f"{SVG}title") or "").strip() == "rmse by step."
    assert "validation-rmse: latest 2.75 at step 2, lowest 2.5 at step 1" in (
        svg.findtext(f"{SVG}desc") or ""
    )
    first, second = svg.iter(f"{SVG}path")
    assert "stroke-dasharray" not in first.attrib
    assert second.attrib["stroke-dasharray"]
    assert first.attrib["stroke"] != second.attrib["stroke"]
    assert "<td" in markup
    assert "2.75" in re.sub(r"<svg.*?</svg>", "", markup)
    assert "<details" in markup
    assert "<details" not in charts_html([trace("a", 1, 2)], points=False)


def test_chart_axes_span_the_values_and_turn_logarithmic_beyond_three_decades() -> None:
    markup = charts_html([trace("loss", 1000.0, 10.0, 0.1)], points=False)
    assert "step, log scale" in markup
    heights = [
        float(part.split()[1])
        for part in re.split("[ML]", next(drawing(markup).iter(f"{SVG}path")).attrib["d"])[1:]
    ]
    assert heights == pytest.approx([6, 55, 104], abs=0.2)
    assert "log scale" not in charts_html([trace("loss", 1000.0, 0.0)], points=False)
    assert "log scale" not in charts_html([trace("loss", 999.0, 1.0)], points=False)


def test_chart_line_begins_anew_after_a_gap_and_where_steps_go_back() -> None:
    made = Series("a", "step")
    for step, value in ((0, 1), (1, 2), (2, math.nan), (3, 1), (4, 2), (0, 3), (1, 4)):
        made.add(float(step), float(value))
    path = next(drawing(charts_html([made.trace()], points=False)).iter(f"{SVG}path")).attrib["d"]
    assert path.count("M") == 3


def test_chart_of_one_value_of_equal_ones_and_of_huge_ones() -> None:
    assert "<circle" in charts_html([trace("a", 1)], points=True)
    for values in ((2, 2, 2), (-1.7e308, 1.7e308), (5e-324, 1e308), (0, 0)):
        assert "nan" not in charts_html([trace("a", *values)], points=True)


def test_chart_names_are_text() -> None:
    markup = charts_html([trace("<script>x</script>&\"'", 1, 2)], points=True)
    assert "<script" not in markup
    assert "&lt;script&gt;" in markup


def test_chart_how_much_is_drawn_is_bounded() -> None:
    traces = [
        trace(f"{kind}_m{n}", *(math.sin(k * n) for k in range(3000)))
        for n in range(7)
        for kind in ("train", "val")
    ]
    traces += [trace(f"train_{n}_m0", 1, 2) for n in range(6)]
    markup = charts_html(traces, points=True)
    assert markup.count('role="img"') == 4
    assert len(markup) < 150_000
    assert all(one.name in markup for one in traces)
    assert charts_html([], points=True) == ""


def test_metrics_in_words_name_each_step_once() -> None:
    traces = [trace("loss", 1, 0.25), trace("val_loss", 2, 0.5), trace("rmse", 3, axis="round")]
    assert metrics_line(traces) == "loss 0.25, val_loss 0.5 (step 1); rmse 3 (round 0)"
    assert metrics_line(traces, limit=2) == "loss 0.25, val_loss 0.5 (step 1); 1 more"
    assert metrics_line([]) == ""
    assert [number(value) for value in (3.0, -49380.5, 0.123456, 1e-9, 12345678.0, math.nan)] == [
        "3",
        "-49380",
        "0.1235",
        "1e-09",
        "1.235e+07",
        "nan",
    ]


def test_lines_of_blanks_are_read_in_no_time() -> None:
    metrics = Metrics()
    for _ in range(500):
        metrics.read_line("[1]\t" + " " * 3900 + "}")
    assert not metrics
    metrics.read_line("[1]\ta:0.5\t \t")
    assert [trace.latest.value for trace in metrics.traces()] == [0.5]
