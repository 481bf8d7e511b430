"""Fetch, pull and push against a real git server over https with a user and a token."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from git_panel import GitPanel

from git_remote import TOKEN, USER, GitServer, Terminal
from mlmagics.lab.git.desk import SETTING
from mlmagics.lab.git.keeping import Credential


@pytest.fixture
def known(panel: GitPanel, remote: GitServer, jp_serverapp: Any) -> GitPanel:
    """The panel, once the person has given the token for the remote."""
    jp_serverapp.web_app.settings[SETTING].vault.put(remote.host, Credential(USER, TOKEN), "memory")
    return panel


@pytest.fixture
def origin(proj: Terminal, remote: GitServer) -> Terminal:
    """``proj`` with the remote as its origin, where nothing was pushed yet."""
    proj.git("remote", "add", "origin", remote.url())
    return proj


@pytest.fixture
def colleague(tmp_path: Path, remote: GitServer, origin: Terminal) -> Terminal:
    """Somebody else with a clone, at the server itself; ``proj`` follows what is there."""
    origin.git("push", "-q", str(remote.repositories / "proj.git"), "main")
    origin.git("update-ref", "refs/remotes/origin/main", "HEAD")
    origin.git("branch", "-q", "--set-upstream-to=origin/main")
    folder = tmp_path / "colleague"
    Terminal(tmp_path).git("clone", "-q", str(remote.repositories / "proj.git"), str(folder))
    return Terminal(folder)


def pushed(colleague: Terminal, **files: str) -> str:
    """What somebody else has pushed meanwhile: files by name without ending."""
    commit = colleague.commit(**files)
    colleague.git("push", "-q")
    return commit


def push_big(colleague: Terminal, size: int) -> None:
    """Somebody else has pushed so many bytes."""
    colleague.write("big.bin", os.urandom(size))
    pushed(colleague)


async def test_git_push_asks_once_and_sets_the_upstream(
    panel: GitPanel, origin: Terminal, remote: GitServer
) -> None:
    asked = await panel.task("push")
    assert asked["state"] == "needs_credentials"
    assert asked["credentials"]["host"] == remote.host
    assert asked["credentials"]["refused"] is False
    assert await panel.ask("credentials", host=remote.host, username=USER, token=TOKEN, keep="memory") == {
        "kept": "memory"
    }
    done = await panel.task("push")
    assert (done["state"], done["message"]) == ("done", "pushed to origin/main")
    repo = (await panel.status())["repo"]
    assert (repo["upstream"], repo["ahead"], repo["behind"], repo["gone"]) == ("origin/main", 0, 0, False)
    origin.commit(b="two\n")
    assert (await panel.status())["repo"]["ahead"] == 1
    assert (await panel.task("push"))["state"] == "done"
    assert "everything already" in (await panel.task("push"))["message"]
    assert Terminal(remote.repositories / "proj.git").git("rev-parse", "main") == origin.git(
        "rev-parse", "main"
    )


async def test_git_a_wrong_token_is_asked_for_again(
    panel: GitPanel, origin: Terminal, remote: GitServer
) -> None:
    await panel.ask("credentials", host=remote.host, username=USER, token="wrong", keep="memory")
    asked = await panel.task("push")
    assert (asked["state"], asked["credentials"]["refused"], asked["code"]) == (
        "needs_credentials",
        True,
        "git_denied",
    )
    # it was forgotten: the next one is asked as at first
    assert (await panel.task("push"))["credentials"]["refused"] is False


async def test_git_push_never_forces(
    known: GitPanel, origin: Terminal, colleague: Terminal, remote: GitServer
) -> None:
    theirs = pushed(colleague, b="theirs\n")
    origin.commit(c="mine\n")
    origin.git("config", "remote.origin.push", "+refs/heads/*:refs/heads/*")
    ended = await known.task("push")
    assert (ended["state"], ended["code"]) == ("failed", "git_rejected")
    assert "pull first" in ended["message"]
    assert Terminal(remote.repositories / "proj.git").git("rev-parse", "main") == theirs


async def test_git_pull_goes_forward_or_asks(known: GitPanel, origin: Terminal, colleague: Terminal) -> None:
    pushed(colleague, b="theirs\n")
    origin.write("note.txt", "not committed\n")
    done = await known.task("pull", mode="ff")
    assert (done["state"], done["message"]) == ("done", "1 new commit from origin/main")
    assert (origin.folder / "b.txt").read_text() == "theirs\n"
    assert (await known.task("pull"))["message"] == "main has all that is in origin/main"
    assert await known.rows() == [("note.txt", "untracked")]

    pushed(colleague, c="theirs\n")
    (origin.folder / "note.txt").unlink()
    mine = origin.commit(d="mine\n")
    asked = await known.task("pull", mode="ff")
    assert (asked["state"], asked["choice"], asked["choices"]) == (
        "needs_choice",
        "diverged",
        ["rebase", "merge"],
    )
    assert (asked["ahead"], asked["behind"]) == (1, 1)
    assert origin.git("rev-parse", "HEAD") == mine
    assert (await known.task("pull", mode="rebase"))["state"] == "done"
    assert origin.git("rev-list", "--merges", "--count", "HEAD") == "0"
    pushed(colleague, e="theirs\n")
    assert (await known.task("pull", mode="merge"))["state"] == "done"
    assert origin.git("log", "-1", "--format=%s") == "Merge remote-tracking branch 'origin/main'"


@pytest.mark.parametrize("mode", ["rebase", "merge"])
async def test_git_pull_with_conflicts_leaves_nothing_half(
    known: GitPanel, origin: Terminal, colleague: Terminal, mode: str
) -> None:
    pushed(colleague, a="theirs\n")
    mine = origin.commit(a="mine\n")
    if mode == "merge":
        origin.write("other.txt", "not committed\n")
    before = await known.rows()
    ended = await known.task("pull", mode=mode)
    assert (ended["state"], ended["conflicts"], ended["kept"]) == ("conflict", ["a.txt"], False)
    status = await known.status()
    assert (status["repo"]["in_progress"], origin.git("rev-parse", "HEAD")) == (None, mine)
    assert await known.rows() == before
    assert (origin.folder / "a.txt").read_text() == "mine\n"

    kept = await known.task("pull", mode=mode, keep_conflicts=True)
    assert (kept["state"], kept["kept"]) == ("conflict", True)
    repo = (await known.status())["repo"]
    assert (repo["in_progress"], repo["conflicts"]) == (mode, ["a.txt"])
    assert (await known.refused("commit", message="x"))["code"] == "git_conflicts"
    assert (await known.refused("continue"))["code"] == "git_conflicts"
    assert (await known.refused("resolve", paths=["a.txt"], side="marked"))["code"] == "git_markers"
    assert (await known.task("pull"))["code"] == "git_in_progress"
    await known.ask("abort")
    assert (await known.status())["repo"]["in_progress"] is None
    assert origin.git("rev-parse", "HEAD") == mine
    assert await known.rows() == before
    assert (await known.refused("abort"))["code"] == "git_changed"


@pytest.mark.parametrize("mode", ["rebase", "merge"])
@pytest.mark.parametrize("side", ["mine", "theirs", "marked"])
async def test_git_conflicts_are_resolved(
    known: GitPanel, origin: Terminal, colleague: Terminal, mode: str, side: str
) -> None:
    colleague.git("rm", "-q", "a.txt")
    pushed(colleague, b="theirs\n")
    origin.commit(a="mine\n", b="mine\n")
    assert (await known.task("pull", mode=mode, keep_conflicts=True))["state"] == "conflict"
    words = {row["path"]: row["conflict"] for row in (await known.status())["files"]}
    assert words == {"a.txt": "deleted by them", "b.txt": "both added"}
    origin.write("b.txt", "both\n") if side == "marked" else None
    assert await known.ask("resolve", paths=["a.txt", "b.txt"], side=side) == {"done": 2}
    assert await known.ask("continue") == {"done": True, "conflicts": []}
    assert (origin.folder / "a.txt").exists() is (side != "theirs")
    expected = {"mine": "mine\n", "theirs": "theirs\n", "marked": "both\n"}[side]
    assert (origin.folder / "b.txt").read_text() == expected
    assert await known.rows() == []


async def test_git_a_notebook_with_conflicts_can_be_read(
    known: GitPanel, origin: Terminal, colleague: Terminal
) -> None:
    for who, text in [(colleague, "theirs"), (origin, "mine")]:
        who.write("n.ipynb", json.dumps({"cells": [{"cell_type": "raw", "source": text}]}))
        who.commit(text)
    colleague.git("push", "-q")
    for mode in ("merge", "rebase"):
        await known.task("pull", mode=mode, keep_conflicts=True)
        assert '"mine"' in (origin.folder / "n.ipynb").read_text()
        assert (await known.status())["repo"]["conflicts"] == ["n.ipynb"]
        await known.ask("abort")


async def test_git_work_that_is_not_committed_is_never_overwritten(
    known: GitPanel, origin: Terminal, colleague: Terminal
) -> None:
    colleague.write(".gitignore", "ignored.txt\n")
    pushed(colleague, a="theirs\n", new="theirs\n")
    origin.write("a.txt", "not committed\n")
    ended = await known.task("pull")
    assert (ended["state"], ended["code"], ended["paths"]) == ("failed", "git_would_overwrite", ["a.txt"])
    origin.git("checkout", "a.txt")
    origin.write("new.txt", "not committed\n")
    ended = await known.task("pull")
    assert (ended["code"], ended["paths"]) == ("git_would_overwrite", ["new.txt"])
    (origin.folder / "new.txt").unlink()
    # also what git would take for worth nothing
    colleague.write("ignored.txt", "theirs\n")
    colleague.git("add", "-f", "ignored.txt")
    pushed(colleague)
    origin.write(".git/info/exclude", "ignored.txt\n")
    origin.write("ignored.txt", "mine\n")
    assert (await known.task("pull"))["code"] == "git_would_overwrite"
    assert (origin.folder / "ignored.txt").read_text() == "mine\n"


async def test_git_a_rebase_needs_a_clean_working_copy(
    known: GitPanel, origin: Terminal, colleague: Terminal
) -> None:
    pushed(colleague, b="theirs\n")
    origin.commit(c="mine\n")
    origin.write("a.txt", "not committed\n")
    ended = await known.task("pull", mode="rebase")
    assert (ended["code"], ended["paths"]) == ("git_would_overwrite", ["a.txt"])
    assert (await known.task("pull", mode="merge"))["state"] == "done"
    assert (origin.folder / "a.txt").read_text() == "not committed\n"


async def test_git_a_merge_takes_nothing_that_is_staged(
    known: GitPanel, origin: Terminal, colleague: Terminal
) -> None:
    pushed(colleague, b="theirs\n")
    mine = origin.commit(c="mine\n")
    origin.write("new.txt", "staged\n")
    origin.git("add", "new.txt")
    ended = await known.task("pull", mode="merge")
    assert (ended["state"], ended["code"], ended["paths"]) == ("failed", "git_would_overwrite", ["new.txt"])
    assert "unstage it first" in ended["message"]
    assert origin.git("rev-parse", "HEAD") == mine
    assert await known.rows() == [("new.txt", "staged")]


async def test_git_fetch_tells_what_is_new(known: GitPanel, origin: Terminal, colleague: Terminal) -> None:
    pushed(colleague, b="theirs\n")
    head = origin.git("rev-parse", "HEAD")
    assert (await known.task("fetch", quiet=True))["state"] == "done"
    repo = (await known.status())["repo"]
    assert (repo["behind"], repo["commit"]) == (1, head)
    assert not (origin.folder / ".git" / "FETCH_HEAD").exists()


async def test_git_a_quiet_fetch_asks_nobody(panel: GitPanel, origin: Terminal) -> None:
    ended = await panel.task("fetch", quiet=True)
    assert (ended["state"], ended["quiet"], "credentials" in ended) == ("failed", True, False)


async def test_git_remotes_that_are_missing(panel: GitPanel, proj: Terminal, remote: GitServer) -> None:
    for call in ("fetch", "pull", "push"):
        assert (await panel.task(call))["code"] == "git_no_remote", call
    proj.git("remote", "add", "one", remote.url("nothing"))
    assert (await panel.status())["repo"]["remote"] == "one"
    proj.git("remote", "add", "two", remote.url())
    repo = (await panel.status())["repo"]
    assert (repo["remote"], [row["name"] for row in repo["remotes"]]) == (None, ["one", "two"])
    ended = await panel.task("push")
    assert (ended["code"], "one, two" in ended["message"]) == ("git_no_remote", True)
    await panel.ask("credentials", host=remote.host, username=USER, token=TOKEN)
    assert (await panel.task("push", remote="two"))["state"] == "done"
    assert (await panel.task("push", remote="one"))["code"] == "git_denied"
    assert (await panel.task("fetch", remote="--upload-pack=x"))["code"] == "bad_value"
    assert (await panel.task("fetch", remote="three"))["code"] == "git_no_remote"


async def test_git_a_head_without_a_branch(panel: GitPanel, origin: Terminal) -> None:
    origin.git("checkout", "-q", "--detach")
    repo = (await panel.status())["repo"]
    assert (repo["detached"], repo["branch"]) == (True, None)
    assert (await panel.task("push"))["code"] == "git_detached"
    assert (await panel.task("pull"))["code"] == "git_detached"


async def test_git_a_network_that_is_gone(
    known: GitPanel, origin: Terminal, colleague: Terminal, remote: GitServer
) -> None:
    push_big(colleague, 300_000)
    remote.breaks_after = 20_000
    ended = await known.task("pull")
    assert (ended["state"], ended["code"]) == ("failed", "git_unreachable")
    remote.breaks_after = None
    assert (await known.task("pull"))["state"] == "done"
    origin.git("remote", "set-url", "origin", "https://127.0.0.1:1/proj.git")
    assert (await known.task("fetch"))["code"] == "git_unreachable"


async def test_git_a_fetch_is_cancelled(
    known: GitPanel, origin: Terminal, colleague: Terminal, remote: GitServer
) -> None:
    push_big(colleague, 2_000_000)
    head = origin.git("rev-parse", "HEAD")
    remote.flows.clear()
    task = await known.start("pull")
    assert remote.holds.wait(30)
    assert (await known.status())["task"]["task"] == task
    heard = await known.until(task, lambda told: bool(told["progress"]))
    assert (heard["state"], heard["fraction"] > 0, heard["progress"].endswith(" %")) == (
        "running",
        True,
        True,
    )
    assert (await known.refused("push"))["code"] == "git_busy"
    await known.cancel(task)
    ended = await known.ended(task)
    assert (ended["state"], ended["cancelling"]) == ("cancelled", False)
    assert (await known.status())["task"] is None
    assert origin.git("rev-parse", "HEAD") == head
    assert not list(origin.folder.glob(".git/**/*.lock"))
    assert not list(origin.folder.glob(".git/objects/pack/tmp_*"))
    remote.flows.set()
    assert (await known.task("pull"))["state"] == "done"


async def test_git_a_quiet_fetch_makes_room(
    known: GitPanel, origin: Terminal, colleague: Terminal, remote: GitServer
) -> None:
    push_big(colleague, 2_000_000)
    remote.flows.clear()
    quiet = await known.start("fetch", quiet=True)
    assert remote.holds.wait(30)
    push = await known.start("push")
    assert (await known.ended(quiet))["state"] == "cancelled"
    remote.flows.set()
    assert (await known.ended(push))["state"] in ("done", "failed")


async def test_git_pull_before_the_first_commit(
    known: GitPanel, colleague: Terminal, remote: GitServer, jp_root_dir: Path, tmp_path: Path
) -> None:
    (jp_root_dir / "fresh").mkdir()
    fresh = Terminal(jp_root_dir / "fresh")
    fresh.git("init", "-q")
    fresh.git("remote", "add", "origin", remote.url())
    fresh.git("config", "branch.main.remote", "origin")
    fresh.git("config", "branch.main.merge", "refs/heads/main")
    fresh.write("a.txt", "not committed\n")
    known.path = "fresh"
    ended = await known.task("pull")
    assert (ended["code"], ended["paths"]) == ("git_would_overwrite", ["a.txt"])
    assert (fresh.folder / "a.txt").read_text() == "not committed\n"
    (fresh.folder / "a.txt").unlink()
    assert (await known.task("pull"))["state"] == "done"
    assert (fresh.folder / "a.txt").read_text() == "one\n"
    assert (await known.status())["repo"]["behind"] == 0


async def test_git_a_branch_that_is_gone_at_the_remote(
    known: GitPanel, origin: Terminal, colleague: Terminal
) -> None:
    colleague.git("push", "-q", "origin", "HEAD:refs/heads/side")
    origin.git("config", "branch.main.merge", "refs/heads/side")
    assert (await known.status())["repo"]["gone"] is True
    assert (await known.task("pull"))["state"] == "done"
    assert (await known.status())["repo"]["gone"] is False
    origin.git("config", "branch.main.merge", "refs/heads/never")
    assert (await known.task("pull"))["code"] == "git_no_remote"
