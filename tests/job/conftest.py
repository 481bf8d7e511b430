from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kit_harness import Record, build_kit, run_cell
from supervised import Supervised, begin, clean_processes, make_order, make_runner


@pytest.fixture
def runner_kit(tmp_path: Path) -> Path:
    """A stand-in for the kit that runs the source as it is."""
    return make_runner(tmp_path)


@pytest.fixture
def supervise(tmp_path: Path, runner_kit: Path) -> Iterator[Callable[..., Supervised]]:
    """Starts a job below a supervisor: its source, and what differs in its order."""
    started: list[Supervised] = []

    def start(
        source: str,
        *,
        kit: Path = runner_kit,
        prepare: Callable[[Any], None] | None = None,
        **changes: Any,
    ) -> Supervised:
        order = make_order(tmp_path, source, **changes)
        if prepare is not None:
            prepare(order)
        job = begin(order, kit, tmp_path / "supervisors.log")
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
