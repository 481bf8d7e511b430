"""Branches: which there are, and switching between them."""

from __future__ import annotations

from typing import Any

from mlmagics.errors import BadValue
from mlmagics.lab.git.grammar import check_branch, check_remote, shown
from mlmagics.lab.git.refusals import Cancelled, HasChanged, InProgress
from mlmagics.lab.git.repository import WORK_S, Repository

#: Branches that are told, of each side.
_MOST = 500
_FORMAT = "--format=%(refname)%00%(symref)%00%(objectname:short)%00%(committerdate:unix)%00%(upstream:short)%00%(contents:subject)"
_FORMAT_WITH_COUNTS = f"{_FORMAT}%00%(upstream:track,nobracket)"


def branches(repository: Repository) -> dict[str, Any]:
    """Local branches and those of remotes, the last changed first."""
    local = _list(repository, "refs/heads", _FORMAT_WITH_COUNTS)
    remote = _list(repository, "refs/remotes", _FORMAT)
    head = repository.ask("symbolic-ref", "--quiet", "--short", "HEAD")
    rows = [*(_row(fields, remote=False) for fields in local[:_MOST])]
    rows += [_row(fields, remote=True) for fields in remote[:_MOST] if not fields[1]]
    left_out = max(0, len(local) - _MOST) + max(0, len(remote) - _MOST)
    return {"current": head.text if head.status == 0 else None, "branches": rows, "truncated": left_out}


def _list(repository: Repository, where: str, shape: str) -> list[list[str]]:
    # counting commits for thousands of branches takes minutes
    done = repository.git("for-each-ref", f"--count={_MOST + 1}", "--sort=-committerdate", shape, where)
    return [line.split("\0") for line in done.text.split("\n") if line]


def _row(fields: list[str], *, remote: bool) -> dict[str, Any]:
    name, _, commit, at, upstream, subject, *track = fields
    ahead, behind = _track(track[0]) if track and upstream else (None, None)
    return {
        "name": shown(name.removeprefix("refs/remotes/" if remote else "refs/heads/")),
        "remote": remote,
        "upstream": shown(upstream) or None,
        "ahead": ahead,
        "behind": behind,
        "commit": commit,
        "subject": shown(subject),
        "at": int(at) if at.isdecimal() else 0,
    }


def _track(text: str) -> tuple[int | None, int | None]:
    if text == "gone":
        return None, None
    counts = dict(part.split(" ") for part in text.split(", ") if " " in part)
    return int(counts.get("ahead", 0)), int(counts.get("behind", 0))


def switch(repository: Repository, branch: str, *, remote: bool = False) -> str:
    """Check out another branch; changes that are not committed go along.

    With ``remote``, ``branch`` is one of a remote, and the local branch that follows it is made. Returns its name.

    Raises
    ------
    WouldOverwrite
        When a change would be lost; nothing is done then.
    """
    repository.demand("files")
    check_branch(branch)
    if repository.in_progress:
        raise InProgress(f"a {repository.in_progress} is in progress: finish it, or abort it first")
    before = _current(repository)
    if remote:
        name = _follow(repository, branch)
    else:
        name = branch
        if repository.commit(f"refs/heads/{branch}") is None:
            raise HasChanged(f"there is no branch {shown(branch)} any more: look again")
        _go(repository, branch)
    if repository.cancel is not None and repository.cancel.is_set():
        _back(repository, before)
        if remote:
            _forget(repository, name)
        raise Cancelled()
    return name


def _go(repository: Repository, *words: str) -> None:
    # let through: a working copy between two branches helps nobody
    flags = ("--quiet", "--no-guess", "--no-overwrite-ignore", "--no-recurse-submodules")
    *more, target = words
    repository.git("switch", *flags, *more, "--end-of-options", target, limit_s=WORK_S, through=True)


def _follow(repository: Repository, branch: str) -> str:
    origin, _, name = branch.partition("/")
    known = sorted(repository.configuration.remotes(), key=len, reverse=True)
    for candidate in known:
        if branch.startswith(f"{candidate}/"):
            origin, name = candidate, branch[len(candidate) + 1 :]
            break
    check_remote(origin)
    check_branch(name)
    if repository.commit(f"refs/remotes/{branch}") is None:
        raise HasChanged(f"there is no branch {shown(branch)} any more: look again")
    if repository.commit(f"refs/heads/{name}") is not None:
        raise BadValue(f"there is a branch {shown(name)} already: switch to that one", field="branch")
    repository.git("branch", "--quiet", "--track", "--end-of-options", name, f"refs/remotes/{branch}")
    try:
        _go(repository, name)
    except BaseException:
        _forget(repository, name)
        raise
    return name


def _forget(repository: Repository, name: str) -> None:
    """Take back a branch that was made a moment ago."""
    repository.ask("branch", "--quiet", "--delete", "--force", "--end-of-options", name, through=True)


def _current(repository: Repository) -> tuple[str | None, str | None]:
    head = repository.ask("symbolic-ref", "--quiet", "--short", "HEAD")
    return (head.text if head.status == 0 else None), repository.head()


def _back(repository: Repository, before: tuple[str | None, str | None]) -> None:
    """To where it was: cancelled too late to stay there."""
    branch, commit = before
    if branch is not None:
        _go(repository, branch)
    elif commit is not None:
        _go(repository, "--detach", commit)
