"""JupyterLab with the sidebar in a browser, and a cluster ``gpu-box`` that is attached there."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_lab import JupyterLab, Notebook
from lab_git import GitSection, as_bob, notebook_text, surroundings
from lab_panel import Panel
from lab_parts import Orders, attached, page_of, serving
from sidebar_lab import lab_with_sidebar

from git_remote import GitServer, Terminal
from running import AgentProcess

#: what a browser says by itself of an answer that tells a person no
_REFUSAL = "Failed to load resource: the server responded with a status of 4"


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    """The agent behind ``gpu-box``."""
    with serving(tmp_path_factory.mktemp("box") / "home") as agent:
        yield agent


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory, box: AgentProcess) -> Iterator[JupyterLab]:
    home = tmp_path_factory.mktemp("person")
    server = lab_with_sidebar(home, attached(home, box))
    yield server
    server.stop()


@pytest.fixture
def bare_jupyter(tmp_path: Path, box: AgentProcess) -> Iterator[JupyterLab]:
    """One whose server does not know of the sidebar."""
    server = lab_with_sidebar(tmp_path, attached(tmp_path, box), server=False)
    yield server
    server.stop()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A page in a profile of its own; the test fails when a script in it breaks, or something warns."""
    with page_of(chromium, (1300, 900), listens=True, lets=lambda line: line.startswith(_REFUSAL)) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield page


@pytest.fixture
def orders(tmp_path: Path) -> Orders:
    return Orders(tmp_path / "orders")


@pytest.fixture
def open_notebook(jupyter: JupyterLab, page: Any) -> Callable[..., Notebook]:
    """Opens notebooks; without cells an empty one."""

    def open_one(*cells: str) -> Notebook:
        return jupyter.open(page, ["%load_ext mlmagics", *cells] if cells else [""])

    return open_one


@pytest.fixture
def open_lab(jupyter: JupyterLab, page: Any) -> Callable[[], None]:
    """Opens JupyterLab with nothing in it, and so without a kernel."""
    return lambda: jupyter.lab(page, "")


@pytest.fixture
def panel(page: Any) -> Panel:
    return Panel(page)


@pytest.fixture
def section(panel: Panel) -> GitSection:
    return GitSection(panel)


@pytest.fixture(scope="session")
def git_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """A server of remote repositories over https, with a token."""
    server = GitServer(tmp_path_factory.mktemp("git"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def git_jupyter(tmp_path_factory: pytest.TempPathFactory, git_server: GitServer) -> Iterator[JupyterLab]:
    """JupyterLab of a person whose git trusts that server and does not know who the person is."""
    home = tmp_path_factory.mktemp("person")
    (home / ".gitconfig").write_text(f"[http]\n\tsslCAInfo = {git_server.certificate}\n")
    names = {"GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "GIT_TERMINAL_PROMPT"}
    known = {name: value for name, value in surroundings(home).items() if name in names}
    folders = {"MLMAGICS_CONFIG_DIR": str(home / "mlmagics"), "MLMAGICS_LOCAL_HOME": str(home / "local")}
    server = lab_with_sidebar(home, {**known, **folders})
    yield server
    server.stop()


@pytest.fixture
def repository(git_jupyter: JupyterLab) -> Terminal:
    """A repository with two commits, in a folder of its own among the notebooks."""
    folder = git_jupyter.notebooks / f"taxi-{uuid.uuid4().hex[:6]}"
    folder.mkdir()
    made = Terminal(folder, as_bob(git_jupyter.notebooks.parent))
    made.git("init", "-q", "-b", "main")
    # JupyterLab puts a copy of what is open there
    made.write(".gitignore", ".ipynb_checkpoints\n")
    made.write("model.py", "depth = 6\nrate = 0.1\n")
    made.write("old.py", "x = 1\n")
    made.commit("First")
    made.write("taxi.ipynb", notebook_text("import model", "print(model.depth)"))
    made.commit("Second")
    return made


@pytest.fixture
def remote(git_server: GitServer, repository: Terminal) -> Terminal:
    """The repository has a remote now, which holds its branch; another person's copy of it."""
    bare = git_server.create(repository.folder.name)
    repository.git("push", "-q", str(bare), "main")
    repository.git("remote", "add", "origin", git_server.url(repository.folder.name))
    folder = git_server.folder / f"copy-{repository.folder.name}"
    repository.git("clone", "-q", str(bare), str(folder))
    return Terminal(folder, repository.env)
