"""How a repository stands: the rows of the panel."""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlmagics.lab.git.grammar import is_remote, read_address, redacted, shown
from mlmagics.lab.git.porcelain import CONFLICTS, Entry, Kind, Report, read_report, untracked_entry
from mlmagics.lab.git.reading import read_blobs, read_working
from mlmagics.lab.git.refusals import AddressRefused
from mlmagics.lab.git.repository import Repository
from mlmagics.lab.git.stripping import same_but_outputs

Row = dict[str, Any]

#: Rows that are told; the others are counted.
ROWS = 2000
_ORDER: tuple[Kind, ...] = ("conflict", "staged", "unstaged", "untracked")
#: Notebooks that are looked into for whether only outputs differ, and how much of them.
_BOOKS = 50
_BOOK_BYTES = 20 << 20
_BOOKS_BYTES = 60 << 20
_KNOWN = 2000
#: Where JupyterLab keeps copies of what is open: nobody means these, whatever .gitignore says.
_COPIES = ".ipynb_checkpoints"
#: During a rebase git calls ours what is rebased onto.
_SWAPPED = {"by us": "by them", "by them": "by us"}


def report(repository: Repository) -> Report:
    """All that git tells about its state."""
    done = repository.git(
        "status",
        "--porcelain=v2",
        "-z",
        "--branch",
        "--untracked-files=normal",
        "--ignore-submodules=dirty",
        "--ignored=no",
        "--find-renames",
        "--ahead-behind",
    )
    found = read_report(done.out)
    return dataclasses.replace(
        found, untracked=[path for path in found.untracked if not is_copy(path, repository.folder)]
    )


def is_copy(path: str, folder: Path) -> bool:
    """Whether ``path`` is one of the copies that JupyterLab keeps of open files, or a folder of nothing else."""
    if _COPIES in path.split("/"):
        return True
    if not path.endswith("/"):
        return False
    try:
        with os.scandir(folder / path) as entries:
            return all(entry.name == _COPIES for entry in entries)
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found out about a notebook, and what it was like then."""

    stamp: tuple[int, int, str]
    same: bool


class Looker:
    """Status of repositories; knows which notebooks were looked into already."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def status(self, repository: Repository) -> dict[str, Any]:
        """The answer of ``git/status`` for a repository."""
        found = report(repository)
        swapped = repository.in_progress == "rebase"
        listed = [(kind, entry) for entry in found.entries for kind in entry.kinds]
        listed.sort(key=lambda item: (_ORDER.index(item[0]), item[1].path))
        counts = {kind: sum(1 for known, _ in listed if known == kind) for kind in _ORDER}
        counts["untracked"] = len(found.untracked)
        told = sorted(found.untracked)[: max(0, ROWS - len(listed))]
        listed += [("untracked", untracked_entry(path)) for path in told]
        rows = [_row(repository, kind, entry, swapped) for kind, entry in listed[:ROWS]]
        self._mark_outputs(repository, [entry for _, entry in listed[:ROWS]], rows)
        conflicts = [entry.path for kind, entry in listed if kind == "conflict"]
        return {
            "repo": _repo(repository, found, conflicts[:ROWS]),
            "files": rows,
            "counts": counts,
            "truncated": sum(counts.values()) - len(rows),
        }

    def _mark_outputs(self, repository: Repository, entries: Sequence[Entry], rows: Sequence[Row]) -> None:
        wanted: list[tuple[Entry, Row, tuple[int, int, str]]] = []
        budget = _BOOKS_BYTES
        for entry, row in zip(entries, rows, strict=True):
            if row["kind"] != "unstaged" or entry.worktree != "M" or not entry.path.endswith(".ipynb"):
                continue
            try:
                found = os.lstat(repository.folder / entry.path)
            except OSError:
                continue
            stamp = (found.st_mtime_ns, found.st_size, entry.oid)
            known = self._known.get(str(repository.folder / entry.path))
            if known is not None and known.stamp == stamp:
                row.update({"outputs_only": True} if known.same else {})
            elif (
                stat.S_ISREG(found.st_mode)
                and found.st_size <= min(_BOOK_BYTES, budget)
                and len(wanted) < _BOOKS
            ):
                budget -= found.st_size
                wanted.append((entry, row, stamp))
        if wanted:
            self._look_into(repository, wanted)

    def _look_into(
        self, repository: Repository, wanted: Sequence[tuple[Entry, Row, tuple[int, int, str]]]
    ) -> None:
        blobs = read_blobs(repository, [entry.oid for entry, _, _ in wanted], most_bytes=_BOOKS_BYTES)
        for entry, row, stamp in wanted:
            blob = blobs.get(entry.oid)
            working = read_working(repository.folder, entry.path, _BOOK_BYTES)
            same = blob is not None and working is not None and same_but_outputs(blob, working)
            row.update({"outputs_only": True} if same else {})
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[str(repository.folder / entry.path)] = _Known(stamp, same)


