"""Status, stage, unstage, discard and commit, in real repositories with names of all kinds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from git_panel import GitPanel

from git_remote import Terminal

#: Names that a shell, a parser of options or a list of lines would take for something else.
NAMES = ["plain.txt", "with space.txt", "-rf", "--all", "new\nline", "tab\there", '"quoted"', "$(touch x)", ":(top)*",
         "*.txt", "é.txt", "<img src=x>", "caf\udce9", "a\\b", "trailing ", ":!a.txt", "ünder/-deep/ä b"]  # fmt: skip


async def test_git_names_of_all_kinds_go_in_and_out(panel: GitPanel, proj: Terminal) -> None:
    for name in NAMES:
        proj.write(name, "x\n")
    shown = {path for path, kind in await panel.rows() if kind == "untracked"}
    assert shown == {name.partition("/")[0] + "/" if "/" in name else name for name in NAMES}
    assert await panel.ask("stage", paths=sorted(shown)) == {"done": len(NAMES)}
    assert sorted(await panel.rows()) == sorted((name, "staged") for name in NAMES)
    assert await panel.ask("unstage", paths=["-rf", "*.txt"]) == {"done": 2}
    kinds = dict(await panel.rows())
    assert kinds["-rf"] == kinds["*.txt"] == "untracked"
    assert kinds["plain.txt"] == kinds["caf\udce9"] == "staged"
    await panel.ask("stage", paths=["-rf", "*.txt"])
    await panel.ask("commit", message="-m --amend")
    assert await panel.rows() == []
    assert proj.git("log", "--format=%s") == "-m --amend\nfirst"

    for name in NAMES:
        proj.write(name, "changed\n")
    files = [{"path": name, "kind": "unstaged"} for name in ("-rf", "*.txt", ":(top)*", "caf\udce9")]
    await panel.ask("discard", files=files)
    left = {path for path, _ in await panel.rows()}
    assert left == set(NAMES) - {"-rf", "*.txt", ":(top)*", "caf\udce9"}


async def test_git_copies_that_jupyterlab_keeps_are_nobodys_work(panel: GitPanel, proj: Terminal) -> None:
    for folder in ("", "sub/", "only/"):
        proj.write(f"{folder}.ipynb_checkpoints/n-checkpoint.ipynb", "{}")
    proj.write("sub/n.ipynb", "{}")
    status = await panel.status()
    assert [row["path"] for row in status["files"]] == ["sub/"]
    assert status["counts"]["untracked"] == 1
    await panel.ask("stage", all="both")
    assert await panel.rows() == [("sub/n.ipynb", "staged")]
    assert proj.git("diff", "--cached", "--name-only") == "sub/n.ipynb"
    # who has put one into git sees what becomes of it
    proj.git("add", "-f", ".ipynb_checkpoints")
    assert (".ipynb_checkpoints/n-checkpoint.ipynb", "staged") in await panel.rows()


async def test_git_discard_takes_only_what_was_named(panel: GitPanel, proj: Terminal) -> None:
    proj.write("a.txt", "changed\n")
    proj.write("new.txt", "new\n")
    proj.write("other.txt", "other\n")
    proj.write("folder/inner.txt", "inner\n")
    error = await panel.refused(
        "discard", files=[{"path": "a.txt", "kind": "unstaged"}, {"path": "gone.txt", "kind": "untracked"}]
    )
    assert (error["code"], error["paths"]) == ("git_changed", ["gone.txt"])
    assert (proj.folder / "a.txt").read_text() == "changed\n"
    await panel.ask(
        "discard", files=[{"path": "a.txt", "kind": "unstaged"}, {"path": "new.txt", "kind": "untracked"}]
    )
    assert (proj.folder / "a.txt").read_text() == "one\n"
    assert not (proj.folder / "new.txt").exists()
    assert await panel.rows() == [("folder/", "untracked"), ("other.txt", "untracked")]
    await panel.ask("discard", files=[{"path": "folder/", "kind": "untracked"}])
    assert not (proj.folder / "folder").exists()


async def test_git_a_repository_inside_is_left_alone(panel: GitPanel, proj: Terminal) -> None:
    inner = proj.folder / "inner"
    inner.mkdir()
    Terminal(inner).git("init", "-q")
    Terminal(inner).commit(b="precious\n")
    (row,) = (await panel.status())["files"]
    assert (row["path"], row["repository"]) == ("inner/", True)
    for call, body in [
        ("stage", {"paths": ["inner/"]}),
        ("discard", {"files": [{"path": "inner/", "kind": "untracked"}]}),
    ]:
        assert (await panel.refused(call, **body))["code"] == "git_changed"
    assert (inner / "b.txt").read_text() == "precious\n"


async def test_git_rows_tell_what_git_tells(panel: GitPanel, proj: Terminal) -> None:
    proj.commit("more", b="two\ntwo\ntwo\n", c="three\n", d="four\n")
    proj.git("mv", "b.txt", "renamed.txt")
    proj.write("a.txt", "staged\n")
    proj.git("add", "a.txt")
    proj.write("a.txt", "and again\n")
    (proj.folder / "c.txt").unlink()
    answer = await panel.status()
    assert [(row["path"], row["kind"], row["index"], row["worktree"]) for row in answer["files"]] == [
        ("a.txt", "staged", "M", "M"),
        ("renamed.txt", "staged", "R", "."),
        ("a.txt", "unstaged", "M", "M"),
        ("c.txt", "unstaged", ".", "D"),
    ]
    assert answer["files"][1]["old_path"] == "b.txt"
    assert answer["counts"] == {"conflict": 0, "staged": 2, "unstaged": 2, "untracked": 0}
    repo = answer["repo"]
    assert (repo["root"], repo["name"], repo["branch"], repo["detached"]) == ("proj", "proj", "main", False)
    await panel.ask("unstage", paths=["renamed.txt"])
    assert ("b.txt", "unstaged") in await panel.rows()
    assert ("renamed.txt", "untracked") in await panel.rows()
    await panel.ask("stage", all="both")
    assert {kind for _, kind in await panel.rows()} == {"staged"}
    await panel.ask("unstage", all="staged")
    assert "staged" not in {kind for _, kind in await panel.rows()}


async def test_git_before_the_first_commit(panel: GitPanel, git_home: Path, jp_root_dir: Path) -> None:
    folder = jp_root_dir / "proj"
    folder.mkdir()
    Terminal(folder).git("init", "-q")
    Terminal(folder).write("a.txt", "a\n")
    repo = (await panel.status())["repo"]
    assert (repo["unborn"], repo["branch"], repo["commit"], repo["remotes"]) == (True, "main", None, [])
    await panel.ask("stage", paths=["a.txt"])
    await panel.ask("unstage", paths=["a.txt"])
    assert await panel.rows() == [("a.txt", "untracked")]
    await panel.ask("stage", paths=["a.txt"])
    assert (await panel.task("push"))["code"] == "git_nothing_staged"
    assert (await panel.ask("commit", message="first"))["branch"] == "main"
    assert (await panel.status())["repo"]["unborn"] is False


async def test_git_no_repository_is_an_answer(
    panel: GitPanel, git_home: Path, jp_root_dir: Path, tmp_path: Path
) -> None:
    (jp_root_dir / "empty").mkdir()
    Terminal(tmp_path).git("init", "-q")
    panel.path = "empty"
    answer = await panel.status()
    # a repository above the folder that is served is none of ours
    assert (answer["repo"], answer["code"]) == (None, "git_outside")
    assert "start Jupyter in" in answer["reason"]
    assert (await panel.refused("stage", paths=["x"]))["status"] == 403


@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "link", "file-link", "proj/\0"])
async def test_git_paths_outside_are_refused(
    panel: GitPanel, proj: Terminal, jp_root_dir: Path, tmp_path: Path, path: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    Terminal(outside).git("init", "-q")
    (jp_root_dir / "link").symlink_to(outside)
    (jp_root_dir / "file-link").symlink_to(outside / ".git" / "config")
    panel.path = path
    assert (await panel.refused("stage", paths=["x"]))["status"] in (400, 403, 404)


@pytest.mark.parametrize(
    "path", ["../a.txt", "/etc/passwd", ".git/config", "x/.GIT/hooks/y", "", "a//b", "a\0b"]
)
async def test_git_files_outside_are_refused(panel: GitPanel, proj: Terminal, path: str) -> None:
    for call, body in [
        ("stage", {"paths": [path]}),
        ("unstage", {"paths": [path]}),
        ("discard", {"files": [{"path": path, "kind": "untracked"}]}),
        ("diff", {"file": path}),
        ("diff", {"file": path, "kind": "untracked"}),
        ("resolve", {"paths": [path], "side": "mine"}),
    ]:
        assert (await panel.refused(call, **body))["code"] == "bad_value", call


async def test_git_links_are_not_followed(panel: GitPanel, proj: Terminal, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret\n")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "file.txt").write_text("precious\n")
    (proj.folder / "link").symlink_to(secret)
    (proj.folder / "folder-link").symlink_to(folder)
    answer = await panel.ask("diff", file="link", kind="untracked")
    assert [line["text"] for line in answer["hunks"][0]["lines"]] == [str(secret)]
    assert (await panel.refused("diff", file="folder-link/file.txt", kind="untracked"))[
        "code"
    ] == "git_changed"
    files = [{"path": "folder-link/file.txt", "kind": "untracked"}]
    assert (await panel.refused("discard", files=files))["code"] == "git_changed"
    await panel.ask(
        "discard", files=[{"path": "folder-link", "kind": "untracked"}, {"path": "link", "kind": "untracked"}]
    )
    assert (folder / "file.txt").read_text() == "precious\n"
    assert secret.read_text() == "secret\n"
    assert not os.path.lexists(proj.folder / "link")


async def test_git_commit_asks_once_who_it_is(panel: GitPanel, proj: Terminal, git_home: Path) -> None:
    (git_home / ".gitconfig").write_text("")
    assert await panel.ask("identity") is None
    proj.write("a.txt", "two\n")
    await panel.ask("stage", paths=["a.txt"])
    assert (await panel.refused("commit", message="two"))["code"] == "git_no_identity"
    for name, email in [("--exec=x", "e@x"), ("A\nB", "e@x"), ("A", "e x"), ("A <b>", "e@x"), ("", "e@x")]:
        error = await panel.refused("commit", message="two", author={"name": name, "email": email})
        assert (error["code"], error["field"]) == ("bad_value", "author")
    author = {"name": "Grace Hopper", "email": "grace@example.org"}
    done = await panel.ask("commit", message="two", author=author)
    assert (done["summary"], done["branch"], done["stripped"]) == ("two", "main", 0)
    assert proj.git("log", "-1", "--format=%an %ae %cn") == "Grace Hopper grace@example.org Grace Hopper"
    assert await panel.ask("identity") == {"name": "Grace Hopper", "email": "grace@example.org"}


async def test_git_commit_says_what_is_missing(panel: GitPanel, proj: Terminal) -> None:
    assert (await panel.refused("commit", message="x"))["code"] == "git_nothing_staged"
    proj.write("a.txt", "two\n")
    await panel.ask("stage", all="unstaged")
    for message in ("", "  \n ", "a\0b"):
        assert (await panel.refused("commit", message=message))["field"] == "message"
    await panel.ask("commit", message="# not a comment\n\nö € 😀")
    assert proj.git("log", "-1", "--format=%B") == "# not a comment\n\nö € 😀\n"


async def test_git_a_stale_lock_is_told(panel: GitPanel, proj: Terminal) -> None:
    lock = proj.write(".git/index.lock", "")
    os.utime(lock, (1_000_000_000, 1_000_000_000))
    assert "index.lock" in (await panel.status())["repo"]["locked"]
    proj.write("b.txt", "b\n")
    error = await panel.refused("stage", paths=["b.txt"])
    assert (error["status"], error["code"]) == (409, "git_locked")
    assert lock.exists()


async def test_git_bodies_are_checked(panel: GitPanel, proj: Terminal) -> None:
    for call, body in [
        ("stage", {"paths": "a.txt"}),
        ("stage", {"paths": ["a.txt"], "force": True}),
        ("pull", {"mode": "--exec=x"}),
        ("resolve", {"paths": ["a.txt"], "side": "base"}),
        ("status", {"path": 1}),
    ]:
        assert (await panel.refused(call, **body))["code"] == "bad_value", call
