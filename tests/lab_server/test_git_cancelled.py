"""What is cancelled in the middle is undone, and nothing is removed that could be somebody else's."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from git_panel import GitPanel

from git_remote import TOKEN, USER, GitServer, Terminal
from mlmagics.lab.git import branches, merging
from mlmagics.lab.git.cancelling import Cancel
from mlmagics.lab.git.desk import SETTING
from mlmagics.lab.git.keeping import Credential
from mlmagics.lab.git.leftovers import Leftovers
from mlmagics.lab.git.refusals import Cancelled
from mlmagics.lab.git.repository import Repository
from mlmagics.lab.git.trust import Trust
from running import until


@pytest.fixture
def interrupted(
    proj: Terminal, git_home: Path, tmp_path: Path
) -> Callable[[Callable[[Repository], object]], None]:
    """Does something in ``proj`` that is cancelled while the files are being written."""
    folder, mark, go = git_home / "hooks", tmp_path / "mark", tmp_path / "go"
    folder.mkdir()
    for hook in ("post-checkout", "post-merge"):
        (folder / hook).write_text(f"#!/bin/sh\ntouch {mark}\nwhile test ! -e {go}; do sleep 0.05; done\n")
        (folder / hook).chmod(0o755)

    def do(work: Callable[[Repository], object]) -> None:
        proj.git("config", "--global", "core.hooksPath", str(folder))
        cancel = Cancel()
        repository = Repository(proj.folder.parent, "proj", Trust(tmp_path), cancel=cancel)

        def interrupt() -> None:
            until(mark.exists)
            cancel.set()
            go.touch()

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(Cancelled):
            work(repository)
        thread.join()

    return do


def test_git_a_switch_that_is_cancelled_is_undone(
    proj: Terminal, interrupted: Callable[[Callable[[Repository], object]], None]
) -> None:
    proj.git("switch", "-q", "--create", "other")
    proj.commit(b="other\n")
    proj.git("switch", "-q", "main")
    proj.write("note.txt", "not committed\n")
    interrupted(lambda repository: branches.switch(repository, "other"))
    assert proj.git("status", "--short", "--branch") == "## main\n?? note.txt"


def test_git_a_new_branch_that_is_cancelled_is_undone(
    proj: Terminal, interrupted: Callable[[Callable[[Repository], object]], None]
) -> None:
    proj.git("remote", "add", "origin", "https://example.org/x")
    proj.git("update-ref", "refs/remotes/origin/side", "HEAD")
    interrupted(lambda repository: branches.switch(repository, "origin/side", remote=True))
    assert proj.git("branch", "--format=%(refname:short)") == "main"


@pytest.mark.parametrize("mode", ["ff", "merge"])
def test_git_a_merge_that_is_cancelled_is_undone(
    proj: Terminal, interrupted: Callable[[Callable[[Repository], object]], None], mode: Any
) -> None:
    proj.git("update-ref", "refs/remotes/origin/main", proj.commit(b="theirs\n"))
    proj.git("reset", "-q", "--hard", "HEAD~1")
    before = proj.commit(c="mine\n") if mode == "merge" else proj.git("rev-parse", "HEAD")
    proj.write("a.txt", "not committed\n")
    interrupted(lambda repository: merging.join(repository, "refs/remotes/origin/main", mode))
    assert proj.git("rev-parse", "HEAD") == before
    assert proj.git("status", "--short", "--branch") == "## main\n M a.txt"


async def test_git_a_rebase_that_is_cancelled_is_undone(
    panel: GitPanel, proj: Terminal, git_home: Any, jp_root_dir: Any, remote: GitServer, jp_serverapp: Any
) -> None:
    jp_serverapp.web_app.settings[SETTING].vault.put(remote.host, Credential(USER, TOKEN), "memory")
    proj.git("remote", "add", "origin", remote.url())
    await panel.task("push")
    theirs = proj.commit(b="theirs\n")
    await panel.task("push")
    proj.git("reset", "-q", "--hard", "HEAD~1")
    mine = proj.commit(c="mine\n")
    folder = git_home / "hooks"
    folder.mkdir()
    mark = git_home / "hook-runs"
    # runs in the middle of a rebase, and listens to nobody
    (folder / "post-checkout").write_text(f"#!/bin/sh\ntrap '' TERM\ntouch {mark}\nsleep 600\n")
    (folder / "post-checkout").chmod(0o755)
    proj.git("config", "--global", "core.hooksPath", str(folder))
    task = await panel.start("pull", mode="rebase")
    await asyncio.to_thread(until, mark.exists)
    (folder / "post-checkout").unlink()
    assert (await panel.cancel(task))["cancelling"] is True
    assert (await panel.ended(task))["state"] == "cancelled"
    repo = (await panel.status())["repo"]
    assert (repo["branch"], repo["commit"], repo["in_progress"], repo["locked"]) == ("main", mine, None, None)
    assert await panel.rows() == []
    assert not list(proj.folder.glob(".git/*.lock"))
    assert (await panel.task("pull", mode="rebase"))["state"] == "done"
    assert proj.git("rev-parse", "HEAD~1") == theirs


def test_git_only_what_is_certainly_ours_is_removed(proj: Terminal) -> None:
    git_dir = proj.folder / ".git"
    lock = git_dir / "index.lock"

    def leftovers() -> Leftovers:
        return Leftovers(git_dir, git_dir, proj.folder)

    lock.touch()
    before = leftovers()
    before.remove()
    assert lock.exists(), "it was there before"
    lock.unlink()
    ours = leftovers()
    with lock.open("w"):
        ours.remove()
        assert lock.exists(), "somebody has it open"
    with subprocess.Popen(["git", "cat-file", "--batch"], cwd=proj.folder, stdin=subprocess.PIPE) as other:
        ours.remove()
        assert lock.exists(), "another git is at work"
        assert other.stdin is not None
        other.stdin.close()
    os.utime(lock, (1_000_000_000, 1_000_000_000))
    ours.remove()
    assert lock.exists(), "it is older than our git"
    os.utime(lock)
    (git_dir / "objects" / "pack").mkdir(exist_ok=True)
    pack = git_dir / "objects" / "pack" / "tmp_pack_x"
    pack.touch()
    ours.remove()
    assert not lock.exists()
    assert not pack.exists()