def _row(repository: Repository, kind: Kind, entry: Entry, swapped: bool) -> Row:
    row: Row = {"path": entry.path, "index": entry.index, "worktree": entry.worktree, "kind": kind}
    if entry.old_path is not None:
        row["old_path"] = entry.old_path
    if entry.submodule:
        row["submodule"] = True
    if kind == "untracked" and entry.path.endswith("/"):
        row["folder"] = True
        if is_repository(repository, entry.path):
            row["repository"] = True
    if kind == "conflict":
        row["conflict"] = conflict_words(entry, swapped)
    return row


def is_repository(repository: Repository, path: str) -> bool:
    """Whether the folder ``path`` is a repository of its own."""
    return os.path.lexists(repository.folder / path / ".git")


def conflict_words(entry: Entry, swapped: bool) -> str:
    """What happened to a file with a conflict, told from the person's side."""
    words = CONFLICTS.get(entry.index + entry.worktree, "both changed")
    for us, them in _SWAPPED.items():
        if swapped and words.endswith(us):
            words = words.removesuffix(us) + them
            break
    return words.replace("by us", "by me")


def _repo(repository: Repository, found: Report, conflicts: list[str]) -> dict[str, Any]:
    brought = repository.brought
    upstream, gone = found.upstream, found.upstream is not None and found.ahead is None
    return {
        "root": repository.root,
        "name": shown(repository.folder.name),
        "branch": found.branch,
        "detached": found.branch is None,
        "commit": found.commit,
        "unborn": found.commit is None,
        "upstream": upstream,
        "gone": gone and found.commit is not None,
        "ahead": found.ahead,
        "behind": found.behind,
        "remote": chosen_remote(repository, found.branch),
        "remotes": remote_rows(repository),
        "in_progress": repository.in_progress,
        "step": repository.step,
        "conflicts": conflicts,
        "locked": repository.locked,
        "programs": None
        if brought is None
        else {
            "names": [shown(name) for name in brought.names],
            "hooks": brought.hooks,
            "trusted": brought.trusted,
            "digest": brought.digest,
        },
    }


def chosen_remote(repository: Repository, branch: str | None) -> str | None:
    """The remote that a push or pull of ``branch`` is about; None when that is open."""
    remotes = repository.configuration.remotes()
    named = repository.configuration.get(f"branch.{branch}.remote") if branch else None
    if named in remotes:
        return named
    if len(remotes) == 1:
        return next(iter(remotes))
    return "origin" if "origin" in remotes else None


def remote_rows(repository: Repository) -> list[dict[str, Any]]:
    """All remotes with their addresses, and what is wrong with them."""
    rows = []
    for name, url in repository.configuration.remotes().items():
        trouble = None if is_remote(name) else "its name cannot be used from here: rename it in a terminal"
        try:
            read_address(url)
        except AddressRefused as error:
            trouble = trouble or error.message
        rows.append({"name": shown(name), "url": shown(redacted(url)), "trouble": trouble})
    return rows
