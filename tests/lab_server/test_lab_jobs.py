"""The sidebar's calls on jobs and its stream."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from sidebar import Sidebar, attach
from tornado.httpclient import HTTPClientError

from cluster_agent.protocol import Submit
from mlmagics.cluster.store import AttachmentStore
from running import AgentProcess, run_cell, wait_ended

ENDLESS = "import time\nprint('begun', flush=True)\nwhile True: time.sleep(0.1)"


def submit(box: AgentProcess, source: str, **spec: Any) -> int:
    return box.client().submit(Submit(source=source, **spec), os.urandom(8).hex()).job_id


async def test_lab_jobs_are_those_of_the_magic(sidebar: Sidebar, box: AgentProcess) -> None:
    job, _ = run_cell(box.client(), "print('hello')", name="tour")
    found = await sidebar.get("api/jobs")
    assert found["troubles"] == []
    (view,) = found["jobs"]
    assert (view["ref"], view["word"], view["mine"]) == (f"gpu-box/{job.job_id}", "Finished", True)
    assert view["history_url"] == f"/user/ada/mlmagics/history/gpu-box/{job.job_id}"
    assert view["shared_url"] == f"{box.url}/history/{job.job_id}"
    assert view["source"] is None
    one = await sidebar.get(f"api/jobs/gpu-box/{job.job_id}")
    assert one["source"] == "print('hello')"


async def test_lab_jobs_of_all_say_whose_they_are(
    sidebar: Sidebar, start_agent: Any, store: AttachmentStore
) -> None:
    box = start_agent("--shared-uid")
    attach(store, "gpu-box", box)
    admin = box.client()
    bob = box.client(admin.create_token("bob").token)
    theirs, _ = run_cell(bob, "1")
    mine, _ = run_cell(admin, "2")
    assert [job["job_id"] for job in (await sidebar.get("api/jobs"))["jobs"]] == [mine.job_id]
    found = (await sidebar.get("api/jobs", params={"all": "1"}))["jobs"]
    assert {job["job_id"]: job["mine"] for job in found} == {mine.job_id: True, theirs.job_id: False}


async def test_lab_stream_tells_of_a_job_to_its_end(sidebar: Sidebar, box: AgentProcess) -> None:
    async with sidebar.stream() as until, sidebar.stream(all="1") as until_of_all:
        assert (await until("clusters"))["clusters"][0]["name"] == "gpu-box"
        assert (await until("jobs"))["jobs"] == []
        job_id = await asyncio.to_thread(submit, box, "print(1)")
        ended = await until("jobs", lambda told: [job["word"] for job in told["jobs"]] == ["Finished"])
        assert ended["jobs"][0]["job_id"] == job_id
        assert ended["all"] is False
        everybodys = await until_of_all("jobs", lambda told: bool(told["jobs"]))
        assert everybodys["all"] is True


async def test_lab_stream_is_silent_while_nothing_changes(sidebar: Sidebar, box: AgentProcess) -> None:
    async with sidebar.stream() as until:
        await until("jobs")
        async with sidebar.stream() as until_of_second:
            # who comes later is told how things stand, and the first one nothing twice
            await until_of_second("jobs")
            job_id = await asyncio.to_thread(submit, box, "print(1)")
            following = await until("jobs")
            assert [job["job_id"] for job in following["jobs"]] == [job_id]


async def test_lab_stream_tells_at_once_what_was_done_here(sidebar: Sidebar, box: AgentProcess) -> None:
    job_id = submit(box, ENDLESS)
    async with sidebar.stream() as until:
        await until("jobs", lambda told: told["jobs"] and told["jobs"][0]["state"] == "running")
        view = await sidebar.send(f"api/jobs/gpu-box/{job_id}/cancel")
        assert view["stopping"] or view["state"] == "cancelled"
        await until("jobs", lambda told: told["jobs"][0]["state"] == "cancelled")


async def test_lab_job_gets_more_time(sidebar: Sidebar, box: AgentProcess) -> None:
    job_id = submit(box, ENDLESS, timeout_s=600)
    await asyncio.to_thread(box_runs, box, job_id)
    view = await sidebar.send(f"api/jobs/gpu-box/{job_id}/extend", {"extra_s": 60})
    assert view["timeout_s"] == 660
    status, error = await sidebar.refused(f"api/jobs/gpu-box/{job_id}/extend", {"extra_s": -1}, "POST")
    assert (status, error["field"]) == (400, "extra_s")


def box_runs(box: AgentProcess, job_id: int) -> None:
    next(event for event in box.client().follow(job_id) if event.type == "output")


async def test_lab_job_runs_again_with_changes(sidebar: Sidebar, box: AgentProcess) -> None:
    job, _ = run_cell(box.client(), "print('again')", name="tour")
    view = await sidebar.send(
        f"api/jobs/gpu-box/{job.job_id}/resubmit", {"changes": {"timeout": "2h", "name": "more"}}
    )
    assert (view["retry_of"], view["timeout_s"], view["name"]) == (job.job_id, 7200, "more")
    again = await asyncio.to_thread(wait_ended, box.client(), view["job_id"])
    assert again.source == "print('again')"
    status, error = await sidebar.refused(
        f"api/jobs/gpu-box/{job.job_id}/resubmit", {"changes": {"source": "1"}}, "POST"
    )
    assert (status, error["code"]) == (400, "bad_value")


async def test_lab_values_of_this_server_go_to_no_job(
    sidebar: Sidebar, box: AgentProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, _ = run_cell(box.client(), "1", env={"HF_TOKEN": "hers"})
    monkeypatch.setenv("HF_TOKEN", "this server's")
    status, error = await sidebar.refused(f"api/jobs/gpu-box/{job.job_id}/resubmit", {}, "POST")
    assert (status, error["field"]) == (400, "env")
    assert f"%resubmit gpu-box/{job.job_id}" in error["message"]
    assert len((await sidebar.get("api/jobs"))["jobs"]) == 1


async def test_lab_agent_that_is_down_is_a_trouble(
    sidebar: Sidebar, box: AgentProcess, start_agent: Any, store: AttachmentStore
) -> None:
    dead = start_agent()
    attach(store, "dead", dead)
    dead.kill()
    job, _ = run_cell(box.client(), "1")
    found = await sidebar.get("api/jobs")
    assert [job["job_id"] for job in found["jobs"]] == [job.job_id]
    ((cluster, reason),) = found["troubles"]
    assert cluster == "dead"
    assert "dead: " in reason
    rows = (await sidebar.get("api/clusters"))["clusters"]
    assert {row["name"]: row["state"] for row in rows} == {"gpu-box": "Ready", "dead": "Unreachable"}
    status, error = await sidebar.refused("api/jobs/dead/1")
    assert (status, error["code"]) == (502, "unreachable")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("api/jobs/gpu-box/99", 404, "not_found"),
        ("api/jobs/nowhere/1", 404, "unknown_cluster"),
        ("api/jobs/local/1", 503, "local_agent"),
        ("api/jobs/gpu-box/0", 404, "http_404"),
        ("api/jobs/gpu-box/1/view-code", 404, "http_404"),
        ("agent/gpu-box/v1/jobs", 404, "http_404"),
        ("agent/gpu-box/v1/tokens", 404, "http_404"),
        ("agent/gpu-box/v1/jobs/1/../../tokens", 404, "http_404"),
        ("api/jobs/Gpu..%2f/1", 404, "http_404"),
    ],
)
async def test_lab_errors_are_a_sentence_with_a_code(
    sidebar: Sidebar, path: str, status: int, code: str
) -> None:
    told_status, error = await sidebar.refused(path)
    assert (told_status, error["code"]) == (status, code)
    assert " " in error["message"]


async def test_lab_looking_starts_no_agent(sidebar: Sidebar, tmp_path: Path) -> None:
    await sidebar.get("api/clusters")
    await sidebar.get("api/jobs")
    await sidebar.refused("api/jobs/local/1")
    assert not (tmp_path / "local").exists()


@pytest.mark.parametrize(
    "path",
    ["api/version", "api/clusters", "api/jobs", "api/jobs/gpu-box/1", "api/jobs/gpu-box/1/events", "api/nothing",
     "agent/gpu-box/v1/info", "agent/gpu-box/static/api.js"],
)  # fmt: skip
async def test_lab_nothing_without_a_token(sidebar: Sidebar, path: str) -> None:
    status, _ = await sidebar.refused(path, headers={"Authorization": "token wrong"})
    assert status == 403
    status, _ = await sidebar.refused(
        "api/jobs/gpu-box/1/cancel", {}, "POST", headers={"Authorization": "token x"}
    )
    assert status == 403


async def test_lab_no_stream_without_a_token(sidebar: Sidebar, jp_ws_fetch: Any) -> None:
    with pytest.raises(HTTPClientError) as refusal:
        await jp_ws_fetch("mlmagics", "api", "stream", headers={"Authorization": "token wrong"})
    assert refusal.value.code == 403
