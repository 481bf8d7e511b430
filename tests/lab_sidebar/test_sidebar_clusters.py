"""Clusters in the sidebar: listed as by ``%attachments``, used in a notebook, added, removed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jupyter_lab import JupyterLab, Notebook
from lab_panel import Panel
from lab_parts import PATIENCE_MS

from mlmagics.cluster.store import AttachmentStore
from running import AgentProcess, agent_command, until

pytestmark = pytest.mark.browser

expect = pytest.importorskip("playwright.sync_api").expect

TREE = Path(__file__).parent / "panel.yaml"


def test_sidebar_puts_the_magic_of_a_cluster_into_the_active_notebook(
    open_notebook: Callable[..., Notebook], page: Any, panel: Panel
) -> None:
    notebook = open_notebook()
    panel.open()
    row = panel.cluster("gpu-box")
    expect(row).to_contain_text("Ready", timeout=PATIENCE_MS)
    row.click()
    expect(notebook.cell(0)).to_contain_text("%%gpu-box", timeout=PATIENCE_MS)
    expect(page.locator(".jp-Notebook.jp-mod-editMode")).to_be_visible()
    page.keyboard.type("print(6 * 7)")
    # the magics are there although no cell has loaded them
    page.keyboard.press("Control+Enter")
    expect(notebook.outputs(0)).to_contain_text("42", timeout=PATIENCE_MS)
    row.click()
    expect(notebook.cell(1)).to_contain_text("%%gpu-box", timeout=PATIENCE_MS)
    expect(notebook.cell(0)).to_contain_text("print(6 * 7)")


def test_sidebar_adds_a_cluster_and_forgets_it(
    open_lab: Callable[[], None], page: Any, panel: Panel, jupyter: JupyterLab, box: AgentProcess
) -> None:
    open_lab()
    panel.open()
    panel.node.get_by_role("button", name="Add a cluster by an invite or its address").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Invite or address").fill(f"%attachments add second {box.url}")
    expect(dialog.get_by_label("Name")).to_have_value("second")
    token = dialog.get_by_label("Token")
    assert token.get_attribute("type") == "password"
    token.fill("wrong")
    dialog.get_by_role("button", name="Add this cluster").click()
    expect(dialog.get_by_role("alert")).to_contain_text(
        re.compile("token", re.IGNORECASE), timeout=PATIENCE_MS
    )
    dialog.get_by_label("Token").fill(box.token)
    dialog.get_by_role("button", name="Add this cluster").click()
    row = panel.cluster("second")
    expect(row).to_contain_text("Ready", timeout=PATIENCE_MS)
    panel.choose(row, "Remove the cluster")
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0, timeout=PATIENCE_MS)
    store = AttachmentStore(jupyter.notebooks.parent / "mlmagics")
    until(lambda: list(store.all()) == ["gpu-box"])


def test_sidebar_adds_a_cluster_by_the_line_of_an_invite(
    page: Any, panel: Panel, jupyter: JupyterLab, start_agent: Callable[..., AgentProcess], tmp_path: Path
) -> None:
    home = tmp_path / "lab-box"
    agent_command(home, "init")
    agent = start_agent("--host", "127.0.0.1", "--shared-uid", home=home)
    (line,) = agent_command(agent.home, "invite", "ada")
    name = line.split()[2]
    jupyter.lab(page, "")
    panel.open()
    panel.node.get_by_role("button", name="Add a cluster by an invite or its address").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Invite or address").fill(line)
    expect(dialog.get_by_label("Name")).to_have_value(name)
    page.keyboard.press("Enter")
    expect(panel.cluster(name)).to_contain_text("Ready", timeout=PATIENCE_MS)
    expect(page.get_by_role("alert").filter(has_text=f"begins with %%{name} runs there")).to_be_visible()
    store = AttachmentStore(jupyter.notebooks.parent / "mlmagics")
    try:
        assert store.all()[name].pin
        # an invite works once; who is attached already is told so
        panel.node.get_by_role("button", name="Add a cluster by an invite or its address").click()
        dialog.get_by_label("Invite or address").fill(line.replace(name, "another", 1))
        dialog.get_by_role("button", name="Add this cluster").click()
        expect(dialog.get_by_role("alert")).to_contain_text("invite", timeout=PATIENCE_MS)
        dialog.get_by_role("button", name="Cancel").click()
    finally:
        store.remove(name)


def test_sidebar_has_the_accessible_tree_that_was_kept(open_lab: Callable[[], None], panel: Panel) -> None:
    open_lab()
    panel.open()
    expect(panel.cluster("gpu-box")).to_be_visible(timeout=PATIENCE_MS)
    expect(panel.node).to_match_aria_snapshot(TREE.read_text(), timeout=PATIENCE_MS)
