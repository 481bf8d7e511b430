"""The numbers that a job has written down with ``mlmagics.log``, from its events. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cluster_agent.protocol import Event

#: So many are kept; of more only every second, fourth, ... one.
MAX_POINTS = 10_000


def metric_points(events: Iterable[Event], most: int = MAX_POINTS) -> list[dict[str, Any]]:
    """A dict for each ``metric`` event, with its ``step`` where it has one; at most ``most``, evenly spread."""
    points: list[dict[str, Any]] = []
    every, count = 1, 0
    for event in events:
        if event.type != "metric":
            continue
        if count % every == 0:
            points.append({**({} if event.step is None else {"step": event.step}), **(event.values or {})})
        count += 1
        if len(points) > most:
            points, every = points[::2], 2 * every
    return points
