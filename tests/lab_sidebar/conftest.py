"""JupyterLab with the sidebar in a browser, and a cluster ``gpu-box`` that is attached there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_lab import JupyterLab, Notebook
from lab_panel import Panel

from mlmagics.cluster.store import Attachment, AttachmentStore
from running import AgentProcess

BUILT = Path(__file__).parents[2] / "src" / "mlmagics" / "lab" / "labextension"
_PATIENCE_MS = 60_000
#: what a browser says by itself of an answer that tells a person no
_REFUSAL = "Failed to load resource: the server responded with a status of 4"
#: JupyterLab's own trouble when its theme is changed soon after another change
_ITS_OWN = "Failed to execute 'removeChild'"


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    """The agent behind ``gpu-box``."""
    agent = AgentProcess(tmp_path_factory.mktemp("box") / "home")
    try:
        agent.start()
        yield agent
    finally:
        agent.destroy()


def lab_with_sidebar(home: Path, box: AgentProcess, *, server: bool = True) -> JupyterLab:
    """JupyterLab of a person who has attached ``gpu-box``; without ``server`` only its front end has the sidebar."""
    assert (BUILT / "package.json").exists(), (
        "build the sidebar: npm ci && npm run build:prod in labextension"
    )
    AttachmentStore(home / "mlmagics").put(
        Attachment(name="gpu-box", url=box.url, credential="file", credential_from=str(box.home / "token"))
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
            "MLMAGICS_CONFIG_DIR": str(home / "mlmagics"),
            "MLMAGICS_LOCAL_HOME": str(home / "local"),
            "JUPYTER_PATH": str(home / "share"),
            "JUPYTER_CONFIG_PATH": str(home / "switch"),
        },
    )


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory, box: AgentProcess) -> Iterator[JupyterLab]:
    server = lab_with_sidebar(tmp_path_factory.mktemp("person"), box)
    yield server
    server.stop()


@pytest.fixture
def bare_jupyter(tmp_path: Path, box: AgentProcess) -> Iterator[JupyterLab]:
    """One whose server does not know of the sidebar."""
    server = lab_with_sidebar(tmp_path, box, server=False)
    yield server
    server.stop()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A page in a profile of its own; the test fails when a script in it breaks, or something warns."""
    troubles: list[str] = []
    context = chromium.new_context(viewport={"width": 1300, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.append(said.text) if said.type in ("warning", "error") else None)
    yield page
    context.close()
    assert [line for line in troubles if _ITS_OWN not in line and not line.startswith(_REFUSAL)] == []


@pytest.fixture
def open_notebook(jupyter: JupyterLab, page: Any) -> Callable[..., Notebook]:
    """Opens notebooks; without cells an empty one."""

    def open_one(*cells: str) -> Notebook:
        return jupyter.open(page, ["%load_ext mlmagics", *cells] if cells else [""])

    return open_one


@pytest.fixture
def panel(page: Any) -> Panel:
    return Panel(page)
