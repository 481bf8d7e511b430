"""What would be sent with a cell, as a table."""

from __future__ import annotations

from cluster_agent.units import format_size
from mlmagics.display.tables import Table
from mlmagics.job.submitting import Prepared
from mlmagics.sending.parcel import told


def plan_table(prepared: Prepared) -> Table:
    """Everything that travels: its name, how, where it comes from, its size."""
    request = prepared.request
    rows = [["the cell", "source", "", format_size(len(request.source.encode()))]]
    rows += [
        [name, "constant", text[:60], format_size(len(text.encode()))]
        for name, text in request.params.items()
    ]
    rows += [[name, how, origin, format_size(size)] for name, how, origin, size in prepared.parcel.rows()]
    return Table(["name", "travels as", "from", "size"], rows)


def plan_line(prepared: Prepared) -> str:
    """The line below the table."""
    return f"Nothing was sent. To {prepared.cluster} would go: the cell, {told(prepared.parcel)}"
