"""What the Jupyter server passes on from agents: the log, files, and the history page."""

from __future__ import annotations

import asyncio
import os
import re
from typing import Any

import httpx
import pytest
from sidebar import Sidebar
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from cluster_agent.pages import load_static
from cluster_agent.protocol import Submit
from running import AgentProcess, run_cell

CELL = """
import sys
print("one")
print("two", file=sys.stderr)
open("left behind.bin", "wb").write(bytes(range(256)))
summary = {"rmse": 0.25}
from IPython.display import display
display({"text/html": "x" * 3_000_000}, raw=True)
"""


def at_the_agent(box: AgentProcess, path: str) -> httpx.Response:
    return httpx.get(f"{box.url}/v1/{path}", headers={"Authorization": f"Bearer {box.token}"}, timeout=30)


async def test_lab_passes_on_all_of_a_job_byte_for_byte(sidebar: Sidebar, box: AgentProcess) -> None:
    job, events = run_cell(box.client(), CELL, fetch=["summary"])
    (blob,) = [sha for event in events for sha in (event.blobs or {}).values()]
    paths = ["/events?after=0", "/events?tail=2", "/events?follow=1", "/output/stdout", "/output/stderr",
             f"/blobs/{blob}", "/files", "/files/left%20behind.bin", "/results", "/results/summary", ""]  # fmt: skip
    for path in paths:
        plain, _, query = path.partition("?")
        params = dict(pair.split("=") for pair in query.split("&")) if query else {}
        expected = at_the_agent(box, f"jobs/{job.job_id}{path}")
        assert expected.status_code == 200, path
        for way in ("api/jobs/gpu-box/", "agent/gpu-box/v1/jobs/"):
            answer = await sidebar.raw(f"{way}{job.job_id}{plain}".replace("%20", " "), params=params)
            if way.startswith("agent") or path:
                assert answer.body == expected.content, path
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            if path:
                assert "sandbox" in answer.headers["Content-Security-Policy"]
                assert answer.headers["Content-Type"].partition("/")[0] == "application"


async def test_lab_passes_on_ranges_and_cursors(sidebar: Sidebar, box: AgentProcess) -> None:
    job, events = run_cell(box.client(), "print('0123456789')")
    answer = await sidebar.raw(f"api/jobs/gpu-box/{job.job_id}/output/stdout", headers={"Range": "bytes=3-5"})
    assert (answer.code, answer.body, answer.headers["Content-Range"]) == (206, b"345", "bytes 3-5/11")
    assert answer.headers["Accept-Ranges"] == "bytes"
    path = f"api/jobs/gpu-box/{job.job_id}/events"
    answer = await sidebar.raw(path, params={"after": f"{job.log_tag}.{len(events) - 1}"})
    assert answer.headers["Log-Tag"] == job.log_tag
    assert answer.body.count(b"\n") == 1
    status, error = await sidebar.refused(path, params={"after": f"{job.log_tag}.999"})
    assert (status, error["code"]) == (416, "beyond_end")
    assert error["nearest"]


async def test_lab_log_comes_while_it_is_written(sidebar: Sidebar, box: AgentProcess, jp_fetch: Any) -> None:
    go = box.home.parent / "go"
    cell = f"import pathlib, time\nprint('first', flush=True)\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\nprint('last')"
    job = box.client().submit(Submit(source=cell), os.urandom(8).hex())
    came = bytearray()

    def take(chunk: bytes) -> None:
        came.extend(chunk)
        if b"first" in came:
            go.touch()

    path = f"mlmagics/api/jobs/gpu-box/{job.job_id}/events"
    await jp_fetch(path, params={"follow": "1"}, streaming_callback=take, request_timeout=60)
    stored = b"".join(line for line in came.splitlines(True) if line.startswith(b'{"seq"'))
    assert stored == at_the_agent(box, f"jobs/{job.job_id}/events").content


