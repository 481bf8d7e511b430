"""JupyterLab as a person has it: a server with a home of its own, and notebooks in a browser."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from running import until

PATIENCE_S = 60.0
TOKEN = "a-token-for-the-tests"
#: what would get into the way: a toast about news, cells that are not in the page while they are out of sight
_SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}


class JupyterLab:
    """A server of JupyterLab on a free port; ``home`` holds all that it knows."""

    def __init__(
        self, home: Path, env: Mapping[str, str], *, python: str = sys.executable, base_url: str = "/"
    ) -> None:
        self.notebooks = home / "notebooks"
        self.notebooks.mkdir(parents=True)
        for name, setting in _SETTINGS.items():
            path = home / "config" / "lab" / "user-settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(setting))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        #: what browsers are sent to
        self.address = f"http://127.0.0.1:{self.port}{base_url}"
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JUPYTER", "JPY_", "VSCODE_", "MLMAGICS_", "GIT_"))
        }
        folders = {"HOME": home, "JUPYTER_CONFIG_DIR": home / "config", "JUPYTER_DATA_DIR": home / "data",
                   "JUPYTER_RUNTIME_DIR": home / "run", "IPYTHONDIR": home / "ipython"}  # fmt: skip
        # playwright's own patience is measured in its own process; the server's is not
        with (home / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [python, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={self.port}",
                 "--ServerApp.ip=127.0.0.1", "--ServerApp.port_retries=0", f"--ServerApp.base_url={base_url}",
                 f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={self.notebooks}",
                 "--LabApp.news_url=None", "--LabApp.extension_manager=readonly",
                 "--LabApp.expose_app_in_browser=True"],
                env={**inherited, **{name: str(path) for name, path in folders.items()}, **env},
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        until(self._answers, within_s=PATIENCE_S)

    def _answers(self) -> bool:
        assert self._process.poll() is None, "JupyterLab did not start"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """End it with its kernels."""
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def open(self, page: Any, cells: Sequence[str] = (), *, name: str = "") -> Notebook:
        """A new notebook with ``cells``, or the one that is called ``name``, shown in ``page``, its kernel ready."""
        if not name:
            name = f"{uuid.uuid4().hex[:8]}.ipynb"
            write_notebook(self.notebooks / name, cells)
        notebook = Notebook(page, self.notebooks / name)
        self.lab(page, name)
        notebook.ready()
        return notebook

    def lab(self, page: Any, path: str) -> None:
        """JupyterLab with a file or folder open in it, shown in ``page``."""
        where = f"/tree/{path}" if path else ""
        page.goto(f"{self.address}lab{where}?token={TOKEN}&reset")
        page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=1000 * PATIENCE_S)


class Notebook:
    """One notebook in a browser."""

    def __init__(self, page: Any, path: Path) -> None:
        self.page = page
        self.path = path

    def ready(self) -> None:
        """Wait until the kernel takes cells: what is sent before that is lost without a word."""
        self.page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=1000 * PATIENCE_S)
        self.page.locator("#jp-main-statusbar", has_text=re.compile(r"\| Idle")).wait_for(
            timeout=1000 * PATIENCE_S
        )

    def command(self, command: str, **arguments: Any) -> None:
        """Run one of JupyterLab's commands, without waiting for its end."""
        self.page.evaluate(
            "([command, given]) => void jupyterapp.commands.execute(command, given)", [command, arguments]
        )

    def restart(self) -> None:
        """Restart the kernel, and wait until it takes cells."""
        self.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
        self.ready()

    def show_in(self, theme: str) -> None:
        """Change the theme of the page: ``Light``, ``Dark``, ``Dark High Contrast``."""
        self.command("apputils:change-theme", theme=f"JupyterLab {theme}")
        named = self.page.locator(f'body[data-jp-theme-name="JupyterLab {theme}"]')
        named.wait_for(state="attached")

    def cell(self, number: int) -> Any:
        """The cell with that number, from 0."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number)

    def outputs(self, number: int) -> Any:
        """What stands below a cell."""
        return self.cell(number).locator(".jp-OutputArea").first

    def card(self, number: int) -> Any:
        """The card below a cell."""
        return self.outputs(number).locator(".mlmagics-card")

    def run(self, number: int) -> None:
        """Run a cell, without waiting for its end."""
        self.cell(number).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")

    def prompt(self, number: int) -> str:
        """What stands before a cell: ``[*]:`` while it runs."""
        return str(self.cell(number).locator(".jp-InputPrompt").inner_text())

    def run_to_end(self, number: int) -> None:
        """Run a cell and wait until it has come back."""
        before = self.prompt(number)
        self.run(number)
        until(lambda: self.prompt(number) not in (before, "[*]:"), within_s=PATIENCE_S)

    def save(self) -> dict[str, Any]:
        """Save it; the notebook as it is in the file then."""
        written = self.path.stat().st_mtime_ns
        self.command("docmanager:save")
        return until(lambda: self._saved_after(written), within_s=PATIENCE_S)

    def _saved_after(self, written: int) -> dict[str, Any]:
        if self.path.stat().st_mtime_ns == written:
            return {}
        try:
            return dict(json.loads(self.path.read_text()))
        except ValueError:
            return {}  # half of it is there


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """A notebook that has not run yet."""
    path.write_text(
        json.dumps(
            {
                "nbformat": 4,
                "nbformat_minor": 5,
                "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
                "cells": [
                    {"cell_type": "code", "id": f"cell-{number}", "metadata": {}, "execution_count": None,
                     "source": source, "outputs": []}
                    for number, source in enumerate(cells)
                ],
            }
        )
    )  # fmt: skip
