"""Metrics as small line charts in HTML, each with a table. Pure.

Rules, the same on the history page:

- A chart holds the series of one metric: names are equal but for the words that say on which data it was measured
  (``train-rmse`` and ``validation-rmse``, ``loss`` and ``val_loss``). At most 4 charts are drawn, of 6 lines each;
  the rest is in the table of numbers below.
- The horizontal axis is the step that the job gave (an epoch, a round), else the number of the value. Where steps go
  back, or after values that are not finite, the line begins anew.
- The vertical axis goes from the lowest to the highest value. It is logarithmic, and says so, when all values are
  above zero and span more than three decades.
- Lines differ by dash pattern as well as by colour, and the table beside them says which is which. Colours are
  middle tones that can be read on light and on dark ground; everything else takes the colour of the text.
- The drawing has ``role="img"``, a title and a description; words stand beside it and not in it, since front ends
  that do not trust a notebook drop the drawing and keep its words.
- Of many points a line shows the lowest and the highest of each stretch, 250 in all, besides the first and last.
- Numbers have four significant digits.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mlmagics.display.series import Point, Trace, thinned

MAX_CHARTS = 4
MAX_LINES = 6
#: colour and dash pattern of each line of a chart
STROKES = (
    ("#2f6fd0", ""),
    ("#b8620a", "6 3"),
    ("#2e8b57", "2 2"),
    ("#a04bb5", "8 3 2 3"),
    ("#12868f", "12 3"),
    ("#c0392b", "4 2 1 2 1 2"),
)
_WIDTH, _HEIGHT, _EDGE = 300, 110, 6
_LABELS = "6em"
_DECADES = 1000.0
#: more points of a line cannot be told apart
_DRAWN = 250
_ROWS = 12

_WORDS = re.compile(r"[^0-9A-Za-z@]+")
_DATA_SETS = frozenset(
    [
        "train",
        "training",
        "trn",
        "valid",
        "validation",
        "val",
        "test",
        "testing",
        "eval",
        "evaluation",
        "dev",
        "holdout",
        "cv",
        "agg",
    ]
)

MUTED = "var(--jp-ui-font-color2,var(--vscode-descriptionForeground,#616161))"
_RULE = "var(--jp-border-color1,var(--vscode-panel-border,#8a8a8a))"
_COLUMNS = ("series", "latest", "lowest", "highest")
_CELL = "padding:0 12px 0 0;text-align:left;border:0;background:none;font-weight:normal;white-space:nowrap"


@dataclass(frozen=True)
class Chart:
    """The series of one metric."""

    title: str
    traces: tuple[Trace, ...]


def charts(traces: Sequence[Trace]) -> list[Chart]:
    """``traces`` by metric, in the order in which they began; a series without any finite value has no chart."""
    groups: dict[tuple[str, str], list[Trace]] = {}
    for trace in traces:
        if trace.points:
            groups.setdefault((metric(trace.name), trace.axis), []).append(trace)
    return [
        Chart(title if len(group) > 1 else group[0].name, tuple(group))
        for (title, _), group in groups.items()
    ]


def metric(name: str) -> str:
    """The metric in ``name``, without what says on which data it was measured: ``rmse`` of ``train-rmse``."""
    kept: list[str] = []
    after_set = False
    for word in _WORDS.split(name):
        # `valid_0's l2`: a number and a genitive belong to the data set before them
        after_set = word.lower() in _DATA_SETS or (after_set and (word.isdigit() or word in ("", "s")))
        if not after_set and word:
            kept.append(word)
    return " ".join(kept) or name


def charts_html(traces: Sequence[Trace], *, points: bool) -> str:
    """All of ``traces`` as charts with tables; empty when there is none.

    Parameters
    ----------
    points
        Whether to add a table of values over the run, folded up.
    """
    if not traces:
        return ""
    drawn = charts(traces)
    shown = [Chart(chart.title, chart.traces[:MAX_LINES]) for chart in drawn[:MAX_CHARTS]]
    covered = {trace.name for chart in shown for trace in chart.traces}
    figures = "".join(_figure(chart, points=points) for chart in shown)
    rest = [trace for trace in traces if trace.name not in covered]
    table = _table([(trace, "") for trace in rest]) if rest else ""
    return f'<div style="display:flex;flex-wrap:wrap;align-items:flex-start">{figures}</div>{table}'


def metrics_line(traces: Sequence[Trace], limit: int = 6) -> str:
    """The latest values in words: ``loss 0.41, val_loss 0.5 (step 99); rmse 0.7 (round 12)``; empty without any."""
    groups: dict[str, list[str]] = {}
    for trace in traces[:limit]:
        at = f"{trace.axis} {number(trace.latest.step)}"
        groups.setdefault(at, []).append(f"{trace.name} {number(trace.latest.value)}")
    more = [f"{len(traces) - limit} more"] if len(traces) > limit else []
    return "; ".join([*(f"{', '.join(values)} ({at})" for at, values in groups.items()), *more])


def number(value: float) -> str:
    """``value`` with four significant digits; below a million never without its whole part."""
    if abs(value) < 1e6 and (abs(value) >= 1e4 or value == int(value)):
        return str(round(value))
    return f"{value:.4g}"


def _figure(chart: Chart, *, points: bool) -> str:
    scale = _Scale.of(chart.traces)
    first, last = (number(step) for step in scale.steps)
    axis = chart.traces[0].axis + (", log scale" if scale.log else "")
    small = f"color:{MUTED};font-size:90%;display:flex;justify-content:space-between"
    # the spaces keep the numbers apart from words where the drawing has been dropped
    values = f"<div>{number(scale.high)}&nbsp;</div>" + (
        f"<div>{number(scale.low)}&nbsp;</div>" if scale.low < scale.high else ""
    )
    steps = f"<div>{first}</div><div>{axis}</div>" + (f"<div>{last}</div>" if first != last else "")
    rows = [(trace, _sample(index)) for index, trace in enumerate(chart.traces)]
    return (
        '<div style="margin:0 16px 8px 0;max-width:100%">'
        f'<div style="font-weight:bold">{html.escape(chart.title)}</div><div style="display:flex">'
        f'<div style="{small};flex-direction:column;text-align:right;white-space:nowrap;flex:none;width:{_LABELS}">{values}</div>'
        f"{_drawing(chart, scale, axis)}</div>"
        f'<div style="{small};width:{_WIDTH}px;max-width:100%;margin-left:{_LABELS}">{steps}</div>'
        f"{_table(rows)}{_points(chart) if points else ''}</div>"
    )


@dataclass(frozen=True)
class _Scale:
    """Where a point of a chart is drawn."""

    steps: tuple[float, float]
    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, traces: Sequence[Trace]) -> _Scale:
        points = [point for trace in traces for point in trace.points]
        low, high = min(point.value for point in points), max(point.value for point in points)
        steps = [point.step for point in points]
        return cls((min(steps), max(steps)), low, high, low > 0 and high / low > _DECADES)

    def x(self, step: float) -> float:
        return _EDGE + _share(step, *self.steps) * (_WIDTH - 2 * _EDGE)

    def y(self, value: float) -> float:
        if self.log:
            share = _share(math.log(value), math.log(self.low), math.log(self.high))
        else:
            share = _share(value, self.low, self.high)
        return _HEIGHT - _EDGE - share * (_HEIGHT - 2 * _EDGE)


def _share(value: float, low: float, high: float) -> float:
    # halves, so that the difference of huge numbers stays finite
    return (value / 2 - low / 2) / (high / 2 - low / 2) if high > low else 0.5


def _drawing(chart: Chart, scale: _Scale, axis: str) -> str:
    described = ". ".join(_described(trace) for trace in chart.traces)
    lines = "".join(_line(trace, scale, index) for index, trace in enumerate(chart.traces))
    ground = "".join(
        f'<line x1="0" x2="{_WIDTH}" y1="{y}" y2="{y}" stroke="{_RULE}" stroke-width="0.5"/>'
        for y in (_EDGE, _HEIGHT - _EDGE)
    )
    return (
        f'<svg role="img" width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'style="max-width:100%;height:auto" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{html.escape(chart.title)} by {axis}. </title><desc>{html.escape(described)}.</desc>"
        f'{ground}<g fill="none" stroke-width="1.6" stroke-linejoin="round">{lines}</g></svg>'
    )


def _line(trace: Trace, scale: _Scale, index: int) -> str:
    colour, dash = STROKES[index]
    path, lonely, before = [], [], None
    points = thinned(trace.points, _DRAWN)
    for point, after in zip(points, [*points[1:], None], strict=True):
        at = f"{scale.x(point.step):.1f} {scale.y(point.value):.1f}"
        starts = _starts(point, before)
        path.append(("M" if starts else "L") + at)
        if starts and (after is None or _starts(after, point)):
            x, y = at.split()
            lonely.append(f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}" stroke="none"/>')
        before = point
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path stroke="{colour}"{dashed} d="{"".join(path)}"/>{"".join(lonely)}'


def _starts(point: Point, before: Point | None) -> bool:
    return before is None or point.gap or point.step < before.step


def _sample(index: int) -> str:
    colour, dash = STROKES[index]
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        '<svg aria-hidden="true" width="28" height="8" viewBox="0 0 28 8" xmlns="http://www.w3.org/2000/svg">'
        f'<path d="M0 4H28" stroke="{colour}" stroke-width="2"{dashed}/></svg>'
    )


def _described(trace: Trace) -> str:
    parts = [f"latest {_at(trace.latest, trace.axis)}"]
    if trace.low is not None and trace.high is not None:
        parts += [f"lowest {_at(trace.low, trace.axis)}", f"highest {_at(trace.high, trace.axis)}"]
    return f"{trace.name}: {', '.join(parts)}"


def _at(point: Point | None, axis: str) -> str:
    return f"{number(point.value)} at {axis} {number(point.step)}" if point is not None else "none"


def _table(rows: Sequence[tuple[Trace, str]]) -> str:
    head = "".join(f'<th scope="col" style="{_CELL};color:{MUTED}">{word}</th>' for word in _COLUMNS)
    body = "".join(
        f'<tr style="background:none"><th scope="row" style="{_CELL}">{sample} {html.escape(trace.name)}</th>'
        + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in _cells(trace))
        + "</tr>"
        for trace, sample in rows
    )
    return (
        '<table style="margin:2px 0;border-collapse:collapse;font-size:90%">'
        f'<thead><tr style="background:none">{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def _cells(trace: Trace) -> list[str]:
    latest = number(trace.latest.value)
    if trace.not_finite:
        latest += f" ({trace.not_finite:,} not finite)"
    return [
        latest,
        *(
            f"{number(point.value)} at {number(point.step)}" if point else ""
            for point in (trace.low, trace.high)
        ),
    ]


def _points(chart: Chart) -> str:
    """The values of a chart's series over the run, at most :data:`_ROWS` rows, folded up."""
    steps = sorted({point.step for trace in chart.traces for point in trace.points})
    every = [steps[round(at * (len(steps) - 1) / (_ROWS - 1))] for at in range(_ROWS)]
    chosen = steps if len(steps) <= _ROWS else list(dict.fromkeys(every))
    if len(chosen) < 2:
        return ""
    values = [{point.step: point.value for point in trace.points} for trace in chart.traces]
    names = [chart.traces[0].axis, *(html.escape(trace.name) for trace in chart.traces)]
    head = "".join(f'<th scope="col" style="{_CELL};color:{MUTED}">{name}</th>' for name in names)
    body = "".join(
        f'<tr style="background:none"><th scope="row" style="{_CELL}">{number(step)}</th>'
        + "".join(f'<td style="{_CELL}">{number(at[step]) if step in at else ""}</td>' for at in values)
        + "</tr>"
        for step in chosen
    )
    return (
        '<details style="font-size:90%"><summary>Values</summary><table style="border-collapse:collapse">'
        f'<thead><tr style="background:none">{head}</tr></thead><tbody>{body}</tbody></table></details>'
    )
