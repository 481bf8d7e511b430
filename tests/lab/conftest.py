"""JupyterLab in a browser, and a cluster ``gpu-box`` that is attached there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_lab import JupyterLab, Notebook
from lab_parts import Orders, attached, page_of, serving

from running import AgentProcess


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    """The agent behind ``gpu-box``."""
    with serving(tmp_path_factory.mktemp("box") / "home") as agent:
        yield agent


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory, box: AgentProcess) -> Iterator[JupyterLab]:
    """JupyterLab of a person who has attached ``gpu-box``."""
    home = tmp_path_factory.mktemp("person")
    # the card as it is by itself: with the sidebar it is tested in tests/lab_sidebar
    page_config = home / "config" / "labconfig" / "page_config.json"
    page_config.parent.mkdir(parents=True)
    page_config.write_text('{"disabledExtensions": {"mlmagics-lab": true}}')
    server = JupyterLab(home, attached(home, box))
    yield server
    server.stop()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    with page_of(chromium, (1100, 1000)) as page:
        yield page


@pytest.fixture
def orders(tmp_path: Path) -> Orders:
    return Orders(tmp_path / "orders")


@pytest.fixture
def open_notebook(jupyter: JupyterLab, page: Any) -> Callable[..., Notebook]:
    """Opens notebooks; without a name a new one whose first cell loads the magics."""

    def open_one(*cells: str, name: str = "") -> Notebook:
        return jupyter.open(page, ["%load_ext mlmagics", *cells] if cells else [], name=name)

    return open_one
