"""Figures, each with what it was compared with, and how it stands to its goal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a figure should be."""

    text: str
    #: of the median of the ratio, or of the value where ``of_value``
    limit: float
    of_value: bool = False
    at_least: bool = False
    #: where it is not reached: what stands in the way
    obstacle: str = ""

    def reached(self, figure: Figure) -> bool:
        """Whether the figure's median is good enough."""
        found = statistics.median(figure.values if self.of_value else figure.ratios)
        return found >= self.limit if self.at_least else found <= self.limit


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured thing: its values, and in the same rounds those of what it is compared with."""

    #: the row of the table that it belongs to: P1, P1c, ...
    row: str
    name: str
    unit: str
    values: Sequence[float]
    bases: Sequence[float] = ()
    #: name of what the bases are of
    base: str = "python -c"
    goal: Goal | None = None
    #: the best of the other systems, as text
    peer: str = ""

    @property
    def ratios(self) -> list[float]:
        """Value over base, pair by pair."""
        return [value / base for value, base in zip(self.values, self.bases, strict=True)]

    @property
    def reached(self) -> bool | None:
        """Whether its goal is; None without one."""
        return None if self.goal is None else self.goal.reached(self)

    def line(self) -> str:
        """Its row of the main table."""
        ratio = spread(self.ratios) if self.bases else ""
        goal = "" if self.goal is None else self.goal.text + ("" if self.reached else " **not reached**")
        return f"| {self.row} | {self.name} | {spread(self.values)} {self.unit} | {ratio} | {goal} | {self.peer} |"

    def detail(self) -> str:
        """Its row of the table that tells what it was compared with."""
        base = f"{spread(self.bases)} {self.unit}" if self.bases else ""
        name = self.base if self.bases else ""
        return f"| {self.row} | {self.name} | {len(self.values)} | {spread(self.values)} {self.unit} | {name} | {base} |"


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """What could not be measured here."""

    row: str
    name: str
    reason: str

    def line(self) -> str:
        """Its row of the main table."""
        return f"| {self.row} | {self.name} | not measured: {self.reason} | | | |"


@dataclass(frozen=True, kw_only=True)
class Detail:
    """A table of its own, for what is not compared with something bare."""

    title: str
    text: str
    lines: Sequence[str]


Told = Figure | LeftOut | Detail


def spread(values: Sequence[float]) -> str:
    """Median, least and most; one value is told as it is."""
    median = number(statistics.median(values))
    return median if len(values) == 1 else f"{median} ({number(min(values))} to {number(max(values))})"


def number(value: float) -> str:
    """With three digits that count, and never as a power of ten."""
    if abs(value) < 0.0001:
        return "0"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
