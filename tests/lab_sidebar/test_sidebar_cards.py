"""Cards in notebooks, with the sidebar there: drawn by their kernel, and alive again without it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from jupyter_lab import Notebook
from lab_parts import PATIENCE_MS

from mlmagics.cluster.store import AttachmentStore
from running import AgentProcess, until

pytestmark = pytest.mark.browser

expect = pytest.importorskip("playwright.sync_api").expect

JOB = """\
import pathlib, sys, time, mlmagics
for n in range(20): mlmagics.log(step=n, loss=1 / (n + 1))
sys.stderr.write("\\rtrain:  30%|###  | 30/100 [00:10<00:06, 6.13it/s]"); sys.stderr.flush()
print("begun", flush=True)
while not pathlib.Path({go!r}).exists(): time.sleep(0.02)
print("<i>last line</i>")
"""


def saved_a_minute_ago(notebook: Notebook) -> None:
    """As when its page is opened later: of a card that is quite new, a kernel could still be the one that draws it."""
    saved = notebook.save()
    for cell in saved["cells"]:
        for output in cell.get("outputs", []):
            for card in (data for kind, data in output.get("data", {}).items() if kind.endswith(".job+json")):
                card["as_of"] -= 60
    notebook.path.write_text(json.dumps(saved), encoding="utf-8")


def test_sidebar_revives_a_card_after_a_reload_without_a_kernel(
    open_notebook: Callable[..., Notebook], page: Any, tmp_path: Any, box: AgentProcess
) -> None:
    go = tmp_path / "go"
    notebook = open_notebook(f"%%gpu-box --name train --no-wait\n{JOB.format(go=str(go))}")
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    # as long as the kernel draws it, it is the kernel's
    expect(notebook.card(1)).to_contain_text(re.compile(r"Running, for .* as of"), timeout=PATIENCE_MS)
    expect(notebook.card(1)).to_contain_text("begun", timeout=PATIENCE_MS)
    assert page.locator(".mlmagics-live").count() == 0
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    saved_a_minute_ago(notebook)
    page.reload()
    card = page.locator(".mlmagics-live")
    expect(card).to_contain_text(re.compile(r"Running\s*train"), timeout=PATIENCE_MS)
    expect(card).to_contain_text("begun", timeout=PATIENCE_MS)
    expect(card.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "30")
    expect(card.get_by_role("img", name="loss by step")).to_be_visible(timeout=PATIENCE_MS)
    # only one of both is in sight
    expect(page.get_by_text(re.compile(r"as of \d\d:"))).to_be_hidden()
    go.touch()
    expect(card).to_contain_text(re.compile(r"Finished\s*train"), timeout=PATIENCE_MS)
    expect(card).to_contain_text("<i>last line</i>")
    expect(card.get_by_role("button", name="Cancel the job")).to_be_hidden()
    # a page that still opens brings its notebook to the front once more
    page.evaluate("() => jupyterapp.restored.then(() => null)")
    notebook.ready()
    card.get_by_role("button", name="Open the log").click()
    expect(page.locator(".mlmagics-log")).to_contain_text("begun", timeout=PATIENCE_MS)


def test_sidebar_leaves_a_card_as_it_was_saved_when_its_cluster_is_unknown(
    open_notebook: Callable[..., Notebook], page: Any, jupyter: Any, box: AgentProcess
) -> None:
    source = "%%gpu-box --name old --no-wait\nprint('kept', flush=True)\nimport time; time.sleep(600)"
    notebook = open_notebook(source)
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    expect(notebook.card(1)).to_contain_text("kept", timeout=PATIENCE_MS)
    store = AttachmentStore(jupyter.notebooks.parent / "mlmagics")
    attachment = store.all()["gpu-box"]
    store.remove("gpu-box")
    try:
        page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        saved_a_minute_ago(notebook)
        with page.expect_response(re.compile(r"/mlmagics/api/jobs/gpu-box/\d+\?")) as asked:
            page.reload()
        assert asked.value.status == 404
        expect(page.locator(".mlmagics-card")).to_contain_text(re.compile("Running, for .*kept", re.DOTALL))
        assert page.locator(".mlmagics-live").count() == 0
    finally:
        store.put(attachment)
        for job in until(lambda: box.client().jobs(name="old").jobs):
            box.client().cancel(job.job_id)
