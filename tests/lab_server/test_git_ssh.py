"""Push and pull over ssh, against a real sshd."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from git_panel import GitPanel

from git_remote import Terminal
from git_ssh import SSHD, SshServer

pytestmark = pytest.mark.skipif(SSHD is None, reason="no sshd on this machine")


@pytest.fixture
def ssh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proj: Terminal
) -> Iterator[Callable[..., SshServer]]:
    """Makes the server that ``proj`` has as its origin."""
    started: list[SshServer] = []

    def start(passphrase: str = "", *, known: bool = True) -> SshServer:
        server = SshServer(tmp_path / "ssh", passphrase)
        server.start(known=known)
        started.append(server)
        monkeypatch.setenv("PATH", f"{server.programs}:{os.environ['PATH']}")
        bare = tmp_path / "bare.git"
        Terminal(tmp_path).git("init", "-q", "--bare", str(bare))
        proj.git("remote", "add", "origin", server.url(bare))
        return server

    yield start
    for server in started:
        server.stop()


async def test_git_push_and_pull_over_ssh(
    panel: GitPanel, proj: Terminal, ssh: Callable[..., SshServer], tmp_path: Path
) -> None:
    ssh()
    assert (await panel.task("push"))["state"] == "done"
    other = Terminal(tmp_path / "other")
    Terminal(tmp_path).git("clone", "-q", str(tmp_path / "bare.git"), "other")
    other.commit(b="theirs\n")
    other.git("push", "-q")
    assert (await panel.task("pull"))["message"] == "1 new commit from origin/main"


async def test_git_a_key_is_asked_for_its_passphrase_once(
    panel: GitPanel, proj: Terminal, ssh: Callable[..., SshServer]
) -> None:
    server = ssh("open sesame")
    asked = await panel.task("push")
    assert asked["state"] == "needs_credentials"
    wanted = asked["credentials"]
    assert (wanted["kind"], wanted["host"], wanted["refused"]) == ("passphrase", str(server.key), False)
    await panel.ask("credentials", host=wanted["host"], token="close sesame")
    assert (await panel.task("push"))["credentials"]["refused"] is True
    await panel.ask("credentials", host=wanted["host"], token="open sesame")
    assert (await panel.task("push"))["state"] == "done"
    proj.commit(c="more\n")
    assert (await panel.task("push"))["state"] == "done"


async def test_git_a_host_that_is_not_known_is_not_trusted(
    panel: GitPanel, ssh: Callable[..., SshServer]
) -> None:
    server = ssh(known=False)
    ended = await panel.task("push")
    assert (ended["state"], ended["code"]) == ("failed", "git_denied")
    assert "fingerprint" in ended["message"]
    assert server.known_hosts.read_text() == ""


async def test_git_a_key_that_is_refused(panel: GitPanel, ssh: Callable[..., SshServer]) -> None:
    server = ssh()
    (server.folder / "key.pub").write_text("")
    ended = await panel.task("push")
    assert (ended["state"], ended["code"], "public half" in ended["message"]) == (
        "failed",
        "git_denied",
        True,
    )
