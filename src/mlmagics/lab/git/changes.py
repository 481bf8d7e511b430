"""What the person does to files: stage, unstage, discard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from mlmagics.lab.git.grammar import check_path, shown
from mlmagics.lab.git.looking import is_copy, is_repository, report
from mlmagics.lab.git.porcelain import Entry, Kind
from mlmagics.lab.git.refusals import Conflicts, HasChanged, MarkersLeft
from mlmagics.lab.git.repository import WORK_S, Repository

#: Which rows a call without paths means.
Which = Literal["unstaged", "untracked", "both", "staged"]
_FROM_STDIN = ("--pathspec-from-file=-", "--pathspec-file-nul")
#: Of the paths that are given to one call as words.
_WORDS_BYTES = 64_000
_MARKERS = (b"<<<<<<< ", b">>>>>>> ")


def stage(repository: Repository, paths: Sequence[str] | None, which: Which | None) -> int:
    """Put files into the next commit; how many."""
    repository.demand("files")
    entries = _named(repository, paths, which, ("unstaged", "untracked"))
    _refuse_conflicts(entries)
    inner = [
        entry.path for entry in entries if entry.path.endswith("/") and is_repository(repository, entry.path)
    ]
    if inner:
        raise HasChanged(
            f"{shown(inner[0])} is a repository of its own: add it as a submodule in a terminal, "
            "or have it ignored in .gitignore",
            paths=inner,
        )
    # exact paths: patterns, as git add takes them, would be tried on every file
    words = ("update-index", "--add", "--remove", "--replace", "-z", "--stdin")
    _each(repository, words, _files_of(repository, [entry.path for entry in entries]))
    return len(entries)


def unstage(repository: Repository, paths: Sequence[str] | None, which: Which | None) -> int:
    """Take files out of the next commit; their working copies stay."""
    entries = _named(repository, paths, which, ("staged",))
    _refuse_conflicts(entries)
    lines = []
    for entry in entries:
        back = entry.old_path or entry.path
        if back != entry.path or not entry.head_oid.strip("0"):
            lines.append(f"0 {'0' * len(entry.oid)}\t{entry.path}")
        if entry.head_oid.strip("0"):
            lines.append(f"{entry.head_mode} {entry.head_oid}\t{back}")
    _each(repository, ("update-index", "-z", "--index-info"), lines)
    return len(entries)


def discard(repository: Repository, files: Sequence[tuple[str, str]]) -> int:
    """Take files back to what is staged, and delete untracked ones; ``files`` has paths and kinds as shown.

    Raises
    ------
    HasChanged
        When something is not as it was shown; nothing is done then.
    """
    repository.demand("files")
    entries = report(repository).every()
    found = {(entry.path, kind) for entry in entries for kind in entry.kinds if not entry.submodule}
    other = [path for path, kind in files if (check_path(path), kind) not in found]
    if other:
        raise HasChanged(
            f"{shown(other[0])} is not as it was shown: look again; nothing was discarded", paths=other
        )
    untracked = [path for path, kind in files if kind == "untracked"]
    inner = [path for path in untracked if path.endswith("/") and is_repository(repository, path)]
    if inner:
        raise HasChanged(
            f"{shown(inner[0])} is a repository of its own: delete it in a terminal if you mean it",
            paths=inner,
        )
    _each(
        repository,
        ("restore", "--worktree", *_FROM_STDIN),
        [path for path, kind in files if kind == "unstaged"],
    )
    for some in _portions(untracked):
        repository.git("clean", "--force", "-d", "--quiet", "--", *some, limit_s=WORK_S)
    return len(files)


def resolve(repository: Repository, paths: Sequence[str], side: Literal["mine", "theirs", "marked"]) -> int:
    """Take one side of files with conflicts, or the files as they are."""
    repository.demand("files")
    wanted = {check_path(path) for path in paths}
    entries = [
        entry for entry in report(repository).entries if "conflict" in entry.kinds and entry.path in wanted
    ]
    gone = wanted - {entry.path for entry in entries}
    if gone:
        raise HasChanged(f"{shown(min(gone))} has no conflict any more: look again", paths=sorted(gone))
    if side == "marked":
        _refuse_markers(repository, [entry.path for entry in entries])
        _each(repository, ("add", "--all", *_FROM_STDIN), [entry.path for entry in entries])
        return len(entries)
    # a rebase puts the person's commits on top of the others', and calls those of the others ours
    swapped = repository.in_progress == "rebase"
    stage_number = 1 if (side == "mine") is not swapped else 2
    there = [entry.path for entry in entries if entry.stages[stage_number]]
    away = [entry.path for entry in entries if not entry.stages[stage_number]]
    flag = "--ours" if stage_number == 1 else "--theirs"
    _each(repository, ("checkout", "--quiet", flag, *_FROM_STDIN), there)
    _each(repository, ("add", "--all", *_FROM_STDIN), there)
    _each(repository, ("rm", "--quiet", "--force", *_FROM_STDIN), away)
    return len(entries)


def _files_of(repository: Repository, paths: Sequence[str]) -> list[str]:
    """``paths`` with untracked folders as the files in them."""
    folders = tuple(path for path in paths if path.endswith("/"))
    if not folders:
        return [*paths]
    others = repository.git("ls-files", "-z", "--others", "--exclude-standard").out
    names = others.decode("utf-8", "surrogateescape").split("\0")
    # what ends with a slash here is a repository of its own
    inside = [
        name
        for name in names
        if name
        and not name.endswith("/")
        and name.startswith(folders)
        and not is_copy(name, repository.folder)
    ]
    return [*(path for path in paths if not path.endswith("/")), *inside]


def _named(
    repository: Repository, paths: Sequence[str] | None, which: Which | None, kinds: Sequence[Kind]
) -> list[Entry]:
    """The rows that a call means, out of those that there are now."""
    entries = [entry for entry in report(repository).every() if {*entry.kinds} & {*kinds, "conflict"}]
    if which is not None:
        meant = {"both": ("unstaged", "untracked")}.get(which, (which,))
        return [entry for entry in entries if {*entry.kinds} & {*meant}]
    wanted = {check_path(path) for path in paths or ()}
    found = [entry for entry in entries if entry.path in wanted]
    gone = wanted - {entry.path for entry in found}
    if gone:
        raise HasChanged(
            f"{shown(min(gone))} is not among the changed files any more: look again", paths=sorted(gone)
        )
    return found


def _refuse_conflicts(entries: Sequence[Entry]) -> None:
    conflicts = [entry.path for entry in entries if "conflict" in entry.kinds]
    if conflicts:
        raise Conflicts(
            f"{shown(conflicts[0])} has a conflict: take one side, or edit it and mark it as resolved",
            paths=conflicts,
        )


def _refuse_markers(repository: Repository, paths: Sequence[str]) -> None:
    found = []
    for path in paths:
        file = repository.folder / path
        # what a link leads to is not what git would take
        if file.is_symlink() or not file.is_file():
            continue
        with file.open("rb") as lines:
            if any(line.startswith(_MARKERS) for line in lines):
                found.append(path)
    if found:
        raise MarkersLeft(
            f"{shown(found[0])} still has conflict markers: edit it first, or take one side whole",
            paths=found,
        )


def _each(repository: Repository, words: Sequence[str], paths: Sequence[str]) -> None:
    """One call about ``paths``, which go over standard input."""
    if paths:
        stdin = b"".join(path.encode("utf-8", "surrogateescape") + b"\0" for path in paths)
        repository.git(*words, stdin=stdin, limit_s=WORK_S)


def _portions(paths: Sequence[str]) -> Iterator[list[str]]:
    """``paths`` in portions that fit into a command line."""
    portion: list[str] = []
    size = 0
    for path in paths:
        length = len(path.encode("utf-8", "surrogateescape")) + 1
        if portion and size + length > _WORDS_BYTES:
            yield portion
            portion, size = [], 0
        portion.append(path)
        size += length
    if portion:
        yield portion
