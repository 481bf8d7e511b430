"""Git in the sidebar: what differs is listed, compared, staged, discarded and committed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from jupyter_lab import JupyterLab
from lab_git import GitSection, notebook_text
from lab_parts import CONTRAST, PATIENCE_MS, THEMES

from git_remote import Terminal
from running import until

pytestmark = pytest.mark.browser

expect = pytest.importorskip("playwright.sync_api").expect
expect.set_options(timeout=PATIENCE_MS)
#: the names of all that is kept of the page
WORKSPACE = "async () => { const { values } = await jupyterapp.serviceManager.workspaces.list(); return JSON.stringify(values); }"
TREE = Path(__file__).parent / "git.yaml"


def log(repository: Terminal) -> list[str]:
    """What was committed, the newest first."""
    return repository.git("log", "--format=%s").splitlines()


def test_sidebar_git_commits_what_was_staged(
    git_jupyter: JupyterLab, section: GitSection, repository: Terminal, page: Any
) -> None:
    repository.write("model.py", "depth = 8\nrate = 0.1\n")
    repository.write("new.py", "y = 2\n")
    section.open(git_jupyter, repository.folder.name)
    expect(section.row("unstaged", "model.py")).to_contain_text("M")
    expect(section.row("untracked", "new.py")).to_contain_text("U")
    section.press("Stage model.py")
    expect(section.row("staged", "model.py")).to_be_visible()
    section.message.fill("Deeper trees")
    # nobody has told git who commits here
    section.message.press("Control+Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Your name").fill("Ada")
    dialog.get_by_label("Your e-mail address").fill("ada@example.org")
    section.answer("Commit")
    expect(section.row("staged", "model.py")).to_have_count(0)
    expect(section.message).to_have_value("")
    assert log(repository) == ["Deeper trees", "Second", "First"]
    assert repository.git("log", "-1", "--format=%an %ae") == "Ada ada@example.org"
    # asked once
    section.press("Stage all files that are not in git yet")
    section.message.fill("More")
    section.press("Commit 1 file")
    expect(section.node).to_contain_text("No changes since the last commit")
    assert repository.git("status", "--short") == ""


def test_sidebar_git_discards_only_after_a_yes(
    git_jupyter: JupyterLab, section: GitSection, repository: Terminal, page: Any
) -> None:
    path = repository.write("model.py", "depth = 99\n")
    new = repository.write("new.py", "y = 2\n")
    section.open(git_jupyter, repository.folder.name)
    section.press("Discard the changes of model.py")
    expect(page.get_by_role("dialog")).to_contain_text("model.py")
    # the answer that harms nothing has the focus
    section.answer_with_enter("Keep them")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert path.read_text() == "depth = 99\n"
    section.press("Discard the changes of model.py")
    section.answer("Discard")
    expect(section.row("unstaged", "model.py")).to_have_count(0)
    assert path.read_text() == "depth = 6\nrate = 0.1\n"
    section.press("Discard the changes of new.py")
    expect(page.get_by_role("dialog")).to_contain_text("1 file that is not in git is deleted")
    section.answer("Discard")
    expect(section.row("untracked", "new.py")).to_have_count(0)
    assert not new.exists()


def test_sidebar_git_compares_lines_and_cells(
    git_jupyter: JupyterLab, section: GitSection, repository: Terminal, page: Any
) -> None:
    repository.write("model.py", "depth = 8\nrate = 0.1\n<script>hacked=1</script>\n")
    repository.write("taxi.ipynb", notebook_text("import model", "print(model.rate)", output="0.1\n"))
    section.open(git_jupyter, repository.folder.name)
    section.row("unstaged", "model.py").get_by_role("button", name="model.py: changed").click()
    diff = page.get_by_role("region", name="What differs in model.py")
    expect(diff.locator(".removed")).to_have_text(re.compile(r"1\s*-\s*depth = 6"))
    expect(diff.locator(".added").first).to_have_text(re.compile(r"1\s*\+\s*depth = 8"))
    expect(diff).to_contain_text("<script>hacked=1</script>")
    assert page.evaluate("() => window.hacked") is None
    section.row("unstaged", "taxi.ipynb").get_by_role("button", name="taxi.ipynb: changed").click()
    cells = page.get_by_role("region", name="What differs in taxi.ipynb")
    expect(cells.get_by_role("heading", name="Cell 2, code: changed")).to_be_visible()
    expect(cells.locator(".removed").first).to_contain_text("print(model.depth)")
    assert "cell_type" not in cells.inner_text()
    # it follows what is saved
    repository.write("taxi.ipynb", notebook_text("import model", "print(model.rate)", "print(2)"))
    cells.page.get_by_role("button", name="Compare again").click()
    expect(cells.get_by_role("heading", name="Cell 3, code: new")).to_be_visible()
    # it is there again after a reload, once the page has kept what is open
    until(lambda: "mlmagics-lab-diffs" in page.evaluate(WORKSPACE))
    page.reload()
    expect(cells.get_by_role("heading", name="Cell 3, code: new")).to_be_visible()
    page.get_by_role("tab", name="model.py (changed)").click()
    expect(diff.locator(".removed")).to_have_text(re.compile(r"1\s*-\s*depth = 6"))


def test_sidebar_git_commits_notebooks_without_outputs_when_told(
    git_jupyter: JupyterLab, section: GitSection, repository: Terminal, page: Any
) -> None:
    text = notebook_text("import model", "print(model.rate)", output="0.1\n")
    path = repository.write("taxi.ipynb", text)
    repository.git("config", "user.name", "Ada")
    repository.git("config", "user.email", "ada@example.org")
    section.open(git_jupyter, repository.folder.name)
    section.press("Stage taxi.ipynb")
    section.node.get_by_label("Commit notebooks without outputs").check()
    section.message.fill("Rate")
    section.press("Commit 1 file")
    expect(page.get_by_role("alert").filter(has_text="without its outputs")).to_be_visible()
    assert path.read_text() == text
    committed = repository.git("show", "HEAD:taxi.ipynb")
    assert "print(model.rate)" in committed
    assert '"output_type"' not in committed
    expect(section.node).to_contain_text("outputs only")
    section.node.get_by_label("Commit notebooks without outputs").wait_for(state="detached")
    page.evaluate("() => jupyterapp.serviceManager.settings.save('mlmagics-lab:plugin', '{}')")


def test_sidebar_git_offers_to_save_what_is_typed(
    git_jupyter: JupyterLab, section: GitSection, repository: Terminal, page: Any
) -> None:
    path = repository.write("model.py", "depth = 7\n")
    git_jupyter.lab(page, f"{repository.folder.name}/model.py")
    section.panel.open()
    page.locator(".jp-FileEditor .cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("typed = 1")
    section.press("Stage model.py")
    expect(page.get_by_role("dialog")).to_contain_text("model.py")
    section.answer("Save")
    expect(section.row("staged", "model.py")).to_be_visible()
    expect(section.row("unstaged", "model.py")).to_have_count(0)
    assert "typed = 1" in path.read_text()
    assert "typed = 1" in repository.git("show", ":model.py")


def test_sidebar_git_switches_the_branch_and_reads_open_files_again(
    git_jupyter: JupyterLab, section: GitSection, repository: Terminal, page: Any
) -> None:
    repository.git("switch", "-c", "try/lightgbm")
    repository.write("model.py", "depth = 12\n")
    repository.commit("Other")
    repository.git("switch", "main")
    repository.write("old.py", "x = 2\n")
    git_jupyter.lab(page, f"{repository.folder.name}/model.py")
    section.panel.open()
    expect(page.locator(".jp-FileEditor")).to_contain_text("depth = 6")
    section.press("On main")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Your 1 change that is not committed comes along")
    dialog.get_by_label("Find").fill("light")
    section.answer("Switch")
    expect(section.button("On try/lightgbm")).to_be_visible()
    expect(page.locator(".jp-FileEditor")).to_contain_text("depth = 12")
    assert (repository.folder / "old.py").read_text() == "x = 2\n"
    # where a change would be overwritten nothing happens
    repository.write("model.py", "depth = 1000\n")
    section.press("On try/lightgbm")
    section.answer("Switch")
    expect(section.node.get_by_role("alert")).to_contain_text("model.py")
    assert repository.git("branch", "--show-current") == "try/lightgbm"
    assert (repository.folder / "model.py").read_text() == "depth = 1000\n"


def test_sidebar_git_follows_the_file_browser_and_what_is_saved(
    git_jupyter: JupyterLab, section: GitSection, repository: Terminal, page: Any
) -> None:
    section.open(git_jupyter, "")
    expect(section.node).to_contain_text("git init")
    page.get_by_role("tab", name="File Browser").click()
    page.get_by_role("listitem", name=re.compile(repository.folder.name)).dblclick()
    page.get_by_role("listitem", name=re.compile("model.py")).dblclick()
    section.panel.open()
    expect(section.node).to_contain_text(repository.folder.name)
    expect(section.node).to_contain_text("No changes since the last commit")
    page.locator(".jp-FileEditor .cm-content").click()
    page.keyboard.type("# ")
    page.keyboard.press("Control+s")
    expect(section.row("unstaged", "model.py")).to_be_visible(timeout=8000)


def test_sidebar_git_can_be_used_with_the_keyboard_only(
    git_jupyter: JupyterLab, section: GitSection, repository: Terminal, page: Any
) -> None:
    repository.git("config", "user.name", "Ada")
    repository.git("config", "user.email", "ada@example.org")
    for name in ("a.py", "b.py"):
        repository.write(name, "1\n")
    git_jupyter.lab(page, repository.folder.name)
    # until JupyterLab has gone to the folder it takes the focus away again
    expect(page.locator(".mlmagics-status", has_text="main")).to_be_visible()
    section.panel.command("Git: write a commit")
    expect(section.message).to_be_focused()
    page.keyboard.type("By hand")
    expect(section.node).to_contain_text("Nothing is staged")
    # the grid is one stop; arrows go on
    until(lambda: tabbed_to(page, section.button("Stage all files that are not in git yet")))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(section.button("Stage a.py")).to_be_focused()
    page.keyboard.press("Enter")
    expect(section.row("staged", "a.py")).to_be_visible()
    # the focus stays in the list although the row has gone
    assert page.evaluate("() => document.activeElement.closest('[role=grid]') !== null")
    section.message.focus()
    page.keyboard.press("Control+Enter")
    expect(section.row("staged", "a.py")).to_have_count(0)
    assert log(repository)[0] == "By hand"
    assert repository.git("status", "--short") == "?? b.py"


def tabbed_to(page: Any, node: Any) -> bool:
    page.keyboard.press("Tab")
    return bool(node.evaluate("node => node === document.activeElement"))


def test_sidebar_git_can_be_read_in_every_theme(
    git_jupyter: JupyterLab, section: GitSection, repository: Terminal, page: Any
) -> None:
    repository.write("model.py", "depth = 8\n")
    repository.git("add", "model.py")
    repository.write("src/deep/new.py", "1\n")
    (repository.folder / "old.py").unlink()
    section.open(git_jupyter, repository.folder.name)
    expect(section.node).to_match_aria_snapshot(TREE.read_text())
    section.row("staged", "model.py").get_by_role("button", name="model.py: changed").click()
    diff = page.get_by_role("region", name="What differs in model.py")
    expect(diff.locator(".added")).to_be_visible()
    for theme in THEMES:
        page.emulate_media(forced_colors="none")
        page.evaluate(
            "theme => void jupyterapp.commands.execute('apputils:change-theme', {theme})",
            f"JupyterLab {theme}",
        )
        page.locator(f'body[data-jp-theme-name="JupyterLab {theme}"]').wait_for(state="attached")
        for colours in ("none", "active"):
            page.emulate_media(forced_colors=colours)
            assert section.node.evaluate(CONTRAST) == [], (theme, colours)
            assert diff.evaluate(CONTRAST) == [], (theme, colours)


def test_sidebar_git_lists_the_first_of_many_files_and_counts_all(
    git_jupyter: JupyterLab, section: GitSection, repository: Terminal, page: Any
) -> None:
    for number in range(2500):
        (repository.folder / f"trip-{number:04}.csv").touch()
    section.open(git_jupyter, repository.folder.name)
    expect(section.node.get_by_role("rowheader", name="Not in git yet 2500")).to_be_visible()
    expect(section.node).to_contain_text("2000 more files are not listed")
    expect(section.node).to_contain_text(".gitignore")
    section.press("Stage all files that are not in git yet")
    expect(section.node.get_by_role("rowheader", name="Staged 2500")).to_be_visible()


def test_sidebar_git_can_be_switched_off(
    git_jupyter: JupyterLab, section: GitSection, repository: Terminal, page: Any
) -> None:
    section.open(git_jupyter, repository.folder.name)
    expect(section.message).to_be_visible()
    save = "text => jupyterapp.serviceManager.settings.save('mlmagics-lab:plugin', text)"
    page.evaluate(save, '{"showGit": false}')
    page.reload()
    section.panel.node.wait_for()
    expect(section.panel.node.get_by_role("heading", name="Git Section")).to_have_count(0)
    page.evaluate(save, "{}")


def test_sidebar_git_runs_no_hook_that_nobody_has_allowed(
    git_jupyter: JupyterLab, section: GitSection, repository: Terminal, page: Any, tmp_path: Path
) -> None:
    repository.git("config", "user.name", "Ada")
    repository.git("config", "user.email", "ada@example.org")
    ran = tmp_path / "ran"
    hook = repository.write(".git/hooks/pre-commit", f"#!/bin/sh\necho ran >> {ran}\n")
    hook.chmod(0o755)
    repository.write("new.py", "1\n")
    repository.git("add", "new.py")
    section.open(git_jupyter, repository.folder.name)
    expect(section.node).to_contain_text("programs that do not run until you decide: pre-commit")
    section.message.fill("First")
    section.press("Commit 1 file")
    expect(page.get_by_role("dialog")).to_contain_text("hook pre-commit")
    section.answer("Cancel")
    expect(section.node.get_by_role("alert")).to_contain_text("pre-commit")
    section.press("Commit 1 file")
    section.answer("Skip them")
    expect(page.get_by_role("alert").filter(has_text="Hooks that did not run: pre-commit")).to_be_visible()
    assert not ran.exists()
    # changed hooks are another question
    hook.write_text(f"#!/bin/sh\necho again >> {ran}\n")
    repository.write("new.py", "2\n")
    section.press("Look at the repository again")
    section.press("Stage new.py")
    section.message.fill("Second")
    section.press("Commit 1 file")
    section.answer("Let them run")
    expect(section.node).to_contain_text("No changes since the last commit")
    assert ran.read_text() == "again\n"


def test_sidebar_git_shows_hostile_names_as_text(
    git_jupyter: JupyterLab, section: GitSection, repository: Terminal, page: Any
) -> None:
    names = ["<img src=x onerror=hacked=1>.py", "--force", "two\nlines.py", "%1 100%%.py", "turn\u202eyp.exe"]
    for name in names:
        repository.write(name, "1\n")
    repository.git("switch", "-c", "<b/onmouseover=hacked=1>")
    section.open(git_jupyter, repository.folder.name)
    expect(section.node.locator(".mlmagics-change")).to_have_count(len(names))
    expect(section.node).to_contain_text("<img src=x onerror=hacked=1>.py")
    expect(section.button("On <b/onmouseover=hacked=1>")).to_be_visible()
    section.press("Stage all files that are not in git yet")
    expect(section.node.locator('.mlmagics-change[data-kind="staged"]')).to_have_count(len(names))
    staged = repository.git("diff", "--cached", "--name-only", "-z").split("\0")
    assert sorted(filter(None, staged)) == sorted(names)
    name = "%1 100%%.py: new"
    expect(section.row("staged", "%1 100%%.py").get_by_role("button", name=name, exact=True)).to_be_visible()
    for name in ("two lines.py", "--force"):
        section.press(f"Unstage {name}")
    expect(section.node.locator('.mlmagics-change[data-kind="untracked"]')).to_have_count(2)
    assert page.evaluate("() => window.hacked") is None
