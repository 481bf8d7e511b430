"""The sidebar below the address that JupyterHub gives to a person's server, behind its proxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_lab import JupyterLab
from lab_git import GitSection, as_bob
from lab_panel import Panel, submit
from lab_parts import PATIENCE_MS, attached
from lab_proxy import Proxy
from sidebar_lab import lab_with_sidebar

from git_remote import Terminal
from running import AgentProcess

pytestmark = pytest.mark.browser

expect = pytest.importorskip("playwright.sync_api").expect
expect.set_options(timeout=PATIENCE_MS)
#: as JupyterHub writes anna@x y
BASE = "/hub/user/anna@x%20y/"


@pytest.fixture
def proxy(tmp_path: Path, box: AgentProcess) -> Iterator[tuple[JupyterLab, Proxy]]:
    jupyter = lab_with_sidebar(tmp_path, attached(tmp_path, box), base_url=BASE)
    proxy = Proxy(jupyter.port, BASE)
    with proxy.serving():
        jupyter.address = f"http://127.0.0.1:{proxy.port}{BASE}"
        yield jupyter, proxy
    jupyter.stop()


def test_sidebar_works_below_the_address_of_a_hub(
    proxy: tuple[JupyterLab, Proxy], page: Any, panel: Panel, section: GitSection, box: AgentProcess
) -> None:
    jupyter, hub = proxy
    folder = jupyter.notebooks / "taxi %41"
    folder.mkdir()
    repository = Terminal(folder, as_bob(jupyter.notebooks.parent))
    repository.git("init", "-q", "-b", "main")
    repository.write("100% of it.py", "1\n")
    jupyter.lab(page, "taxi%20%2541")
    panel.open()
    expect(panel.cluster("gpu-box")).to_contain_text("Ready")
    # told by the stream: it was not there when the panel was opened
    ref = submit(box, "print('hello')", name="tour")
    expect(panel.job(ref)).to_contain_text("Finished")
    section.press("Stage 100% of it.py")
    expect(section.row("staged", "100% of it.py")).to_be_visible()
    log = panel.log(ref)
    expect(log).to_contain_text("hello")
    with page.expect_download() as saved:
        log.get_by_role("button", name="stdout").click()
    assert saved.value.path().read_text() == "hello\n"
    with page.context.expect_page() as opened:
        log.get_by_role("button", name="Open the page of this job").click()
    expect(opened.value.locator("#log")).to_contain_text("hello")
    assert [path for path in hub.strays if path != "/favicon.ico"] == []
