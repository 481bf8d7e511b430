"""The sidebar's panel as a person uses it."""

from __future__ import annotations

import os
import re
from typing import Any

from cluster_agent.protocol import Submit
from running import AgentProcess


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
