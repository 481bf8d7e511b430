"""One agent for all tests of a process that only ask it something."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from people import People, settle

from running import AgentProcess


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    home = tmp_path_factory.mktemp("people") / "agent"
    home.mkdir()
    # a generated submit names packages, and nobody is to be asked for them
    (home / "agent.toml").write_text("[packages]\noffline = true\n")
    agent = AgentProcess(home, ["--shared-uid", "--gpus", "0"])
    agent.start()
    try:
        yield settle(agent)
    finally:
        agent.destroy()
