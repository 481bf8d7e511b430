"""Secrets are looked for in what a push would send."""

from __future__ import annotations

from typing import Any

import pytest
from git_panel import GitPanel

from git_remote import TOKEN, USER, GitServer, Terminal
from mlmagics.lab.git.desk import SETTING
from mlmagics.lab.git.keeping import Credential

# put together here, so that no scanner of this repository takes it for one
SECRET = "ghp_" + "x7Kq9mB2vR4tY8wZ1nC3dF5gH6jL0pQaSeUi"


@pytest.fixture
def sending(panel: GitPanel, proj: Terminal, remote: GitServer, jp_serverapp: Any) -> Terminal:
    jp_serverapp.web_app.settings[SETTING].vault.put(remote.host, Credential(USER, TOKEN), "memory")
    proj.git("remote", "add", "origin", remote.url())
    return proj


async def test_git_push_asks_about_each_secret(panel: GitPanel, sending: Terminal, remote: GitServer) -> None:
    sending.write('ba "d.py', f"import os\n\n\ntoken = '{SECRET}'\n")
    first = sending.commit("with a token")
    sending.git("rm", "-q", 'ba "d.py')
    # what was taken out again is still in the commits
    sending.commit("without it")
    asked = await panel.task("push")
    assert (asked["state"], asked["choice"], asked["code"]) == ("needs_choice", "secrets", "git_secrets")
    (finding,) = asked["findings"]
    assert (finding["path"], finding["line"]) == ('ba "d.py', 4)
    assert first.startswith(finding["commit"])
    assert SECRET not in str(asked)
    looked = await panel.ask("scan")
    assert (looked["findings"], looked["commits"], looked["unscanned"]) == ([finding], 3, None)
    assert (await panel.task("push", allow=["other"]))["state"] == "needs_choice"
    assert not [seen for seen in remote.seen if seen.credential]
    assert (await panel.task("push", allow=[finding["fingerprint"]]))["state"] == "done"
    # what is there already is not sent again
    assert (await panel.ask("scan"))["commits"] == 0


async def test_git_what_was_not_looked_through_is_told(panel: GitPanel, sending: Terminal) -> None:
    sending.write("long.txt", "y" * 5000 + "\n")
    sending.commit("long")
    assert "1 very long line" in (await panel.ask("scan"))["unscanned"]
    done = await panel.task("push")
    assert (done["state"], "very long" in done["unscanned"]) == ("done", True)
