"""Matplotlib backend of a job: ``plt.show()`` and the end of the cell show the open figures as PNG."""

from __future__ import annotations

from matplotlib import pyplot
from matplotlib._pylab_helpers import Gcf
from matplotlib.backends.backend_agg import FigureCanvasAgg as FigureCanvas
from matplotlib.backends.backend_agg import new_figure_manager, new_figure_manager_given_figure

from mlmagics_job import display, pictures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "FigureCanvas",
    "draw_if_interactive",
    "new_figure_manager",
    "new_figure_manager_given_figure",
    "show",
]


def draw_if_interactive() -> None:
    """Draw nothing between: a figure is shown when it is complete."""


def show(*_: Any, **__: Any) -> None:
    """Show all open figures and close them."""
    try:
        for manager in Gcf.get_all_fig_managers():
            figure = manager.canvas.figure
            data, metadata = pictures.bundle(figure)
            display.publish(data, {**metadata, **pictures.background(figure)})
    finally:
        pyplot.close("all")
