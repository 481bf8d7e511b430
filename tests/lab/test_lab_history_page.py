"""The history page through the Jupyter server: nobody is asked for a token."""

from __future__ import annotations

import os
from typing import Any

import pytest
from jupyter_lab import TOKEN, JupyterLab

from cluster_agent.protocol import Submit
from running import AgentProcess, run_cell

pytestmark = pytest.mark.browser


def open_page(jupyter: JupyterLab, page: Any, path: str) -> None:
    # what opening JupyterLab does: from now on the browser has the cookie of this server
    page.goto(f"http://127.0.0.1:{jupyter.port}/api/status?token={TOKEN}")
    page.goto(f"http://127.0.0.1:{jupyter.port}/{path}")


def test_lab_history_page_shows_a_job_at_once(jupyter: JupyterLab, page: Any, box: AgentProcess) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    cell = (
        "print('hello')\nfrom IPython.display import HTML\nHTML('<b>bold</b><script>parent.x = 1</script>')"
    )
    job, _ = run_cell(box.client(), cell, name="tour")
    open_page(jupyter, page, f"mlmagics/history/gpu-box/{job.job_id}")
    page.locator("#log", has_text="hello").wait_for()
    assert page.locator("#title").text_content() == "tour"
    assert "Finished" in page.locator("#state").text_content()
    for hidden in ("#entry", "#cancel", "#forget", "#all-jobs"):
        assert not page.locator(hidden).is_visible(), hidden
    page.frame_locator("#log iframe").get_by_text("bold").wait_for()
    assert page.evaluate("window.x") is None
    assert page.evaluate("sessionStorage.length") == 0
    assert [line for line in said if "violates" in line and "iframe" not in line] == []


def test_lab_history_page_follows_a_job(jupyter: JupyterLab, page: Any, box: AgentProcess) -> None:
    client = box.client()
    cell = "import time\nprint('first', flush=True)\ntime.sleep(600)"
    job = client.submit(Submit(source=cell), os.urandom(8).hex())
    open_page(jupyter, page, f"mlmagics/agent/gpu-box/history/{job.job_id}")
    page.locator("#log", has_text="first").wait_for()
    client.cancel(job.job_id)
    page.locator("#state", has_text="Cancelled").wait_for()


def test_lab_history_page_of_no_job_says_so(jupyter: JupyterLab, page: Any) -> None:
    open_page(jupyter, page, "mlmagics/history/gpu-box/999")
    message = page.locator("#entry-message")
    message.wait_for()
    assert "gpu-box has no job 999 of yours" in message.text_content()
    assert not page.locator("#token").is_visible()
