"""The history page against a running agent and its jobs."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from history_page import expect, until

pytestmark = pytest.mark.browser

PATIENCE_S = 60.0
PATIENCE_MS = 60_000
SHOW_ALL = """\
import sys
from IPython.display import HTML, display
print('printed')
display(HTML('<table><tr><td>cell</td></tr></table>'))
print('\\x1b[31mred\\x1b[0m', file=sys.stderr)
open('left.txt', 'w').write('behind')
raise ValueError('on purpose')
"""


class RunningAgent:
    """An agent in a process of its own, on a port that it keeps over restarts."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "cluster_agent",
            "serve",
            "--home",
            self.home,
            "--port",
            str(self.port),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("cluster-agent ready"):
                break
        else:
            raise AssertionError("the agent did not start")
        self.token = (self.home / "token").read_text().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def stop(self) -> None:
        if self.process.poll() is not None:
            self.start()
        for job in self.ask("GET", "jobs?state=active")["jobs"]:
            self.ask("POST", f"jobs/{job['job_id']}/cancel", {"reason": "the test is over"})
            self.request("GET", f"jobs/{job['job_id']}/events?follow=1")
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE_S)

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
            return reply.read()

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return json.loads(self.request(method, path, body))

    def submit(self, source: str, **more: Any) -> dict[str, Any]:
        return self.ask("POST", "jobs", {"source": source, **more})

    def open(self, page: Any, job: dict[str, Any]) -> None:
        page.goto(self.ask("POST", f"jobs/{job['job_id']}/view-code", {})["url"])
        expect(page.get_by_role("heading", level=1)).to_have_text(job["name"] or f"Job {job['job_id']}")

    def enter(self, page: Any, job: dict[str, Any] | None = None) -> None:
        page.goto(f"http://127.0.0.1:{self.port}/" + (f"history/{job['job_id']}" if job else ""))
        page.get_by_label("Token of this agent").fill(self.token)
        page.keyboard.press("Enter")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningAgent]:
    agent = RunningAgent(tmp_path / "home")
    yield agent
    agent.stop()


def word(page: Any, text: str) -> None:
    expect(page.locator("#state-word")).to_have_text(text, timeout=PATIENCE_MS)


def test_a_job_is_shown_as_it_ran(running: RunningAgent, page: Any) -> None:
    job = running.submit(SHOW_ALL, name="show all")
    running.open(page, job)
    word(page, "Failed")
    assert page.url == f"http://127.0.0.1:{running.port}/history/{job['job_id']}"
    expect(page.locator("#log > .line.stdout")).to_have_text("printed")
    expect(page.locator("#log > .line.stderr .fg-1")).to_have_text("red")
    expect(page.frame_locator("#log iframe").locator("td")).to_have_text("cell")
    expect(page.locator("#log .error")).to_contain_text("ValueError: on purpose")
    expect(page.locator("#reason")).to_contain_text("ValueError")
    expect(page.locator("#source")).to_have_text(SHOW_ALL)
    page.get_by_text("Files 1 file").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="left.txt").click()
    assert Path(saved.value.path()).read_text() == "behind"
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download stdout").click()
    assert Path(saved.value.path()).read_text() == "printed\n"


def test_a_killed_agent_is_waited_for_and_no_line_is_missed(
    running: RunningAgent, page: Any, tmp_path: Path
) -> None:
    page.expected += ["net::ERR", "Failed to load resource"]
    go = tmp_path / "go"
    wait = f"while not os.path.exists({str(go)!r}): time.sleep(0.01)"
    parts = [f"for n in range(300): print({part!r}, n)" for part in ("first", "second")]
    job = running.submit("\n".join(["import os, time", parts[0], wait, parts[1]]))
    running.enter(page, job)
    expect(page.locator("#log > .line")).to_have_count(300, timeout=PATIENCE_MS)
    running.kill()
    expect(page.locator("#connection")).to_have_text("Reconnecting…")
    word(page, "Running")
    go.touch()
    running.start()
    word(page, "Finished")
    shown = page.locator("#log > .line").all_text_contents()
    assert shown == [f"{part} {n}" for part in ("first", "second") for n in range(300)]


