"""Notebooks that nobody watches: a training cell waits by itself, and its failure is the run's failure."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from front_end import FrontEnd
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

SLOW = "import time\nfor n in range(6):\n    print('step', n)\n    time.sleep(0.5)\n"


def notebook(*cells: str) -> NotebookNode:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return made


def text_of(cell: NotebookNode) -> str:
    outputs = cell.get("outputs", [])
    return "".join(output.get("text", "") for output in outputs if output.output_type == "stream")


@pytest.fixture
def kernel_environment(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("VSCODE_", "MLMAGICS_"))]:
        monkeypatch.delenv(name)
    # as it is for a run that was started from a notebook
    monkeypatch.setenv("JPY_SESSION_NAME", "outer.ipynb")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("kernel_environment")
def test_nbclient_waits_for_a_long_cell_and_keeps_its_output() -> None:
    run = notebook("%load_ext mlmagics", f"%%gpu-box\n{SLOW}'done'", "print('after')")
    NotebookClient(run, timeout=60).execute()
    cell = run.cells[1]
    assert text_of(cell).splitlines()[3:] == [f"step {n}" for n in range(6)]
    assert cell.outputs[-1].data["text/plain"] == "'done'"
    assert all("application/vnd.mlmagics.job+json" not in output.get("data", {}) for output in cell.outputs)


@pytest.mark.usefixtures("kernel_environment")
def test_a_waiting_cell_shows_its_metrics_at_its_end() -> None:
    log = "import mlmagics\nfor n in range(3): mlmagics.log(step=n, loss=1 / (n + 1))\nprint('done')"
    run = notebook("%load_ext mlmagics", f"%%gpu-box\n{log}", f"%%gpu-box\n{log}\n1 / 0")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        NotebookClient(run, timeout=60).execute()
    for cell in run.cells[1:]:
        (chart,) = [output.data for output in cell.outputs if output.output_type == "display_data"]
        assert chart["text/plain"] == "loss 0.3333 (step 2)"
        assert "<title>loss by step" in chart["text/html"]


@pytest.mark.usefixtures("kernel_environment")
def test_nbclient_fails_with_a_failed_job() -> None:
    run = notebook("%load_ext mlmagics", f"%%gpu-box\n{SLOW}1 / 0", "print('after')")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        NotebookClient(run, timeout=60).execute()
    assert run.cells[2].outputs == []


@pytest.mark.usefixtures("kernel_environment")
def test_nbclient_stores_a_progress_bar_once() -> None:
    source = "import time\nfor n in range(30):\n    print(f'\\r{n}', end='')\n    time.sleep(0.02)\nprint()\nprint('end')"
    run = notebook("%load_ext mlmagics", f"%%gpu-box\n{source}")
    NotebookClient(run, timeout=60).execute()
    assert text_of(run.cells[1]).splitlines()[3:] == ["29", "end"]


def test_papermill_fails_with_a_failed_job_and_keeps_its_output(
    settings: dict[str, str], tmp_path: Path
) -> None:
    path, executed = tmp_path / "in.ipynb", tmp_path / "out.ipynb"
    nbformat.write(notebook("%load_ext mlmagics", "%%gpu-box\nprint('kept')\nraise SystemExit(4)"), path)
    done = subprocess.run(
        [sys.executable, "-m", "papermill", "--no-progress-bar", str(path), str(executed)],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert "gpu-box/1 failed: exit code 4" in done.stderr
    cells = nbformat.read(executed, as_version=4).cells
    assert any("kept" in text_of(cell) for cell in cells)


def test_variable_decides_explicitly(open_front_end: Callable[..., FrontEnd], tmp_path: Path) -> None:
    hold = (
        f"import pathlib, time\nwhile not pathlib.Path({str(tmp_path / 'go')!r}).exists(): time.sleep(0.02)"
    )
    headless = open_front_end(person=False, MLMAGICS_WAIT="0")
    cell = headless.run(f"%%gpu-box\n{hold}")
    assert "gpu-box/1 goes on. To see it: %logs gpu-box/1" in cell.text
    assert not cell.displays
    (tmp_path / "go").touch()
    watched = open_front_end(MLMAGICS_WAIT="1")
    cell = watched.run(f"%%gpu-box\n{SLOW}")
    assert "step 5" in cell.streams
    assert not cell.displays
