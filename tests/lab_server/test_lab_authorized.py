"""Where a Jupyter server asks an authorizer of its own, it is asked for every call."""

from __future__ import annotations

from typing import Any

import pytest
from jupyter_server.auth.authorizer import Authorizer
from sidebar import Sidebar
from tornado.httpclient import HTTPClientError

from mlmagics.cluster.store import AttachmentStore
from running import AgentProcess


class Guests(Authorizer):
    """Lets everybody look at what is of mlmagics, and nobody change it."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        return resource == "mlmagics" and action == "read"


class Nobody(Authorizer):
    """Lets nobody do anything."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        return False


@pytest.fixture
def jp_server_config(authorizer: type[Authorizer]) -> dict[str, Any]:
    extension = {"jpserver_extensions": {"mlmagics.lab": True}}
    return {"ServerApp": {**extension, "authorizer_class": authorizer}}


@pytest.mark.parametrize("authorizer", [Guests])
async def test_lab_who_may_only_look_changes_nothing(
    sidebar: Sidebar, box: AgentProcess, store: AttachmentStore
) -> None:
    assert len((await sidebar.get("api/clusters"))["clusters"]) == 1
    async with sidebar.stream() as until:
        await until("jobs")
    for path, method in [("api/clusters/gpu-box", "DELETE"), ("api/clusters", "POST")]:
        status, error = await sidebar.refused(path, {"url": box.url}, method)
        assert status == 403
        assert " " in error["message"]
    for verb in ("cancel", "extend", "resubmit"):
        assert (await sidebar.refused(f"api/jobs/gpu-box/1/{verb}", {}, "POST"))[0] == 403
    assert list(store.all()) == ["gpu-box"]


@pytest.mark.parametrize("authorizer", [Nobody])
async def test_lab_who_may_nothing_sees_nothing(sidebar: Sidebar, jp_ws_fetch: Any) -> None:
    for path in ("api/version", "api/clusters", "api/jobs", "api/jobs/gpu-box/1", "api/jobs/gpu-box/1/events",
                 "agent/gpu-box/v1/info", "agent/gpu-box/static/api.js"):  # fmt: skip
        assert (await sidebar.refused(path))[0] == 403, path
    for page in ("history/gpu-box/1", "agent/gpu-box/history/1"):
        with pytest.raises(HTTPClientError) as refusal:
            await sidebar.raw(page)
        assert refusal.value.code == 403
    with pytest.raises(HTTPClientError) as refusal:
        await jp_ws_fetch("mlmagics", "api", "stream")
    assert refusal.value.code == 403
