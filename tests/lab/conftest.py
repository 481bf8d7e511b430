"""JupyterLab in a browser, and a cluster ``gpu-box`` that is attached there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jupyter_lab import JupyterLab, Notebook

from mlmagics.cluster.store import Attachment, AttachmentStore
from running import AgentProcess

_PATIENCE_MS = 60_000
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


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory, box: AgentProcess) -> Iterator[JupyterLab]:
    """JupyterLab of a person who has attached ``gpu-box``."""
    home = tmp_path_factory.mktemp("person")
    # the card as it is by itself: with the sidebar it is tested in tests/lab_sidebar
    page_config = home / "config" / "labconfig" / "page_config.json"
    page_config.parent.mkdir(parents=True)
    page_config.write_text('{"disabledExtensions": {"mlmagics-lab": true}}')
    AttachmentStore(home / "mlmagics").put(
        Attachment(name="gpu-box", url=box.url, credential="file", credential_from=str(box.home / "token"))
    )
    env = {"MLMAGICS_CONFIG_DIR": str(home / "mlmagics"), "MLMAGICS_LOCAL_HOME": str(home / "local")}
    server = JupyterLab(home, env)
    yield server
    server.stop()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A page in a profile of its own; the test fails when a script in it breaks."""
    troubles: list[str] = []
    context = chromium.new_context(viewport={"width": 1100, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    yield page
    context.close()
    assert [line for line in troubles if _ITS_OWN not in line] == []


@pytest.fixture
def open_notebook(jupyter: JupyterLab, page: Any) -> Callable[..., Notebook]:
    """Opens notebooks; without a name a new one whose first cell loads the magics."""

    def open_one(*cells: str, name: str = "") -> Notebook:
        return jupyter.open(page, ["%load_ext mlmagics", *cells] if cells else [], name=name)

    return open_one
