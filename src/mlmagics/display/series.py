"""Metrics over the steps of a run: from ``mlmagics.log`` and from the lines that libraries print. Pure.

Read from text, the same on the history page: evaluation lines of XGBoost (``[12]  train-rmse:0.45``) and LightGBM
(``[10]  valid_0's l2: 0.3``), and the dictionaries that the Trainer of Hugging Face prints.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlmagics.display.escapes import one_line

#: a series keeps at most so many points, a job so many series
MAX_POINTS = 1000
MAX_SERIES = 20
_MAX_NAME = 80
_MAX_LINE = 4000

_NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf)"
_ROUND = re.compile(r"\[(\d{1,15})\]\t+([^\t].*)")
# `train-rmse:0.45`, of cross-validation `train-rmse:0.45+0.01`, `valid_0's l2: 0.3`, `cv_agg's valid l2: 0.3 + 0.01`
_SCORE = re.compile(rf"([^\W\d][^\t:]{{0,{_MAX_NAME}}}?)\s*:\s*({_NUMBER})(?:\s*\+\s*{_NUMBER})?")
_LOGGED = re.compile(rf"'([^']{{1,{_MAX_NAME}}})': '?({_NUMBER})'?(?=[,}}])")
#: what a Trainer logs beside scores
_ASIDE = re.compile(r"epoch|total_flos|.*(?:_runtime|_per_second|num_tokens|num_input_tokens_seen)")


@dataclass(frozen=True)
class Point:
    """A value at a step; ``gap`` says that values before it were not finite, so that no line leads to it."""

    step: float
    value: float
    gap: bool = False


@dataclass(frozen=True)
class Trace:
    """A metric as it is drawn: at most about a thousand points that keep the first, last, lowest and highest.

    A value that is not finite has no point.
    """

    name: str
    axis: str
    points: tuple[Point, ...]
    #: how many values there were, and how many of them were not finite
    count: int
    not_finite: int
    #: the newest value, be it finite or not
    latest: Point
    low: Point | None
    high: Point | None


class Series:
    """One metric, kept in bounded space however long the run is.

    Values go into buckets of as many values as needed, and a bucket keeps its lowest and its highest.
    """

    def __init__(self, name: str, axis: str) -> None:
        self.name = name
        self.axis = axis
        self.count = self.not_finite = 0
        self._first: Point | None = None
        self._latest = Point(0.0, math.nan)
        self._low: Point | None = None
        self._high: Point | None = None
        self._kept: list[Point] = []
        self._bucket: list[Point] = []
        self._width = 1
        self._in_bucket = 0
        self._gap = False

    def add(self, step: float | None, value: float) -> None:
        """One more value; without a step it belongs one further than the last."""
        if step is None:
            step = self._latest.step + 1 if self.count else 0.0
        point = Point(step, value, self._gap)
        self.count += 1
        self._latest, self._gap = point, not math.isfinite(value)
        if self._gap:
            self.not_finite += 1
            return
        self._first = self._first or point
        self._low = point if self._low is None or value < self._low.value else self._low
        self._high = point if self._high is None or value > self._high.value else self._high
        self._bucket = _extremes([*self._bucket, point])
        self._in_bucket += 1
        if self._in_bucket >= self._width:
            self._kept += self._bucket
            self._bucket, self._in_bucket = [], 0
            if len(self._kept) > MAX_POINTS - 8:
                self._halve()

    def trace(self) -> Trace:
        """The series as it is now."""
        points = [*self._kept, *self._bucket]
        if self._first is not None and _place(points[0]) != _place(self._first):
            points.insert(0, self._first)
        if points and not self._gap and _place(points[-1]) != _place(self._latest):
            points.append(self._latest)
        return Trace(
            self.name, self.axis, tuple(points), self.count, self.not_finite,
            self._latest, self._low, self._high,
        )  # fmt: skip

    def _halve(self) -> None:
        self._width *= 2 if self._width > 1 else 4
        fours = [self._kept[at : at + 4] for at in range(0, len(self._kept), 4)]
        self._kept = [point for four in fours for point in _extremes(four)]


class Metrics:
    """All series of a job."""

    def __init__(self) -> None:
        self._series: dict[str, Series] = {}
        #: values of further names, of which no series is kept
        self.left_out = 0

    def __bool__(self) -> bool:
        return bool(self._series)

    def traces(self) -> list[Trace]:
        """All series as they are now, in the order in which they began."""
        return [series.trace() for series in self._series.values() if series.count]

    def add(self, values: Mapping[str, Any], step: float | None, axis: str = "step") -> None:
        """One more value of some metrics; what is no number is passed over."""
        for name, value in values.items():
            number = _number(value)
            if number is not None:
                self._add(name[:_MAX_NAME], number, step, axis)

    def read_line(self, line: str) -> None:
        """Take the metrics that a line of output tells, if it does."""
        for name, value, step, axis in _told(line[:_MAX_LINE]):
            self._add(name, value, step, axis)

    def _add(self, name: str, value: float, step: float | None, axis: str) -> None:
        series = self._series.get(name)
        if series is None:
            if len(self._series) >= MAX_SERIES:
                self.left_out += 1
                return
            series = self._series[name] = Series(one_line(name), axis)
        series.add(step, value)


def tells_metrics(text: str) -> bool:
    """Whether ``text`` may hold lines with metrics: a cheap look before the lines are cut."""
    return "]\t" in text or "'epoch':" in text


def thinned(points: Sequence[Point], most: int) -> Sequence[Point]:
    """At most ``most`` of ``points``: the first, the last, and the lowest and highest of each stretch."""
    if len(points) <= most:
        return points
    width = math.ceil(2 * len(points) / (most - 2))
    kept = [point for at in range(0, len(points), width) for point in _extremes([*points[at : at + width]])]
    first = [points[0]] if _place(points[0]) != _place(kept[0]) else []
    last = [points[-1]] if _place(points[-1]) != _place(kept[-1]) else []
    return [*first, *kept, *last]


def _place(point: Point) -> tuple[float, float]:
    return point.step, point.value


def _told(line: str) -> Iterator[tuple[str, float, float, str]]:
    evaluation = _ROUND.fullmatch(line.rstrip()) if line[:1] == "[" else None
    if evaluation:
        parts = [_SCORE.fullmatch(part.strip()) for part in evaluation[2].split("\t")]
        for part in parts if all(parts) else ():
            assert part is not None
            yield part[1], float(part[2]), float(evaluation[1]), "round"
    elif line.startswith("{'") and line.rstrip().endswith("}"):
        scores = {found[1]: float(found[2]) for found in _LOGGED.finditer(line)}
        if "epoch" in scores:
            for name, value in scores.items():
                if not _ASIDE.fullmatch(name):
                    yield name, value, scores["epoch"], "epoch"


def _extremes(points: list[Point]) -> list[Point]:
    """The lowest and the highest of ``points``, in their order."""
    if len(points) < 3:
        return points
    low = min(range(len(points)), key=lambda at: points[at].value)
    high = max(range(len(points)), key=lambda at: points[at].value)
    first, *second = [points[at] for at in sorted({low, high})]
    return [replace(first, gap=any(point.gap for point in points)), *second]


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    # JSON has no words for them
    return float(value) if value in ("nan", "inf", "-inf") else None
