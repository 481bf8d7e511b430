"""Modules that lie beside the notebook: which of them travel, with all that they import of each other."""

from __future__ import annotations

import ast
import functools
import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlmagics.errors import BadValue

_MAX_FILES = 1000
_OURS = frozenset({"mlmagics", "mlmagics_job", "cluster_agent"})


@dataclass(frozen=True, order=True)
class LocalFile:
    """A module that travels: its path where it is imported from, and where it lies."""

    path: str
    file: Path


@dataclass
class LocalModules:
    """The modules of the folders that a notebook imports its own code from.

    Parameters
    ----------
    path
        Where Python looks for modules, in this order.
    folder
        What an empty entry of it means.
    """

    path: Sequence[str]
    folder: Path
    _seen: dict[str, list[LocalFile]] = field(default_factory=dict)

    def has(self, module: str) -> bool:
        """Whether ``module`` is one of them."""
        return bool(self._files(module))

    def needed(self, modules: Iterable[str]) -> list[LocalFile]:
        """The files of ``modules`` and of all that these import of their like.

        Raises
        ------
        BadValue
            When they are too many.
        """
        found: dict[str, LocalFile] = {}
        todo = list(modules)
        seen = set(todo)
        while todo:
            for file in self._files(todo.pop()):
                if file.path in found:
                    continue
                found[file.path] = file
                new = {module for module in _imported(file) if module not in seen}
                seen |= new
                todo += sorted(new)
                if len(found) > _MAX_FILES:
                    raise BadValue(
                        f"{file.path} and the modules that it imports are more than {_MAX_FILES} files: install them "
                        "where the job runs, or put them under project://",
                        field="send",
                    )
        return sorted(found.values())

    def _files(self, module: str) -> list[LocalFile]:
        """The file of ``module`` and those of the packages that it is in; none when it is not local."""
        if module not in self._seen:
            self._seen[module] = self._find(module)
        return self._seen[module]

    def _find(self, module: str) -> list[LocalFile]:
        top = module.partition(".")[0]
        if not top or top in sys.stdlib_module_names or top in _OURS:
            return []
        for entry in self.path:
            folder = Path(entry) if entry else self.folder
            if not _holds(folder, top):
                continue
            return _chain(folder, module) if _is_own(folder, self.folder) else []
        return []


def local_modules() -> LocalModules:
    """Those of this process."""
    return LocalModules([*sys.path], Path.cwd())


def _holds(folder: Path, top: str) -> bool:
    return (folder / f"{top}.py").is_file() or (folder / top).is_dir()


def _chain(folder: Path, module: str) -> list[LocalFile]:
    """The files that Python reads for ``module``: of each package on the way, then its own."""
    found: list[LocalFile] = []
    inner = folder
    for part in module.split("."):
        package, file = inner / part / "__init__.py", inner / f"{part}.py"
        if package.is_file():
            found.append(_local(folder, package))
        elif file.is_file():
            return [*found, _local(folder, file)]
        elif not (inner / part).is_dir():
            break  # a name in the module before it
        inner = inner / part
    return found


def _local(folder: Path, file: Path) -> LocalFile:
    return LocalFile(file.relative_to(folder).as_posix(), file)


def _is_own(folder: Path, beside: Path) -> bool:
    """Whether what lies in ``folder`` is the person's own code, not an installed package."""
    real = os.path.realpath(folder)
    parts = Path(real).parts
    if "site-packages" in parts or "dist-packages" in parts:
        return False
    if real == os.path.realpath(beside):
        return True
    return real not in _installed()


@functools.cache
def _installed() -> frozenset[str]:
    """Folders that came with Python, or with packages that are installed in place."""
    paths = sysconfig.get_paths()
    folders = {paths["stdlib"], paths["platstdlib"], *sys.builtin_module_names}
    folders |= {os.path.join(paths["platstdlib"], "lib-dynload")}  # noqa: PTH118 - as Python itself writes it
    for place in {*site.getsitepackages(), site.getusersitepackages(), paths["purelib"], paths["platlib"]}:
        folders.add(place)
        for file in Path(place).glob("*.pth"):
            folders |= {line for line in _lines(file) if Path(line).is_absolute()}
    return frozenset(os.path.realpath(folder) for folder in folders)


def _lines(file: Path) -> list[str]:
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return []


def _imported(file: LocalFile) -> Iterator[str]:
    """The modules that a file imports anywhere in it."""
    try:
        tree = ast.parse(file.file.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return
    package = file.path.removesuffix(".py").removesuffix("/__init__").split("/")
    if not file.path.endswith("/__init__.py"):
        package = package[:-1]
    yield from imports_of(tree, package)


def imports_of(tree: ast.AST, package: Sequence[str] = ()) -> Iterator[str]:
    """The modules that ``tree``, code of the package ``package``, imports anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = list(package[: len(package) - node.level + 1]) if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base:
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")
