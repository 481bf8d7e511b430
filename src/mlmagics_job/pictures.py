"""Figures of matplotlib as pictures; imports matplotlib only when there is a figure to draw."""

from __future__ import annotations

import io
import sys

from mlmagics_job import state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence, Tuple

    Bundle = Tuple[dict[str, Any], dict[str, Any]]

BACKEND = "module://mlmagics_job.figures"


def finish() -> None:
    """At the end of the cell: show what was left open, when this is the backend in use."""
    if state.current is None or state.current.in_child or "matplotlib.pyplot" not in sys.modules:
        return
    pyplot = sys.modules["matplotlib.pyplot"]
    if pyplot.get_fignums() and pyplot.get_backend().lower() == BACKEND:
        pyplot.show()


def bundle(figure: Any) -> Bundle:
    """The representations of ``figure`` and their metadata: a picture, unless it is empty, and a line of text."""
    job = state.current
    if job is not None and job.has_shell:
        # In the formats that the cell has chosen, by %config InlineBackend or set_matplotlib_formats().
        shown: Bundle = job.shell().display_formatter.format(figure)
        return shown
    data: dict[str, Any] = {"text/plain": repr(figure)}
    picture = png(figure)
    if picture is not None:
        data["image/png"] = picture
    return data, {}


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


def background(figure: Any) -> dict[str, Any]:
    """Metadata for a transparent figure: which background its labels need to be read."""
    from matplotlib.colors import to_rgba

    if to_rgba(figure.get_facecolor())[3] >= 0.5:
        return {}
    labels = [
        label for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in axis.get_ticklabels()
    ]
    light = {_is_light(to_rgba(label.get_color())) for label in labels}
    if len(light) != 1:
        return {}
    return {"needs_background": "dark" if light.pop() else "light"}


def _is_light(colour: Sequence[float]) -> bool:
    red, green, blue = colour[:3]
    return 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
