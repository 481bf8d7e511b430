"""What an interpreter can import, and from which distributions: a program of its own, run by agents.

Prints one JSON object. Names of files are read, nothing is imported.
"""

from __future__ import annotations

import json
import os
import re
import sys
from importlib.machinery import all_suffixes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import DirEntry
    from typing import Dict, List, Tuple

    Entry = DirEntry[str]
    Names = Dict[str, str]

_SUFFIXES = sorted(all_suffixes(), key=len, reverse=True)
_RUNS = re.compile(r"[-_.]+")
_EGG = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(-py[\d.]+)?")


def main() -> None:
    """Print what this interpreter has."""
    here = os.path.dirname(os.path.abspath(__file__))
    folders = [path for path in sys.path if path and os.path.abspath(path) != here]
    modules: Names = dict.fromkeys(sys.builtin_module_names, "")
    distributions: Names = {}
    for folder in folders:
        # what agents bring along is no package of this interpreter
        _look(folder, modules, {} if os.path.abspath(folder) == os.path.dirname(here) else distributions)
    for finder in sys.meta_path:
        # that of an editable install knows names that lie in no folder of the path
        module = sys.modules.get(getattr(finder, "__module__", None) or "")
        for name in [*getattr(module, "MAPPING", ()), *getattr(module, "NAMESPACES", ())]:
            modules.setdefault(name.partition(".")[0], "")
    told = {
        "version": "%d.%d.%d" % sys.version_info[:3],
        "implementation": sys.implementation.name,
        "path": folders,
        "site": _site_folders(folders),
        "modules": modules,
        "distributions": distributions,
    }
    json.dump(told, sys.stdout)


def _site_folders(folders: List[str]) -> List[str]:
    """Those of ``folders`` into which packages are installed; what they name themselves is not among them."""
    import site

    # an old virtualenv has a module of this name that knows less
    found = list(getattr(site, "getsitepackages", list)())
    if getattr(site, "ENABLE_USER_SITE", False):
        found.append(site.getusersitepackages())
    return [folder for folder in folders if folder in found]


def _look(folder: str, modules: Names, distributions: Names) -> None:
    """Add what lies in ``folder``, unless a folder before it has the same."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return  # not there, or an archive
    found: Names = {}
    for entry in entries:
        if entry.name.endswith((".dist-info", ".egg-info")):
            name, version = _identity(entry)
            if name and name not in distributions:
                distributions[name] = version
                for module in _modules(entry):
                    found.setdefault(module, name)
    for entry in entries:
        module = _module(entry)
        if module:
            modules.setdefault(module, found.get(module, ""))


def _identity(entry: Entry) -> Tuple[str, str]:
    """Name, as it is compared, and version of a distribution."""
    stem = entry.name.rpartition(".")[0]
    match = _EGG.fullmatch(stem)
    name, version = (match.group("name"), match.group("version")) if match else (stem, "")
    if not version or entry.name.endswith(".egg-info"):
        for line in _lines(entry, "METADATA", "PKG-INFO"):
            key, _, value = line.partition(":")
            if key == "Name":
                name = value.strip()
            elif key == "Version":
                version = value.strip()
            elif not line:
                break
    return _RUNS.sub("-", name).lower(), version


def _modules(entry: Entry) -> List[str]:
    """Names of what a distribution lets one import, as far as its own lists say."""
    listed = [line.strip() for line in _lines(entry, "top_level.txt")]
    if listed:
        return [name.partition("/")[0] for name in listed if name]
    found: Names = {}
    for line in _lines(entry, "RECORD"):
        first, below, _ = line.partition(",")[0].partition("/")
        name = first if below else _stem(first)
        if name.isidentifier():
            found[name] = ""
    return list(found)


def _module(entry: Entry) -> str:
    """The name of the module or package that an entry of a folder is; empty when it is none."""
    name = _stem(entry.name) if "." in entry.name else entry.name
    is_one = name.isidentifier() and name != "__pycache__" and ("." in entry.name or entry.is_dir())
    return name if is_one else ""


def _stem(filename: str) -> str:
    """The name of the module in a file; empty when there is none in it."""
    for suffix in _SUFFIXES:
        if filename.endswith(suffix):
            return filename[: -len(suffix)]
    return ""


def _lines(entry: Entry, *names: str) -> List[str]:
    """The lines of the first of these files of a distribution that is there; of the entry itself if it is a file."""
    for path in [os.path.join(entry.path, name) for name in names] if entry.is_dir() else [entry.path]:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read().splitlines()
        except OSError:
            continue
    return []


if __name__ == "__main__":
    main()
