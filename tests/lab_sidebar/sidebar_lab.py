"""JupyterLab with the sidebar that was built here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from jupyter_lab import JupyterLab

BUILT = Path(__file__).parents[2] / "src" / "mlmagics" / "lab" / "labextension"


def lab_with_sidebar(
    home: Path, env: Mapping[str, str], *, server: bool = True, base_url: str = "/"
) -> JupyterLab:
    """JupyterLab with the sidebar; without ``server`` only its front end has it."""
    assert (BUILT / "package.json").exists(), (
        "build the sidebar: npm ci && npm run build:prod in labextension"
    )
    # before what is installed in this environment
    switch = home / "switch" / "jupyter_server_config.d" / "mlmagics_lab.json"
    switch.parent.mkdir(parents=True)
    switch.write_text(json.dumps({"ServerApp": {"jpserver_extensions": {"mlmagics.lab": server}}}))
    extensions = home / "share" / "labextensions"
    extensions.mkdir(parents=True)
    (extensions / "mlmagics-lab").symlink_to(BUILT)
    return JupyterLab(
        home,
        {
            **env,
            "JUPYTER_PATH": str(home / "share"),
            "JUPYTER_CONFIG_PATH": str(home / "switch"),
        },
        base_url=base_url,
    )
