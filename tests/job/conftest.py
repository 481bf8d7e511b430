from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kit_harness import Record, build_kit, run_cell
from supervised import Nurseries, Supervised, begin, clean_processes, make_order, make_runner

from broken import Change, copy_package


@pytest.fixture
def runner_kit(tmp_path: Path) -> Path:
    """A stand-in for the kit that runs the source as it is."""
    return make_runner(tmp_path)


@pytest.fixture
def hasty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has supervisors wait a fifth of the time for what does not end; how long is settled in test_supervisor_stopping."""
    path = "cluster_agent/supervisor/stopping.py"
    times = [("\nTERM_S = 10.0", "\nTERM_S = 2.0"), ("LEFTOVER_TERM_S = 5.0", "LEFTOVER_TERM_S = 1.0")]
    changes = [Change(path, *pair) for pair in (*times, ("\nKILL_S = 10.0", "\nKILL_S = 2.0"))]
    monkeypatch.setattr(sys, "executable", copy_package(tmp_path / "hasty", changes))


@pytest.fixture(scope="session")
def nurseries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nurseries]:
    """Where supervisors come from that share a log."""
    made = Nurseries(tmp_path_factory.mktemp("nurseries") / "supervisors.log")
    yield made
    made.close()


@pytest.fixture
def supervise(tmp_path: Path, runner_kit: Path, nurseries: Nurseries) -> Iterator[Callable[..., Supervised]]:
    """Starts a job below a supervisor: its source, and what differs in its order.

    With ``alone`` the supervisor's own log is ``supervisors.log`` in ``tmp_path``.
    """
    started: list[Supervised] = []

    def start(
        source: str,
        *,
        kit: Path = runner_kit,
        prepare: Callable[[Any], None] | None = None,
        alone: bool = False,
        **changes: Any,
    ) -> Supervised:
        order = make_order(tmp_path, source, **changes)
        if prepare is not None:
            prepare(order)
        job = begin(order, kit, tmp_path / "supervisors.log" if alone else nurseries)
        started.append(job)
        return job

    with clean_processes(started):
        yield start


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kit, as an agent installs it."""
    return build_kit(tmp_path_factory.mktemp("kit"))


@pytest.fixture
def cell(kit: Path, tmp_path: Path) -> Callable[..., Record]:
    """Runs a cell in the kit, below a supervisor's stand-in; its folder is ``tmp_path``."""
    return lambda source, **options: run_cell(kit, tmp_path, source, **options)
