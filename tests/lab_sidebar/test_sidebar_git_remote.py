"""Git in the sidebar with a remote over https: credentials, push, pull, conflicts, secrets, cancelling."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
from jupyter_lab import JupyterLab
from lab_git import GitSection
from lab_parts import PATIENCE_MS

from git_remote import TOKEN, USER, GitServer, Terminal
from running import until

pytestmark = pytest.mark.browser

expect = pytest.importorskip("playwright.sync_api").expect
expect.set_options(timeout=PATIENCE_MS)


class Shared:
    """A repository that somebody else works on, too, and the section of git that shows it."""

    def __init__(self, jupyter: JupyterLab, section: GitSection, mine: Terminal, server: GitServer) -> None:
        self.jupyter = jupyter
        self.section = section
        self.mine = mine
        self.server = server
        self.dialog = section.page.get_by_role("dialog")

    def open(self) -> GitSection:
        """Show it."""
        self.section.open(self.jupyter, self.mine.folder.name)
        return self.section

    def log_in(self, token: str = TOKEN) -> None:
        """Answer the question for credentials."""
        expect(self.dialog).to_contain_text(f"Log in to {self.server.host}")
        self.dialog.get_by_label("User name").fill(USER)
        field = self.dialog.get_by_label("Token")
        assert field.get_attribute("type") == "password"
        field.fill(token)
        self.section.answer("Log in")

    def log_in_if_asked(self) -> None:
        """Another test may have answered before: the server keeps what it was told."""
        self.dialog.wait_for()
        if "Log in" in self.dialog.inner_text():
            self.log_in()

    def until_logged_in(self) -> None:
        """Let the Jupyter server know the token: a fetch that a person asks for asks for it."""
        self.section.press("Ask the remote what is new")
        self.log_in_until("to pull")

    def log_in_until(self, text: str) -> None:
        """Return when the section says ``text``, which it may do after a question for credentials only."""
        done = self.section.node.get_by_text(re.compile(text))
        expect(self.dialog.or_(done).first).to_be_visible()
        if self.dialog.count():
            self.log_in()
        expect(done).to_be_visible()


@pytest.fixture
def shared(
    git_jupyter: JupyterLab,
    section: GitSection,
    repository: Terminal,
    remote: Terminal,
    git_server: GitServer,
) -> Shared:
    repository.git("config", "user.name", "Ada")
    repository.git("config", "user.email", "ada@example.org")
    return Shared(git_jupyter, section, repository, git_server)


@pytest.fixture
def other(shared: Shared, remote: Terminal) -> Terminal:
    """The other one, whose branch this one follows; git itself knows the token, as a helper of a person does."""
    helper = f"!f() {{ echo username={USER}; echo password={TOKEN}; }}; f"
    shared.mine.git("-c", f"credential.helper={helper}", "fetch", "-q", "origin")
    shared.mine.git("branch", "-q", "--set-upstream-to=origin/main")
    return remote


def push_from(other: Terminal, path: str, content: str | bytes) -> None:
    """What somebody else has pushed meanwhile."""
    other.write(path, content)
    other.commit("Theirs")
    other.git("push", "-q", "origin", "main")


def test_sidebar_git_pushes_a_new_branch_and_asks_once_for_credentials(
    shared: Shared, repository: Terminal, remote: Terminal
) -> None:
    repository.git("switch", "-q", "-c", "try")
    repository.commit("Mine", new="1\n")
    section = shared.open()
    expect(section.node).to_contain_text("only here so far: Push sends it to origin")
    section.press("Push. Push try to origin for the first time")
    shared.log_in("wrong")
    expect(shared.dialog).to_contain_text("refused what was tried")
    shared.log_in()
    expect(section.node).to_contain_text("the same as origin/try")
    assert remote.git("ls-remote", "origin", "try").split()[0] == repository.git("rev-parse", "HEAD")
    # neither the address nor the configuration has learned it
    assert TOKEN not in (repository.folder / ".git" / "config").read_text()
    repository.commit("More", more="2\n")
    section.press("Look at the repository again")
    expect(section.node).to_contain_text("1 commit to push")
    section.press("Push. Push 1 commit to origin/try")
    expect(section.node).to_contain_text("the same as origin/try")
    expect(shared.dialog).to_have_count(0)


def test_sidebar_git_pulls_by_rebase_when_both_have_gone_on(
    shared: Shared, repository: Terminal, other: Terminal, page: Any
) -> None:
    push_from(other, "old.py", "x = 2\n")
    repository.commit("Mine", new="1\n")
    shared.jupyter.lab(page, f"{repository.folder.name}/old.py")
    section = shared.section
    section.panel.open()
    expect(page.locator(".jp-FileEditor")).to_contain_text("x = 1")
    section.press("Pull")
    shared.log_in_if_asked()
    expect(shared.dialog).to_contain_text(
        "Your branch has 1 commit that origin/main lacks, and lacks 1 commit."
    )
    section.answer("Rebase")
    until(lambda: repository.git("log", "-2", "--format=%s").splitlines() == ["Mine", "Theirs"])
    expect(section.node).to_contain_text("origin/main: 1 commit to push")
    # what is open is read again
    expect(page.locator(".jp-FileEditor")).to_contain_text("x = 2")


def test_sidebar_git_pull_that_conflicts_leaves_no_half_merge_and_can_be_resolved(
    shared: Shared, repository: Terminal, other: Terminal
) -> None:
    push_from(other, "model.py", "depth = 12\nrate = 0.1\n")
    push_from(other, "old.py", "x = 3\n")
    repository.write("model.py", "depth = 8\nrate = 0.1\n")
    repository.write("old.py", "x = 2\n")
    repository.commit("Mine")
    before = repository.git("rev-parse", "HEAD")
    section = shared.open()
    section.press("Pull")
    shared.log_in_if_asked()
    section.answer("Merge")
    dialog = shared.dialog.filter(has_text="The pull conflicts")
    expect(dialog).to_contain_text("model.py")
    assert repository.git("rev-parse", "HEAD") == before
    assert repository.git("status", "--short") == ""
    section.answer("Leave it")
    expect(section.node.get_by_role("alert")).to_contain_text("old.py")
    # once more, to resolve it
    section.press("Pull")
    section.answer("Merge")
    dialog.wait_for()
    section.answer("Resolve the conflicts")
    expect(section.node).to_contain_text("A merge is not finished: 2 files have conflicts")
    expect(section.button("Continue")).to_be_disabled()
    section.press("Take my side of model.py")
    section.answer("Take mine")
    expect(section.row("conflict", "model.py")).to_have_count(0)
    section.press("Mark old.py as resolved")
    expect(section.node.get_by_role("alert")).to_contain_text("old.py")
    repository.write("old.py", "x = 23\n")
    section.press("Mark old.py as resolved")
    expect(section.node).to_contain_text("No conflict is left")
    section.press("Continue")
    expect(section.node).to_contain_text("origin/main: 2 commits to push")
    assert (repository.folder / "model.py").read_text() == "depth = 8\nrate = 0.1\n"
    assert repository.git("status", "--short") == ""


def test_sidebar_git_goes_back_from_a_merge_that_is_not_finished(
    git_jupyter: JupyterLab, section: GitSection, repository: Terminal, page: Any
) -> None:
    repository.git("switch", "-q", "-c", "other")
    repository.write("model.py", "depth = 12\n")
    repository.commit("Theirs")
    repository.git("switch", "-q", "main")
    repository.write("model.py", "depth = 8\n")
    repository.commit("Mine")
    repository.git("merge", "other", ok=False)
    section.open(git_jupyter, repository.folder.name)
    expect(section.node).to_contain_text("A merge is not finished: 1 file has a conflict")
    expect(section.message).to_have_count(0)
    section.press("Go back to how it was")
    section.answer_with_enter("Go on resolving")
    expect(section.node).to_contain_text("A merge is not finished")
    section.press("Go back to how it was")
    section.answer("Go back")
    expect(section.message).to_be_visible()
    assert (repository.folder / "model.py").read_text() == "depth = 8\n"
    assert repository.git("status", "--short") == ""


def test_sidebar_git_shows_progress_and_cancels(
    shared: Shared, repository: Terminal, other: Terminal
) -> None:
    push_from(other, "old.py", "x = 2\n")
    section = shared.open()
    shared.until_logged_in()
    # more than the server lets through while it holds packs back, also when it is compressed
    push_from(other, "big.bin", os.urandom(300_000))
    before = repository.git("rev-parse", "HEAD")
    shared.server.flows.clear()
    try:
        section.press("Pull")
        bar = section.node.get_by_role("progressbar", name="Pulling")
        expect(bar).to_be_visible()
        expect(section.button("Commit")).to_be_disabled()
        until(shared.server.holds.is_set)
        section.press("Cancel")
        expect(bar).to_have_count(0)
    finally:
        shared.server.flows.set()
        shared.server.holds.clear()
    assert repository.git("rev-parse", "HEAD") == before
    section.press("Pull")
    expect(section.node).to_contain_text("the same as origin/main")
    assert repository.git("log", "-1", "--format=%s") == "Theirs"


def test_sidebar_git_finds_secrets_before_a_push(
    shared: Shared, repository: Terminal, other: Terminal
) -> None:
    key = "AKIA" + "Q7ZLWN3XKTPD5MRV"
    repository.write("settings.py", f'AWS_KEY = "{key}"\n')
    repository.commit("Settings")
    section = shared.open()
    section.press("Push")
    shared.log_in_if_asked()
    found = shared.dialog.get_by_role("list", name="Found")
    expect(found).to_contain_text("settings.py:1")
    assert key not in shared.dialog.inner_text()
    # what harms nothing has the focus
    section.answer_with_enter("Do not push")
    expect(shared.dialog).to_have_count(0)
    assert other.git("ls-remote", "origin", "main").split()[0] != repository.git("rev-parse", "HEAD")
    section.press("Push")
    section.answer("Push anyway")
    shared.log_in_until("the same as origin/main")
    assert other.git("ls-remote", "origin", "main").split()[0] == repository.git("rev-parse", "HEAD")


def test_sidebar_git_says_what_to_do_without_a_remote(
    git_jupyter: JupyterLab, section: GitSection, repository: Terminal
) -> None:
    section.open(git_jupyter, repository.folder.name)
    expect(section.node).to_contain_text("git remote add origin ADDRESS")
    expect(section.button("Push")).to_be_disabled()
    expect(section.button("Pull")).to_be_disabled()


def test_sidebar_git_fetches_only_while_it_can_be_seen(
    shared: Shared, repository: Terminal, other: Terminal, page: Any
) -> None:
    """The branch is in the status bar also while the panel is closed; for it alone nothing goes over the network."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.partition("?")[0].rpartition("/api/git/")[2]))
    section = shared.section
    shared.jupyter.lab(page, repository.folder.name)
    page.get_by_role("tab", name="File Browser").wait_for()
    branch = page.locator(".mlmagics-status", has_text="main")
    expect(branch).to_have_text("main")
    assert "fetch" not in asked
    branch.click()
    expect(section.button("On main")).to_be_visible()
    until(lambda: "fetch" in asked)
    # nobody is asked for credentials because of it
    expect(section.button("Push")).to_be_enabled()
    expect(shared.dialog).to_have_count(0)
    page.get_by_role("tab", name="File Browser").click()
    seen = asked.count("fetch")
    repository.commit("Mine", model="depth = 1\n")
    page.evaluate("() => window.dispatchEvent(new Event('focus'))")
    expect(branch).to_have_text("main ↑1")
    assert asked.count("fetch") == seen