def test_a_job_cancelled_in_the_queue_and_one_cancelled_on_the_page(
    running: RunningAgent, page: Any, new_page: Any
) -> None:
    cpus = running.ask("GET", "info")["cpus"]
    first = running.submit("import time\nprint('on', flush=True)\ntime.sleep(600)", cpus=cpus, name="first")
    second = running.submit("print('never')", cpus=cpus, name="second")
    running.open(page, second)
    word(page, "Queued")
    expect(page.locator("#reason")).to_contain_text("Next in the queue: needs", timeout=PATIENCE_MS)
    running.ask("POST", f"jobs/{second['job_id']}/cancel", {"reason": ""})
    word(page, "Cancelled")
    expect(page.locator("#log-empty")).to_have_text("It wrote nothing.", timeout=PATIENCE_MS)

    other = new_page()
    running.enter(other, first)
    expect(other.locator("#log")).to_contain_text("on", timeout=PATIENCE_MS)
    other.get_by_role("button", name="Cancel job…").click()
    other.get_by_role("button", name="Cancel the job").click()
    word(other, "Cancelled")


def test_the_box_and_its_queue(running: RunningAgent, page: Any) -> None:
    cpus = running.ask("GET", "info")["cpus"]
    first = running.submit("import time\ntime.sleep(600)", cpus=cpus, name="first")
    second = running.submit("print('its turn')", cpus=cpus, name="second")
    with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/", timeout=PATIENCE_S) as reply:
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    running.enter(page)
    rows = page.locator("#list tbody:not([hidden]) tr:not(.group)")
    expect(rows).to_have_count(2, timeout=PATIENCE_MS)
    expect(rows.nth(0)).to_contain_text("Running", timeout=PATIENCE_MS)
    expect(rows.nth(1)).to_contain_text(re.compile(r"Queued.*place 1; needs .*starts by .*\d\d:\d\d"))
    expect(page.locator("#counts")).to_contain_text("1 job running, 1 queued")
    expect(page.get_by_role("meter", name="CPUs in use")).to_have_attribute("aria-valuenow", str(cpus))
    running.ask("POST", f"jobs/{first['job_id']}/cancel", {"reason": ""})
    expect(page.locator("#list")).to_contain_text("Finished", timeout=PATIENCE_MS)
    page.get_by_role("link", name=f"{second['job_id']} second").click()
    expect(page.locator("#log")).to_contain_text("its turn")


FIGURES = """\
import mlmagics
from tqdm.auto import tqdm
for step in tqdm(range(200), desc="train"):
    mlmagics.log(step=step, loss=1 / (step + 1))
    print(f"[{step}]\\ttrain-rmse:{1 / (step + 1)}")
for row in range(100_000):
    print("row", row)
answer = {"rmse": 0.5}
"""


def test_a_long_log_with_metrics_and_results(running: RunningAgent, page: Any) -> None:
    job = running.submit(FIGURES, name="figures", fetch=["answer"])
    running.open(page, job)
    word(page, "Finished")
    expect(page.locator("#log > .line").last).to_have_text("row 99999", timeout=PATIENCE_MS)
    assert page.locator("#log > .line").count() == 5000
    for name in ("train-rmse", "loss"):
        chart = page.locator("#metric-charts .chart", has=page.get_by_text(name, exact=True))
        expect(chart.locator("tbody tr").first).to_contain_text("0.005 at 199", timeout=PATIENCE_MS)
        expect(chart.locator("tbody tr").first).to_contain_text("1 at 0")
    expect(page.locator("#result-list")).to_contain_text("answer dict")
    page.locator("#results > summary").click()
    with page.expect_download() as saved:
        page.locator("#result-list button").click()
    assert json.loads(Path(saved.value.path()).read_text()) == {"rmse": 0.5}
    page.get_by_label("Search in the log").fill("row 77")
    page.get_by_role("button", name="Search the whole log").click()
    expect(page.locator("#hits-state")).to_contain_text("1,111 lines found", timeout=PATIENCE_MS)
    page.locator("#hits-list button").nth(1).click()
    until(page, "CSS.highlights.get('current')?.size === 1")
    expect(page.locator("#log").get_by_text("row 770", exact=True)).to_be_in_viewport()
