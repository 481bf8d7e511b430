"""Copies of the package that are broken on purpose, each with an interpreter that runs it and nothing else."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"


@dataclass(frozen=True)
class Change:
    """``old``, which stands once in the file ``path`` of the package, becomes ``new``."""

    path: str
    old: str
    new: str

    def changed(self, source: Path) -> str:
        """The file's text as it is to be."""
        text = (source / self.path).read_text(encoding="utf-8")
        found = text.count(self.old)
        assert found == 1, f"{self.path} has {self.old!r} {found} times: this change has to be written anew"
        return text.replace(self.old, self.new)

    def apply(self, source: Path) -> None:
        (source / self.path).write_text(self.changed(source), encoding="utf-8")


def copy_package(folder: Path, changes: Iterable[Change] = (), source: Path = SOURCE) -> str:
    """The interpreter of a changed copy of the packages in ``source``.

    A copied package is found before an installed one, also by an interpreter that is started isolated, as
    supervisors are. That is what an environment of its own is for; all else it has from this one.
    """
    code = folder / "src"
    shutil.copytree(source, code, ignore=shutil.ignore_patterns("__pycache__"))
    for change in changes:
        change.apply(code)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / "lib" / version / "site-packages"
    site.mkdir(parents=True)
    (site / "copy.pth").write_text(f"{code}\n{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    base = os.path.realpath(sys.executable)
    (folder / "pyvenv.cfg").write_text(f"home = {Path(base).parent}\n", encoding="utf-8")
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(base)
    return str(python)
