"""Fixtures for all tests; the helpers behind them are in ``running.py``.

agent           a serving agent with its own home, stopped with all its jobs at the end
start_agent     makes more of them, with flags
chromium        a browser
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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

    def start(*flags: str, home: Path | None = None, **how: Any) -> AgentProcess:
        agent = AgentProcess(home or tmp_path / f"agent-{len(started)}", flags, **how)
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


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One for all tests of a process: a second Playwright beside the first would refuse to start."""
    playwright_api = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=flags)
        yield browser
        browser.close()
