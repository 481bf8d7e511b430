"""A Jupyter server with the extension, below the address that JupyterHub gives it, and a cluster ``gpu-box``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_jupyter.jupyter_server import *  # noqa: F403 - its fixtures, for this folder only
from sidebar import Sidebar, attach

from mlmagics.cluster import session as sessions
from mlmagics.cluster.store import AttachmentStore
from running import AgentProcess

BASE = "/user/ada/"


@pytest.fixture
def jp_base_url() -> str:
    return BASE


@pytest.fixture
def jp_server_config() -> dict[str, Any]:
    return {"ServerApp": {"jpserver_extensions": {"mlmagics.lab": True}}}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AttachmentStore]:
    """The attachments of the person whose Jupyter server it is."""
    folder = tmp_path / "mlmagics"
    monkeypatch.setenv("MLMAGICS_CONFIG_DIR", str(folder))
    monkeypatch.setenv("MLMAGICS_LOCAL_HOME", str(tmp_path / "local"))
    monkeypatch.setattr(sessions, "_current", None)
    yield AttachmentStore(folder)
    sessions.current().close()


@pytest.fixture
def box(store: AttachmentStore, agent: AgentProcess) -> AgentProcess:
    """The agent behind ``gpu-box``."""
    attach(store, "gpu-box", agent)
    return agent


@pytest.fixture
def sidebar(box: AgentProcess, jp_fetch: Any, jp_ws_fetch: Any) -> Sidebar:
    return Sidebar(jp_fetch, jp_ws_fetch)
