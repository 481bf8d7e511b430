"""The arrows between the three packages."""

import ast
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
OURS = {"mlmagics", "cluster_agent", "mlmagics_job"}
SHARED = {
    "cluster_agent",
    "cluster_agent.__version__",
    *(f"cluster_agent.{name}" for name in ("protocol", "client", "errors", "pages", "units")),
}
#: Absent on Windows, where the notebook side runs.
POSIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "termios", "tty"}


def imports(path, *, top_level=False):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(package):
    return sorted((SRC / package).rglob("*.py"))


def file_of(name):
    """The file of a module or package of ours, or None."""
    path = SRC / name.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


def ours(names):
    return {name for name in names if name.partition(".")[0] in OURS}


@pytest.mark.parametrize("path", modules("mlmagics"), ids=lambda path: path.name)
def test_the_notebook_side_uses_only_the_shared_part_of_the_agent(path):
    for name in ours(imports(path)):
        if name.startswith("cluster_agent"):
            assert name in SHARED or name.rpartition(".")[0] in SHARED - {"cluster_agent"}, name


@pytest.mark.parametrize("path", modules("cluster_agent"), ids=lambda path: path.name)
def test_the_agent_imports_neither_of_the_others(path):
    assert all(name.startswith("cluster_agent") for name in ours(imports(path)))


@pytest.mark.parametrize("path", modules("mlmagics_job"), ids=lambda path: path.name)
def test_the_kit_needs_nothing_but_the_standard_library(path):
    allowed = set(sys.stdlib_module_names) | {"mlmagics_job"}
    optional = {"IPython", "fsspec", "matplotlib", "matplotlib_inline", "traitlets"}
    # for what only they can write or read
    optional |= {"cloudpickle", "pyarrow", "skops"}
    for name in imports(path):
        root = name.partition(".")[0]
        assert root in allowed | optional, name


@pytest.mark.parametrize("path", modules("mlmagics"), ids=lambda path: path.name)
def test_the_notebook_side_imports_on_windows(path):
    assert not {name.partition(".")[0] for name in imports(path, top_level=True)} & POSIX_ONLY


def test_the_shared_part_imports_on_windows_and_nothing_of_the_agents():
    seen, waiting = set(), {name for name in SHARED if name.count(".") and "__" not in name}
    while waiting:
        name = waiting.pop()
        seen.add(name)
        names = set(imports(file_of(name), top_level=True))
        assert not {part.partition(".")[0] for part in names} & POSIX_ONLY, name
        found = {part for part in ours(names) if part.count(".") and file_of(part)}
        waiting |= found - seen
    assert not {name.split(".")[1] for name in seen} & {"server", "jobs", "log", "supervisor"}
