"""What ``make lab`` does: open the taxi notebook in JupyterLab, with the agent and project of ``make demo``."""

from __future__ import annotations

import os
import shutil
import sys

import demo

#: a copy, so that what the notebook shows is not saved into the one of the repository
COPY = demo.DEMO / "lab" / "taxi.ipynb"


def main() -> None:
    """Become JupyterLab."""
    demo.prepare()
    COPY.parent.mkdir(exist_ok=True)
    if not COPY.exists() or COPY.stat().st_mtime < demo.NOTEBOOK.stat().st_mtime:
        shutil.copyfile(demo.NOTEBOOK, COPY)
    # Containers often have no other user; JupyterLab listens on loopback and asks for its token.
    root = ["--allow-root"] if os.geteuid() == 0 else []
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *root, str(COPY)])


if __name__ == "__main__":
    main()
