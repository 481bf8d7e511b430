"""What JupyterLab's sidebar talks to: an extension of the Jupyter server, below ``<base URL>/mlmagics/``.

Clusters and jobs are those of this person's attachments, by the same functions as the magics. Tokens of agents stay
in the server.
"""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from mlmagics.lab.app import Sidebar

    return [{"module": "mlmagics.lab", "app": Sidebar}]
