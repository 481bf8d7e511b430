"""The sidebar's calls on clusters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sidebar import Sidebar, attach
from tornado.httpclient import HTTPClientError

from cluster_agent import __version__
from cluster_agent.protocol import PROTOCOL_VERSION
from mlmagics.cluster.store import AttachmentStore
from running import AgentProcess, agent_command


async def test_lab_version_is_told(sidebar: Sidebar) -> None:
    assert await sidebar.get("api/version") == {"version": __version__, "protocol": PROTOCOL_VERSION}


async def test_lab_clusters_are_the_rows_of_the_magic(sidebar: Sidebar, box: AgentProcess) -> None:
    (row,) = (await sidebar.get("api/clusters"))["clusters"]
    assert (row["name"], row["state"], row["usable"], row["address"]) == ("gpu-box", "Ready", True, box.url)
    assert row["round_trip_ms"] > 0
    assert box.token not in str(row)


@pytest.mark.parametrize(
    "line", ["{url}", "%attachments add other {url}", "mlmagics attachments add other {url}"]
)
async def test_lab_cluster_is_added_and_removed(
    sidebar: Sidebar, start_agent: Any, store: AttachmentStore, line: str
) -> None:
    other = start_agent()
    body = {"url": line.format(url=other.url), "token": other.token}
    body |= {"name": "other"} if line == "{url}" else {}
    row = await sidebar.send("api/clusters", body)
    assert (row["name"], row["state"]) == ("other", "Ready")
    assert store.token(store.get("other")) == other.token
    assert await sidebar.send("api/clusters/other", method="DELETE") is None
    assert list(store.all()) == ["gpu-box"]


@pytest.mark.parametrize("whole_line", [True, False])
async def test_lab_cluster_is_added_by_an_invite(
    sidebar: Sidebar, start_agent: Any, store: AttachmentStore, whole_line: bool
) -> None:
    other = start_agent("--shared-uid")
    line = agent_command(other.home, "invite", "grace")[0].replace(" box ", " other ")
    body = {"url": line} if whole_line else {"url": line.split()[-1], "name": "other"}
    row = await sidebar.send("api/clusters", body | {"name": "other"})
    assert (row["name"], row["state"], row["user"]) == ("other", "Ready", "grace")
    again = await sidebar.send("api/clusters", body | {"name": "other"})
    assert "attached already" in again["remark"]
    with pytest.raises(HTTPClientError) as caught:
        await sidebar.send("api/clusters", body | {"name": "third"})
    assert b"was used already" in caught.value.response.body  # type: ignore[union-attr]
    assert list(store.all()) == ["gpu-box", "other"]


async def test_lab_stream_tells_of_a_cluster_that_a_notebook_has_added(
    sidebar: Sidebar, start_agent: Any, store: AttachmentStore
) -> None:
    async with sidebar.stream() as until:
        await until("clusters")
        attach(store, "other", start_agent())
        await until(
            "clusters", lambda told: [row["name"] for row in told["clusters"]] == ["gpu-box", "other"]
        )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "%%BOX%%", "name": "second"}, "token"),
        ({"url": "%%BOX%%", "token": "x"}, "name"),
        ({"url": "%%BOX%%", "name": "time", "token": "x"}, "name"),
        ({"url": "%%BOX%%", "name": "second", "token": "not-this-one"}, "token"),
        ({"url": "http://box.example:1", "name": "second", "token": "x"}, "url"),
        ({"url": "%attachments add second nonsense", "token": "x"}, "url"),
    ],
)
async def test_lab_cluster_that_cannot_be_added(
    sidebar: Sidebar, box: AgentProcess, store: AttachmentStore, body: dict[str, str], field: str
) -> None:
    body = {**body, "url": body["url"].replace("%%BOX%%", box.url)}
    status, error = await sidebar.refused("api/clusters", body, "POST")
    assert (status, error["field"]) == (400, field)
    assert list(store.all()) == ["gpu-box"]


async def test_lab_damaged_attachments_are_told(sidebar: Sidebar, store: AttachmentStore) -> None:
    good = store.path.read_bytes()
    async with sidebar.stream() as until:
        await until("jobs")
        store.path.write_text("{")
        trouble = await until("trouble")
        assert "repair it" in trouble["error"]["message"]
        store.path.write_bytes(good)
        assert (await until("trouble"))["error"] is None
    store.path.write_text("{")
    status, error = await sidebar.refused("api/clusters")
    assert (status, error["code"]) == (400, "user_error")


async def test_lab_changes_need_the_xsrf_token(
    sidebar: Sidebar, box: AgentProcess, store: AttachmentStore, jp_fetch: Any, jp_serverapp: Any
) -> None:
    # as another page would send it: with the cookie of the browser, and nothing more
    cookies = await _log_in(jp_fetch, jp_serverapp)
    with pytest.raises(HTTPClientError) as refusal:
        await jp_fetch(
            "mlmagics/api/clusters/gpu-box", method="DELETE", headers={"Authorization": "", "Cookie": cookies}
        )
    assert refusal.value.code == 403
    assert list(store.all()) == ["gpu-box"]


async def _log_in(fetch: Any, app: Any) -> str:
    """The cookies of a browser that has opened the address with the token in it."""
    answer = await fetch(
        "api/status", params={"token": app.identity_provider.token}, headers={"Authorization": ""}
    )
    cookies = [line.partition(";")[0] for line in answer.headers.get_list("Set-Cookie")]
    assert cookies
    return "; ".join(cookies)


async def test_lab_no_token_is_told_anywhere(
    sidebar: Sidebar, box: AgentProcess, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = [await sidebar.raw(path) for path in ("api/clusters", "api/jobs", "agent/gpu-box/v1/info")]
    await sidebar.refused(
        "api/clusters", {"url": box.url, "name": "second", "token": "typed-by-hand"}, "POST"
    )
    box.kill()
    await sidebar.refused("agent/gpu-box/v1/info")
    assert all(box.token.encode() not in answer.body for answer in said)
    assert box.token not in caplog.text
    assert "typed-by-hand" not in caplog.text
