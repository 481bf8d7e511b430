"""Repositories, remotes and names that would have git run, reach or give away something."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import keyring
import pytest
from git_panel import GitPanel
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

from git_remote import TOKEN, USER, GitServer, Terminal
from mlmagics.lab.git.desk import SETTING
from mlmagics.lab.git.keeping import Credential, Vault

#: Ways in which the configuration of a repository has git run something.
CONFIGURED = {
    "core.fsmonitor": "touch {mark}",
    "core.sshCommand": "touch {mark}",
    "core.hooksPath": "hooks",
    "core.pager": "touch {mark}",
    "core.editor": "touch {mark}",
    "core.askPass": "{script}",
    "core.alternateRefsCommand": "touch {mark}",
    "sequence.editor": "touch {mark}",
    "diff.external": "{script}",
    "diff.evil.command": "{script}",
    "diff.evil.textconv": "{script}",
    "filter.evil.clean": "touch {mark}; cat",
    "filter.evil.smudge": "touch {mark}; cat",
    "filter.evil.process": "touch {mark}",
    "merge.evil.driver": "touch {mark}",
    "credential.helper": "!touch {mark}",
    "credential.https://127.0.0.1.helper": "!touch {mark}",
    "gpg.program": "{script}",
    "commit.gpgSign": "true",
    "log.showSignature": "true",
    "alias.status": "!touch {mark}",
    "interactive.diffFilter": "touch {mark}",
    "remote.origin.vcs": "ext",
    "remote.origin.uploadpack": "touch {mark}",
    "remote.origin.receivepack": "touch {mark}",
    "protocol.ext.allow": "always",
    "protocol.allow": "always",
    "submodule.recurse": "true",
    "branch.main.mergeOptions": "--strategy=evil",
    "trailer.x.command": "touch {mark}",
    "uploadpack.packObjectsHook": "touch {mark}",
}


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that comes into being when something of a repository runs."""
    return tmp_path / "it-ran"


@pytest.fixture
def hostile(proj: Terminal, mark: Path, remote: GitServer) -> Terminal:
    """``proj`` with all that its author could have thought of."""
    script = proj.write("evil.sh", f"#!/bin/sh\ntouch {mark}\n")
    script.chmod(0o755)
    proj.write(".gitattributes", "*.txt filter=evil diff=evil merge=evil\n")
    proj.git("add", "--all")
    proj.git("commit", "-q", "-m", "<script>alert(1)</script>")
    proj.git("remote", "add", "origin", remote.url())
    proj.git("update-ref", "refs/remotes/origin/main", "HEAD")
    proj.git("config", "branch.main.remote", "origin")
    proj.git("config", "branch.main.merge", "refs/heads/main")
    for folder in ("hooks", ".git/hooks"):
        for hook in ("pre-commit", "commit-msg", "post-checkout", "post-merge", "pre-push", "post-index-change",
                     "reference-transaction", "pre-rebase", "post-commit", "prepare-commit-msg", "pre-auto-gc"):  # fmt: skip
            proj.write(f"{folder}/{hook}", f"#!/bin/sh\ntouch {mark}\n").chmod(0o755)
    for key, value in CONFIGURED.items():
        proj.git("config", key, value.format(mark=mark, script=script))
    mark.unlink(missing_ok=True)
    return proj


async def test_git_nothing_of_a_repository_runs_unasked(
    panel: GitPanel, hostile: Terminal, mark: Path, jp_serverapp: Any, remote: GitServer
) -> None:
    jp_serverapp.web_app.settings[SETTING].vault.put(remote.host, Credential(USER, TOKEN), "memory")
    # the stamps of files differ, so that git has to look into them
    os.utime(hostile.folder / ".gitattributes", (1, 1))
    hostile.write("a.txt", "changed\n")
    hostile.write("b.txt", "new\n")
    answer = await panel.status()
    programs = answer["repo"]["programs"]
    assert {"filter.evil.clean", "core.sshcommand", "credential.helper", "merge.evil.driver"} <= set(
        programs["names"]
    )
    assert programs["trusted"] is None
    assert (await panel.ask("diff", file="a.txt"))["hunks"]
    await panel.ask("diff", file="b.txt", kind="untracked")
    await panel.ask("branches")
    await panel.ask("identity")
    for call, body in [
        ("stage", {"paths": ["b.txt"]}),
        ("discard", {"files": [{"path": "b.txt", "kind": "untracked"}]}),
        ("commit", {"message": "x"}),
        ("switch", {"branch": "main"}),
    ]:
        assert (await panel.refused(call, **body))["code"] == "git_untrusted", call
    for call in ("fetch", "pull", "push"):
        assert (await panel.task(call))["code"] == "git_untrusted", call
    await panel.ask("unstage", all="staged")
    assert not mark.exists()

    # a no holds for exactly these programs
    assert await panel.ask("trust", digest=programs["digest"], trusted=False) == {"trusted": False}
    assert (await panel.refused("stage", paths=["b.txt"]))["code"] == "git_untrusted"
    for key in CONFIGURED:
        # there is no key to sign with
        if key.startswith(("filter", "merge", "commit")):
            hostile.git("config", "--unset-all", key, ok=False)
    assert (await panel.status())["repo"]["programs"]["trusted"] is None
    assert (await panel.refused("trust", digest=programs["digest"], trusted=True))["code"] == "git_changed"
    now = (await panel.status())["repo"]["programs"]
    await panel.ask("trust", digest=now["digest"], trusted=False)
    await panel.ask("stage", paths=["b.txt"])
    done = await panel.ask("commit", message="with hooks skipped")
    assert "pre-commit" in done["hooks_skipped"]
    assert not mark.exists()


