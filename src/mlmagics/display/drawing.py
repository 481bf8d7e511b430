"""Draws a view into a cell, as much at once as front ends take."""

from __future__ import annotations

import time

from cluster_agent.units import format_size
from mlmagics.display.changes import Changes, Raised
from mlmagics.display.view import View
from mlmagics.display.writing import Canvas

#: So much goes out at once when it is there; a pause follows that makes up for it.
_MAX_CHANGES = 20
_MAX_DEBT_S = 2.0


class Drawing:
    """A view in a cell.

    Parameters
    ----------
    ref
        Names the job in lines about what is left out.
    raises
        Whether the cell will raise the job's own error at the end, so that it is not written as text as well.
    """

    def __init__(self, canvas: Canvas, view: View, ref: str, *, raises: bool) -> None:
        self._canvas = canvas
        self._view = view
        self._ref = ref
        self._raises = raises
        self._changes = Changes(ref, redraw=canvas.redraws)
        self._told_end = False

    def some(self) -> bool:
        """Write of what is new as much as may go out at once; whether that is all."""
        for count, change in enumerate(self._changes.since_last(self._view), 1):
            if not (self._raises and isinstance(change, Raised)):
                self._canvas.apply(change)
            if count == _MAX_CHANGES or self._canvas.wait_s > _MAX_DEBT_S:
                return False
        return True

    def all(self) -> None:
        """Write all that is new, however long it takes; of an ended job also what is not shown."""
        while not self.some():
            time.sleep(self._canvas.wait_s)
        if self._view.done and not self._told_end:
            self._told_end = True
            for line in left_out_lines(self._view, self._ref):
                self._canvas.line(line)


def left_out_lines(view: View, ref: str) -> list[str]:
    """What of an ended job's displays is not shown, what of its output is nowhere, and what may be missing."""
    lines = []
    if view.displays_left_out:
        count = view.displays_left_out
        shown = "1 display" if count == 1 else f"{count:,} displays"
        lines.append(f"... {shown} left out; all of them: %logs {ref} --open")
    if view.dropped_bytes:
        lines.append(f"... {format_size(view.dropped_bytes)} of output are in no log")
    return [*lines, *(f"... {hole}" for hole in view.holes)]