async def test_lab_reader_who_goes_lets_go_of_the_agent(
    sidebar: Sidebar, box: AgentProcess, jp_fetch: Any, jp_serverapp: Any
) -> None:
    job = box.client().submit(
        Submit(source="import time\nprint(1, flush=True)\ntime.sleep(600)"), os.urandom(8).hex()
    )
    back = jp_serverapp.web_app.settings["mlmagics_back"]
    with pytest.raises(HTTPClientError):
        await jp_fetch(
            f"mlmagics/api/jobs/gpu-box/{job.job_id}/events", params={"follow": "1"}, request_timeout=2
        )
    await asyncio.wait_for(_none_left(back), 60)


async def _none_left(back: Any) -> None:
    while back._hooks:
        await asyncio.sleep(0.01)


async def test_lab_agent_that_dies_leaves_no_half_answer(
    sidebar: Sidebar, box: AgentProcess, jp_fetch: Any
) -> None:
    cell = "import time\nprint(1, flush=True)\ntime.sleep(600)"
    job = box.client().submit(Submit(source=cell), os.urandom(8).hex())

    def kill(_chunk: bytes) -> None:
        if box._process and box._process.poll() is None:
            box.kill()

    with pytest.raises((HTTPClientError, OSError)):
        await jp_fetch(
            f"mlmagics/api/jobs/gpu-box/{job.job_id}/events",
            params={"follow": "1"}, streaming_callback=kill, request_timeout=60,
        )  # fmt: skip


async def test_lab_history_url_leads_to_the_page(sidebar: Sidebar) -> None:
    with pytest.raises(HTTPClientError) as moved:
        await sidebar.raw("history/gpu-box/7", follow_redirects=False)
    assert moved.value.code == 302
    assert moved.value.response is not None
    assert moved.value.response.headers["Location"] == "/user/ada/mlmagics/agent/gpu-box/history/7"


async def test_lab_page_runs_its_own_script_only(sidebar: Sidebar) -> None:
    page = await sidebar.raw("agent/gpu-box/history/7")
    html = page.body.decode()
    assert '<html lang="en" data-lent>' in html
    nonce = re.search(r'<script type="module" nonce="([^"]+)"', html)
    assert nonce is not None
    assert html.count("<script") == 1
    policy = page.headers["Content-Security-Policy"]
    assert f"script-src 'nonce-{nonce[1]}'" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["X-Frame-Options"] == "DENY"
    again = (await sidebar.raw("agent/gpu-box/history/7")).body.decode()
    assert nonce[1] not in again


async def test_lab_page_files_are_ours(sidebar: Sidebar) -> None:
    files = load_static()
    for name in ("history.js", "api.js", "history.css"):
        answer = await sidebar.raw(f"agent/gpu-box/static/{name}")
        assert answer.body == files[name]
        assert answer.headers["Content-Type"].startswith(
            "text/javascript" if name.endswith("js") else "text/css"
        )
    status, _ = await sidebar.refused("agent/gpu-box/static/nothing.js")
    assert status == 404


async def test_lab_page_without_login_leads_to_the_login(sidebar: Sidebar, jp_http_port: int) -> None:
    url = f"http://127.0.0.1:{jp_http_port}/user/ada/mlmagics/agent/gpu-box/history/1"
    with pytest.raises(HTTPClientError) as refusal:
        await AsyncHTTPClient(force_instance=True).fetch(url, follow_redirects=False)
    assert refusal.value.code == 302
    assert refusal.value.response is not None
    assert "/user/ada/login" in refusal.value.response.headers["Location"]


async def test_lab_token_that_is_no_longer_valid_is_no_login_of_jupyter(
    sidebar: Sidebar, box: AgentProcess
) -> None:
    (box.home / "token").write_text("another-token")
    status, error = await sidebar.refused("agent/gpu-box/v1/info")
    assert (status, error["code"]) == (403, "unauthorized")
    assert "gpu-box does not accept this token" in error["message"]