async def test_git_hooks_run_once_they_are_allowed(panel: GitPanel, proj: Terminal, mark: Path) -> None:
    hook = proj.write(".git/hooks/pre-commit", f"#!/bin/sh\ntouch {mark}\n")
    hook.chmod(0o755)
    proj.write("b.txt", "new\n")
    await panel.ask("stage", paths=["b.txt"])
    error = await panel.refused("commit", message="x")
    assert (error["code"], "pre-commit" in error["message"]) == ("git_untrusted", True)
    programs = (await panel.status())["repo"]["programs"]
    assert (programs["names"], programs["hooks"], programs["trusted"]) == ([], ["pre-commit"], None)
    await panel.ask("trust", digest=programs["digest"], trusted=True)
    assert (await panel.ask("commit", message="x"))["hooks_skipped"] == []
    assert mark.exists()
    # another hook of the same name is another program
    hook.write_text("#!/bin/sh\nexit 1\n")
    proj.write("b.txt", "newer\n")
    await panel.ask("stage", paths=["b.txt"])
    assert (await panel.refused("commit", message="x"))["code"] == "git_untrusted"


async def test_git_hooks_of_the_person_always_run(
    panel: GitPanel, proj: Terminal, mark: Path, git_home: Path
) -> None:
    folder = git_home / "hooks"
    folder.mkdir()
    (folder / "pre-commit").write_text(f"#!/bin/sh\ntouch {mark}\n")
    (folder / "pre-commit").chmod(0o755)
    proj.git("config", "--global", "core.hooksPath", str(folder))
    proj.write("b.txt", "new\n")
    await panel.ask("stage", paths=["b.txt"])
    await panel.ask("commit", message="x")
    assert mark.exists()


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% /tmp/x",
        "file:///srv/proj.git",
        "/srv/proj.git",
        "../proj.git",
        "http://127.0.0.1/proj.git",
        "git://127.0.0.1/proj.git",
        "fd::3",
        "-oProxyCommand=x:y",
        "ssh://-oProxyCommand=x/y",
        "ssh://host/-x",
        "https://ada:secret-word@127.0.0.1/proj.git",
        "https://127.0.0.1/a b",
        "https://127.0.0.1\r\n/x",
        "https://",
    ],
)
async def test_git_addresses_of_other_kinds_are_refused(panel: GitPanel, proj: Terminal, url: str) -> None:
    proj.git("config", "remote.origin.url", url)
    (row,) = (await panel.status())["repo"]["remotes"]
    assert row["trouble"]
    assert "secret-word" not in json.dumps(row)
    for call in ("fetch", "push"):
        ended = await panel.task(call)
        assert ended["state"] == "failed"
        assert ended["code"] in ("git_address", "git_no_remote", "git_failed", "git_unreachable"), ended
        assert "secret-word" not in json.dumps(ended)


async def test_git_an_address_rewritten_to_a_program_is_refused(
    panel: GitPanel, proj: Terminal, remote: GitServer, mark: Path
) -> None:
    proj.git("remote", "add", "origin", remote.url())
    proj.git("config", f"url.ext::touch {mark} .insteadOf", remote.url())
    proj.git("config", "protocol.ext.allow", "always")
    assert (await panel.task("fetch"))["code"] == "git_address"
    assert not mark.exists()


