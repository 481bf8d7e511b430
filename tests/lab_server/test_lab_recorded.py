"""The recorded answers that the front end's tests read have the form of real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sidebar import Sidebar

from cluster_agent import __version__
from running import AgentProcess, run_cell

RECORDED = Path(__file__).parent / "recorded"
FRONT = Path(__file__).parents[2] / "labextension"


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text())


async def test_lab_answers_have_the_fields_of_the_recorded_ones(sidebar: Sidebar, box: AgentProcess) -> None:
    job, events = run_cell(box.client(), "print('hello')")
    jobs = await sidebar.get("api/jobs")
    assert jobs.keys() == recorded("jobs").keys()
    assert {key for job in jobs["jobs"] for key in job} == {
        key for job in recorded("jobs")["jobs"] for key in job
    }
    clusters = await sidebar.get("api/clusters")
    assert clusters["clusters"][0].keys() == recorded("clusters")["clusters"][0].keys()
    assert (await sidebar.get("api/version")).keys() == recorded("version").keys()
    assert (await sidebar.get(f"api/jobs/gpu-box/{job.job_id}")).keys() == recorded("job").keys()
    known = {event["type"] for event in recorded("events")}
    assert {event.type for event in events} - known <= {"ended"}


def test_lab_front_and_back_have_one_version() -> None:
    assert json.loads((FRONT / "package.json").read_text())["version"] == __version__
    lock = json.loads((FRONT / "package-lock.json").read_text())
    assert lock["version"] == __version__
    assert '"resolved"' not in (FRONT / "package-lock.json").read_text()
