"""A Jupyter server with the extension, below the address that JupyterHub gives it, and a cluster ``gpu-box``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from git_panel import GitPanel
from pytest_jupyter.jupyter_server import *  # noqa: F403 - its fixtures, for this folder only
from sidebar import Sidebar, attach

from git_remote import GitServer, Terminal
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


@pytest.fixture
def git_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The own configuration of a person who uses git; nothing of who runs the tests."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "person"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Ada\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n"
        f"[http]\n\tsslCAInfo = {tmp_path / 'git' / 'cert.pem'}\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    monkeypatch.setenv("MLMAGICS_CONFIG_DIR", str(tmp_path / "mlmagics"))
    return home


@pytest.fixture
def panel(git_home: Path, store: AttachmentStore, jp_fetch: Any) -> GitPanel:
    """The git section; the repository is ``proj``."""
    return GitPanel(jp_fetch)


@pytest.fixture
def proj(git_home: Path, jp_root_dir: Path) -> Terminal:
    """A repository with one commit below the folder that is served."""
    folder = jp_root_dir / "proj"
    folder.mkdir()
    terminal = Terminal(folder)
    terminal.git("init", "-q")
    terminal.commit("first", a="one\n")
    return terminal


@pytest.fixture
def remote(tmp_path: Path, git_home: Path) -> Iterator[GitServer]:
    """A server over https with the empty repository ``proj``."""
    server = GitServer(tmp_path / "git")
    server.create()
    server.start()
    yield server
    server.stop()
