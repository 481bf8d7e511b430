"""Who may do what with git: every call asks the Jupyter server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from git_panel import GitPanel
from jupyter_server.auth.authorizer import Authorizer
from tornado.httpclient import HTTPClientError

from git_remote import Terminal
from mlmagics.lab.git.calls import CALLS

LOOKING = {"status", "diff", "identity", "branches", "scan"}


class Guests(Authorizer):
    """Lets everybody look at what is of mlmagics, and nobody change it."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        return resource == "mlmagics" and action == "read"


@pytest.fixture
def jp_server_config(request: pytest.FixtureRequest) -> dict[str, Any]:
    extension = {"jpserver_extensions": {"mlmagics.lab": True}}
    return {
        "ServerApp": {
            **extension,
            **({"authorizer_class": request.param} if hasattr(request, "param") else {}),
        }
    }


@pytest.mark.parametrize("jp_server_config", [Guests], indirect=True)
async def test_git_who_may_only_look_changes_nothing(panel: GitPanel, proj: Terminal) -> None:
    proj.write("b.txt", "b\n")
    assert await panel.rows() == [("b.txt", "untracked")]
    for name in CALLS:
        if name not in LOOKING:
            assert (await panel.refused(name))["status"] == 403, name
    with pytest.raises(HTTPClientError) as refusal:
        await panel.cancel("0" * 16)
    assert refusal.value.code == 403


async def test_git_who_has_not_logged_in_gets_nothing(
    panel: GitPanel, proj: Terminal, http_server_client: Any, jp_base_url: str, jp_root_dir: Path
) -> None:
    paths = [*CALLS, "tasks/" + "0" * 16]
    for path in paths:
        with pytest.raises(HTTPClientError) as refusal:
            await http_server_client.fetch(
                f"{jp_base_url}mlmagics/api/git/{path}", method="POST", body=json.dumps({"path": "proj"})
            )
        assert refusal.value.code == 403, path
