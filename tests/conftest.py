"""Fixtures for all tests; the helpers behind them are in ``running.py``.

agent           a serving agent with its own home, stopped with all its jobs at the end
start_agent     makes more of them, with flags
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from running import AgentProcess


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = Path(item.path).parent.name
        if folder in {"unit", "browser"}:
            item.add_marker(getattr(pytest.mark, folder))


@pytest.fixture
def start_agent(tmp_path: Path) -> Iterator[Callable[..., AgentProcess]]:
    started: list[AgentProcess] = []

    def start(*flags: str, home: Path | None = None) -> AgentProcess:
        agent = AgentProcess(home or tmp_path / f"agent-{len(started)}", flags)
        started.append(agent)
        agent.start()
        return agent

    try:
        yield start
    finally:
        for agent in started:
            agent.destroy()


@pytest.fixture
def agent(start_agent: Callable[..., AgentProcess]) -> AgentProcess:
    return start_agent()
