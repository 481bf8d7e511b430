"""The sidebar's panel as a person uses it."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

from cluster_agent.protocol import Submit
from running import AgentProcess, until

PlaywrightTimeout = pytest.importorskip("playwright.sync_api").TimeoutError


def submit(box: AgentProcess, source: str, **spec: Any) -> str:
    """Submit a cell from elsewhere; what the panel calls its job."""
    job = box.client().submit(Submit(source=source, **spec), os.urandom(8).hex())
    return f"gpu-box/{job.job_id}"


class Panel:
    """The panel, opened from the left bar."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.node = page.get_by_role("region", name="Clusters, jobs and git")

    def open(self) -> None:
        self.page.get_by_role("tab", name="Clusters, jobs and git").click()
        self.node.wait_for()

    def command(self, label: str) -> None:
        """Run a command by the palette."""
        field = self.page.get_by_placeholder("SEARCH", exact=True)
        until(lambda: self._palette(field))
        field.fill(label)
        # what Enter runs: not before the list has followed what was typed
        chosen = self.page.locator(".lm-CommandPalette-item.lm-mod-active:not(.lm-mod-disabled)")
        chosen.filter(has_text=label).wait_for()
        self.page.keyboard.press("Enter")

    def _palette(self, field: Any) -> bool:
        # a key that comes before the shortcuts are known is lost
        self.page.keyboard.press("Control+Shift+C")
        try:
            field.wait_for(timeout=3000)
        except PlaywrightTimeout:
            return False
        return True

    def job(self, ref: str) -> Any:
        """The row of a job."""
        return self.page.locator(f'.mlmagics-job[data-key="{ref}"]')

    def cluster(self, name: str) -> Any:
        """The row of a cluster."""
        return self.page.locator(f'.mlmagics-cluster[data-key="{name}"]')

    def choose(self, row: Any, item: str) -> None:
        """Take an item of a row's context menu."""
        row.click(button="right")
        self.page.get_by_role("menuitem", name=re.compile(f"^{item}")).click()

    def log(self, ref: str) -> Any:
        """The log of a job, opened by a click on its row."""
        self.job(ref).click()
        return self.shown_log(ref)

    def shown_log(self, ref: str) -> Any:
        """The tab of a log that is open."""
        return self.page.locator(f'[id^="mlmagics-log-{ref.replace("/", "-")}-"]')
