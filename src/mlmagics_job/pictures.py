"""Figures of matplotlib as pictures; imports matplotlib only when there is a figure to draw."""

from __future__ import annotations

import io
import sys

from mlmagics_job import state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BACKEND = "module://mlmagics_job.figures"


def finish() -> None:
    """At the end of the cell: show what was left open, when this is the backend in use."""
    if state.current is None or state.current.in_child or "matplotlib.pyplot" not in sys.modules:
        return
    pyplot = sys.modules["matplotlib.pyplot"]
    if pyplot.get_fignums() and pyplot.get_backend().lower() == BACKEND:
        pyplot.show()


def bundle(figure: Any) -> dict[str, Any]:
    """The representations of ``figure``: a picture, unless it is empty, and a line of text."""
    data: dict[str, Any] = {"text/plain": repr(figure)}
    picture = png(figure)
    if picture is not None:
        data["image/png"] = picture
    return data


def png(figure: Any) -> bytes | None:
    """``figure`` as PNG without the empty margins; None when nothing is in it."""
    if not figure.axes and not figure.lines and not figure.images and not figure.texts:
        return None
    if not hasattr(figure.canvas, "print_png"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        FigureCanvasAgg(figure)
    file = io.BytesIO()
    figure.savefig(
        file,
        format="png",
        bbox_inches="tight",
        facecolor=figure.get_facecolor(),
        edgecolor=figure.get_edgecolor(),
        dpi=figure.dpi,
    )
    return file.getvalue()