async def test_git_a_token_goes_to_its_own_host_only(
    panel: GitPanel, proj: Terminal, remote: GitServer, tmp_path: Path, git_home: Path, jp_serverapp: Any
) -> None:
    vault = jp_serverapp.web_app.settings[SETTING].vault
    vault.put(remote.host, Credential(USER, TOKEN), "memory")
    # a helper of the person that answers whoever asks, as images of containers have it
    proj.git(
        "config", "--global", "credential.helper", "!f() { echo username=any; echo password=leaked; }; f"
    )
    other = GitServer(tmp_path / "other")
    other.start()
    try:
        bundle = (remote.certificate.read_text() + other.certificate.read_text()).encode()
        (tmp_path / "both.pem").write_bytes(bundle)
        proj.git("config", "--global", "http.sslCAInfo", str(tmp_path / "both.pem"))
        proj.git("remote", "add", "origin", remote.url())
        remote.elsewhere = f"https://{other.host}"
        ended = await panel.task("fetch")
        assert ended["state"] in ("failed", "needs_credentials")
        assert other.seen
        assert not [seen for seen in other.seen if seen.credential]
        vault.forget(remote.host)
        await panel.task("fetch")
        assert not [seen for seen in other.seen if seen.credential]
    finally:
        other.stop()


async def test_git_a_token_is_nowhere_to_be_read(
    panel: GitPanel,
    proj: Terminal,
    remote: GitServer,
    git_home: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # a helper of the person's would keep what it is told on disk, in clear
    proj.git("config", "--global", "credential.helper", "store")
    proj.git("remote", "add", "origin", remote.url())
    await panel.ask("credentials", host=remote.host, username=USER, token=TOKEN, keep="memory")
    proj.write("big.bin", os.urandom(500_000))
    proj.commit("big")
    assert (await panel.task("push"))["state"] == "done"
    remote.flows.clear()
    other = tmp_path / "again"
    Terminal(tmp_path).git("clone", "-q", "--bare", str(remote.repositories / "proj.git"), str(other))
    proj.git("update-ref", "-d", "refs/remotes/origin/main")
    proj.git("reset", "-q", "--hard", "HEAD~1")
    proj.git("reflog", "expire", "--expire=now", "--all")
    proj.git("gc", "-q", "--prune=now")
    task = await panel.start("fetch")
    assert remote.holds.wait(30)
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                data = (process / name).read_bytes()
            except OSError:
                continue
            assert TOKEN.encode() not in data, process
    remote.flows.set()
    assert (await panel.ended(task))["state"] == "done"
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or TOKEN.encode() not in file.read_bytes(), file
    assert TOKEN not in caplog.text


async def test_git_helpers_of_the_person_are_asked_first(
    panel: GitPanel, proj: Terminal, remote: GitServer
) -> None:
    helper = f"!f() {{ test $1 = get && echo username={USER} && echo password={TOKEN}; }}; f"
    proj.git("config", "--global", "credential.helper", helper)
    proj.git("remote", "add", "origin", remote.url())
    assert (await panel.task("push"))["state"] == "done"


class Ring(KeyringBackend):
    """A keyring that is open."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.held.pop((service, username), None) is None:
            raise PasswordDeleteError


async def test_git_a_token_is_kept_in_the_keyring(
    panel: GitPanel, proj: Terminal, remote: GitServer, tmp_path: Path, jp_serverapp: Any
) -> None:
    ring, before = Ring(), keyring.get_keyring()
    keyring.set_keyring(ring)
    try:
        proj.git("remote", "add", "origin", remote.url())
        assert (await panel.task("push"))["credentials"]["keeps"] == ["memory", "keyring"]
        kept = await panel.ask("credentials", host=remote.host, username=USER, token=TOKEN, keep="keyring")
        assert kept == {"kept": "keyring"}
        assert len(ring.held) == 1
        # another server of the same person
        jp_serverapp.web_app.settings[SETTING].vault = Vault(tmp_path / "mlmagics")
        assert (await panel.task("push"))["state"] == "done"
        assert TOKEN not in "".join(file.read_text() for file in (tmp_path / "mlmagics").glob("*.json"))
        assert await panel.ask("credentials", host=remote.host, forget=True) == {"kept": None}
        assert ring.held == {}
        assert (await panel.task("fetch"))["state"] == "needs_credentials"
    finally:
        keyring.set_keyring(before)


async def test_git_branches_with_names_of_all_kinds(panel: GitPanel, proj: Terminal) -> None:
    names = ["<img/src=x>", "$(touch-x)", "a;b", "é", "x'y", "feature/a"]
    for name in names:
        proj.git("branch", name)
    answer = await panel.ask("branches")
    assert {row["name"] for row in answer["branches"]} == {*names, "main"}
    for name in names:
        assert await panel.ask("switch", branch=name) == {"branch": name}
        assert proj.git("symbolic-ref", "--short", "HEAD") == name
    for name in (
        "-f",
        "--orphan=x",
        "a..b",
        "x y",
        "a~1",
        "HEAD",
        "@{-1}",
        "",
        "refs/../x",
        ".x",
        "x.lock",
        "a\n",
    ):
        assert (await panel.refused("switch", branch=name))["code"] == "bad_value", name
    assert (await panel.refused("switch", branch="gone"))["code"] == "git_changed"


async def test_git_switch_keeps_changes(panel: GitPanel, proj: Terminal) -> None:
    proj.git("switch", "-q", "--create", "other")
    proj.commit(a="other\n", b="other\n")
    proj.git("switch", "-q", "main")
    proj.write("c.txt", "not committed\n")
    await panel.ask("switch", branch="other")
    assert ("c.txt", "untracked") in await panel.rows()
    await panel.ask("switch", branch="main")
    proj.write("a.txt", "not committed\n")
    error = await panel.refused("switch", branch="other")
    assert (error["code"], error["paths"]) == ("git_would_overwrite", ["a.txt"])
    assert (await panel.status())["repo"]["branch"] == "main"
    assert (proj.folder / "a.txt").read_text() == "not committed\n"


async def test_git_switch_follows_a_branch_of_a_remote(
    panel: GitPanel, proj: Terminal, remote: GitServer
) -> None:
    proj.git("remote", "add", "origin", remote.url())
    proj.git("update-ref", "refs/remotes/origin/feature/x", "HEAD")
    rows = (await panel.ask("branches"))["branches"]
    assert [row["name"] for row in rows if row["remote"]] == ["origin/feature/x"]
    assert await panel.ask("switch", branch="origin/feature/x", remote=True) == {"branch": "feature/x"}
    assert (await panel.status())["repo"]["upstream"] == "origin/feature/x"
    assert (await panel.refused("switch", branch="origin/feature/x", remote=True))["code"] == "bad_value"


async def test_git_folders_of_somebody_else_are_refused(panel: GitPanel, proj: Terminal) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give files away")
    for file in [proj.folder, *proj.folder.rglob("*")]:
        os.chown(file, 12345, 12345)
    answer = await panel.status()
    assert (answer["repo"], answer["code"]) == (None, "git_foreign")
    assert (await panel.refused("commit", message="x"))["status"] == 403


async def test_git_a_working_copy_elsewhere_is_refused(
    panel: GitPanel, proj: Terminal, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.txt").write_text("precious\n")
    proj.git("config", "core.worktree", str(elsewhere))
    assert (await panel.status())["code"] == "git_outside"
    proj.git("config", "--unset", "core.worktree")
    Terminal(elsewhere).git("init", "-q")
    os.rename(proj.folder / ".git", tmp_path / "kept")
    proj.write(".git", f"gitdir: {elsewhere / '.git'}\n")
    assert (await panel.status())["code"] == "git_outside"


async def test_git_submodules_are_not_entered(
    panel: GitPanel, proj: Terminal, tmp_path: Path, mark: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    Terminal(source).git("init", "-q")
    Terminal(source).commit(s="one\n")
    proj.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(source), "sub")
    proj.git("commit", "-q", "-m", "with a submodule")
    inner = Terminal(proj.folder / "sub")
    inner.git("config", "core.fsmonitor", f"touch {mark}")
    inner.git("config", "filter.evil.clean", f"touch {mark}")
    inner.write(".gitattributes", "* filter=evil\n")
    inner.write("s.txt", "changed\n")
    assert await panel.rows() == []
    inner.git("-c", "core.fsmonitor=false", "commit", "-q", "--allow-empty", "-m", "more")
    mark.unlink(missing_ok=True)
    (row,) = (await panel.status())["files"]
    assert (row["path"], row["submodule"]) == ("sub", True)
    diff = await panel.ask("diff", file="sub")
    assert (diff["kind"], len(diff["commits"])) == ("submodule", 2)
    assert (await panel.refused("discard", files=[{"path": "sub", "kind": "unstaged"}]))[
        "code"
    ] == "git_changed"
    await panel.ask("stage", paths=["sub"])
    await panel.ask("unstage", paths=["sub"])
    assert not mark.exists()


async def test_git_variables_of_the_server_point_nowhere_else(
    panel: GitPanel, proj: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Terminal(other).git("init", "-q")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", f"touch {mark}")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", f"'core.fsmonitor=touch {mark}'")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.name")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "From Variables")
    proj.write("b.txt", "new\n")
    assert await panel.rows() == [("b.txt", "untracked")]
    await panel.ask("stage", paths=["b.txt"])
    await panel.ask("commit", message="b")
    await panel.ask("diff", file="a.txt")
    assert (await panel.ask("identity"))["name"] == "From Variables"
    assert not mark.exists()
    assert os.listdir(other) == [".git"]
