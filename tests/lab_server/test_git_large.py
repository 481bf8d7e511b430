"""Large repositories, calls that nobody waits for any more, and what is told while tasks go on."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import psutil
import pytest
from git_panel import GitPanel
from sidebar import PATIENCE_S
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from git_remote import Terminal
from running import until


@pytest.mark.parametrize("count", [20_000, pytest.param(100_000, marks=pytest.mark.soak)])
async def test_git_very_many_untracked_files(
    panel: GitPanel, proj: Terminal, jp_fetch: Any, count: int
) -> None:
    for number in range(count):
        os.close(os.open(proj.folder / f"data-{number:06}.bin", os.O_CREAT | os.O_WRONLY))
    status = asyncio.ensure_future(panel.status())
    # other calls are answered meanwhile
    await asyncio.wait_for(jp_fetch("mlmagics", "api", "version"), PATIENCE_S)
    answer = await status
    assert answer["counts"]["untracked"] == count
    assert (len(answer["files"]), answer["truncated"]) == (2000, count - 2000)
    named = [{"path": row["path"], "kind": "untracked"} for row in answer["files"]]
    assert await panel.ask("discard", files=named) == {"done": 2000}
    assert await panel.ask("stage", all="untracked") == {"done": count - 2000}
    assert (await panel.status())["counts"] == {
        "conflict": 0,
        "staged": count - 2000,
        "unstaged": 0,
        "untracked": 0,
    }


async def test_git_a_call_that_nobody_waits_for_ends(
    panel: GitPanel,
    proj: Terminal,
    git_home: Any,
    jp_fetch: Any,
    http_server_port: Any,
    jp_auth_header: Any,
    jp_base_url: str,
) -> None:
    folder = git_home / "hooks"
    folder.mkdir()
    mark = git_home / "hook-runs"
    (folder / "pre-commit").write_text(f"#!/bin/sh\necho $$ > {mark}\nexec sleep 600\n")
    (folder / "pre-commit").chmod(0o755)
    proj.git("config", "--global", "core.hooksPath", str(folder))
    proj.write("b.txt", "b\n")
    await panel.ask("stage", paths=["b.txt"])
    client = AsyncHTTPClient(force_instance=True)
    url = f"http://127.0.0.1:{http_server_port[-1]}{jp_base_url}mlmagics/api/git/commit"
    body = json.dumps({"path": "proj", "message": "x"})
    with pytest.raises(HTTPClientError):
        await client.fetch(url, method="POST", headers=jp_auth_header, body=body, request_timeout=2)
    client.close()
    hook = await asyncio.to_thread(until, lambda: mark.exists() and mark.read_text().strip())
    await asyncio.to_thread(until, lambda: not psutil.pid_exists(int(hook)))
    await asyncio.to_thread(until, lambda: not (proj.folder / ".git" / "index.lock").exists())
    # the turn is free again, and nothing was committed
    assert await panel.rows() == [("b.txt", "staged")]
    proj.git("config", "--global", "--unset", "core.hooksPath")
    await panel.ask("commit", message="y")
    assert proj.git("log", "--format=%s") == "y\nfirst"


async def test_git_tasks_are_told_to_all_who_listen(
    panel: GitPanel, proj: Terminal, jp_ws_fetch: Any
) -> None:
    proj.write("a.txt", "x\n")
    socket = await jp_ws_fetch("mlmagics", "api", "stream")
    task = await panel.start("fetch")
    states = []
    while not states or states[-1] == "running":
        message = json.loads(await asyncio.wait_for(socket.read_message(), PATIENCE_S))
        if message["type"] == "git-task":
            assert (message["task"], message["operation"], message["root"]) == (task, "fetch", "proj")
            states.append(message["state"])
    assert states == ["running", "failed"]
    socket.close()
    await panel.ended(task)
    with pytest.raises(HTTPClientError):
        await panel.cancel("0" * 16)


@pytest.mark.parametrize("kind", ["merge", "rebase", "cherry-pick", "revert", "am"])
async def test_git_what_a_terminal_has_begun_is_shown_and_aborted(
    panel: GitPanel, proj: Terminal, kind: str
) -> None:
    base = proj.git("rev-parse", "HEAD")
    proj.git("switch", "-q", "--create", "other")
    theirs = proj.commit(a="theirs\n")
    proj.git("switch", "-q", "main")
    mine = proj.commit(a="mine\n")
    if kind == "am":
        proj.git("am", "--3way", ok=False, stdin=proj.git("format-patch", "--stdout", f"{base}..{theirs}"))
    elif kind == "revert":
        mine = proj.commit(a="later\n")
        proj.git("revert", "--no-edit", "HEAD~1", ok=False)
    else:
        proj.git(kind, "other" if kind != "cherry-pick" else theirs, ok=False)
    repo = (await panel.status())["repo"]
    assert (repo["in_progress"], repo["conflicts"]) == (kind, ["a.txt"])
    assert repo["step"] == ("1/1" if kind == "rebase" else None)
    assert (await panel.refused("stage", paths=["a.txt"]))["code"] == "git_conflicts"
    answer = await panel.ask("diff", file="a.txt", kind="conflict")
    assert [line["sign"] for line in answer["hunks"][0]["lines"]].count("+") >= 3
    if kind != "am":
        assert (await panel.refused("switch", branch="other"))["code"] == "git_in_progress"
    await panel.ask("abort")
    repo = (await panel.status())["repo"]
    assert (repo["in_progress"], repo["branch"], repo["commit"]) == (None, "main", mine)


async def test_git_a_linked_working_tree_is_a_repository(panel: GitPanel, proj: Terminal) -> None:
    proj.git("worktree", "add", "-q", "../linked", "-b", "side")
    panel.path = "linked"
    linked = Terminal(proj.folder.parent / "linked")
    linked.write("b.txt", "b\n")
    repo = (await panel.status())["repo"]
    assert (repo["root"], repo["branch"]) == ("linked", "side")
    await panel.ask("stage", paths=["b.txt"])
    await panel.ask("commit", message="in the linked one")
    assert linked.git("log", "-1", "--format=%s") == "in the linked one"
