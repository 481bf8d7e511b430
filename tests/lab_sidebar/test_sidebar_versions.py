"""The sidebar from the wheel in older versions of JupyterLab; all other tests have the one that is installed here."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_lab import JupyterLab
from lab_git import GitSection, as_bob, surroundings
from lab_panel import Panel
from lab_parts import BAR, METRICS, PATIENCE_MS, PLOT, Orders, attached, job_of

from git_remote import Terminal
from running import AgentProcess

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

expect = pytest.importorskip("playwright.sync_api").expect
expect.set_options(timeout=PATIENCE_MS)


def pip(python: str | Path, *words: str | Path) -> None:
    subprocess.run([python, "-m", "pip", "--disable-pip-version-check", "-q", *words], check=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip(sys.executable, "wheel", "--no-deps", "-w", folder, ROOT)
    return next(folder.glob("mlmagics-*.whl"))


@pytest.fixture(params=["4.2", "4.5"])
def old_jupyter(
    request: pytest.FixtureRequest, tmp_path: Path, wheel: Path, box: AgentProcess
) -> Iterator[JupyterLab]:
    """As somebody has it whose JupyterLab has to stay what it is: without the extra, which asks for a newer one."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    needs = ["gitpython>=3.1.60", "jupyter-server>=2.20", "ipykernel", "matplotlib"]
    pip(python, "install", wheel, f"jupyterlab=={request.param}.*", *needs)
    home = tmp_path / "person"
    server = JupyterLab(home, {**surroundings(home), **attached(home, box)}, python=str(python))
    yield server
    server.stop()


def test_sidebar_works_in_older_jupyterlabs(
    old_jupyter: JupyterLab, page: Any, panel: Panel, section: GitSection, orders: Orders
) -> None:
    repository = Terminal(old_jupyter.notebooks, as_bob(old_jupyter.notebooks.parent))
    repository.git("init", "-q", "-b", "main")
    repository.git("config", "user.name", "Ada")
    repository.git("config", "user.email", "ada@example.org")
    repository.write("model.py", "depth = 6\n")
    repository.commit("First")
    repository.write("model.py", "depth = 8\n")
    cell = orders.cell("%%gpu-box --name train --no-wait")
    notebook = old_jupyter.open(page, ["%load_ext mlmagics", cell])
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    ref = job_of(notebook, 1)
    expect(page.locator(".mlmagics-status", has_text="running")).to_be_visible()
    expect(page.locator(".mlmagics-status", has_text="main")).to_be_visible()
    panel.open()
    expect(panel.cluster("gpu-box")).to_contain_text("Ready")
    expect(panel.job(ref)).to_contain_text(re.compile(f"Running\\s*train\\s*{ref}"))
    orders(BAR.format(40), METRICS, PLOT, "print('begun')")
    log = panel.log(ref)
    expect(log).to_contain_text("begun")
    expect(log.get_by_role("img", name="loss by step")).to_be_visible()
    expect(log.locator(".display > img")).to_be_visible()
    section.row("unstaged", "model.py").get_by_role("button", name="model.py: changed").click()
    expect(page.get_by_role("region", name="What differs in model.py")).to_contain_text("depth = 8")
    section.press("Stage model.py")
    expect(section.row("staged", "model.py")).to_be_visible()
    section.message.fill("Deeper")
    section.message.press("Control+Enter")
    expect(section.row("staged", "model.py")).to_have_count(0)
    assert repository.git("log", "-1", "--format=%s") == "Deeper"
    # revived by itself
    page.get_by_role("tab", name=notebook.path.name).click()
    notebook.save()
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.reload()
    card = page.locator(".mlmagics-live")
    expect(card).to_contain_text(re.compile(r"Running\s*train"))
    orders("raise SystemExit")
    expect(card).to_contain_text(re.compile(r"Finished\s*train"))
    expect(page.get_by_role("alert").filter(has_text=f"Job {ref} train: Finished")).to_be_visible()
