"""Fixtures of the notebook tests: an attached cluster ``gpu-box``, and front ends before kernels of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from front_end import FrontEnd

from mlmagics.cluster.local import LocalAgent
from mlmagics.cluster.store import Attachment, AttachmentStore
from running import AgentProcess


@pytest.fixture
def settings(tmp_path: Path, agent: AgentProcess) -> Iterator[dict[str, str]]:
    """Variables of a kernel whose person has attached ``gpu-box``; an agent of their own is ended."""
    config, local = tmp_path / "config", tmp_path / "local"
    store = AttachmentStore(config)
    store.put(
        Attachment(
            name="gpu-box", url=agent.url, credential="file", credential_from=str(agent.home / "token")
        )
    )
    try:
        yield {
            "MLMAGICS_CONFIG_DIR": str(config),
            "MLMAGICS_LOCAL_HOME": str(local),
            "IPYTHONDIR": str(tmp_path / "ipython"),
        }
    finally:
        if local.exists():
            LocalAgent(local).stop()
            AgentProcess(local).destroy()


@pytest.fixture
def open_front_end(settings: dict[str, str]) -> Iterator[Callable[..., FrontEnd]]:
    """Makes front ends; by default one as JupyterLab, with the magics loaded."""
    opened: list[FrontEnd] = []

    def open_one(*, person: bool = True, load: bool = True, **env: str) -> FrontEnd:
        if person:
            env = {"JPY_SESSION_NAME": "taxi.ipynb", **env}
        front_end = FrontEnd({**settings, **env}, person=person)
        opened.append(front_end)
        if load:
            assert front_end.run("%load_ext mlmagics").status == "ok"
        return front_end

    try:
        yield open_one
    finally:
        for front_end in opened:
            front_end.close()


@pytest.fixture
def lab(open_front_end: Callable[..., FrontEnd]) -> FrontEnd:
    """A notebook in JupyterLab."""
    return open_front_end()
