"""Bringing what was fetched into a branch, and out of a merge or rebase again.

::

    same, or nothing new    -> nothing
    only the remote is new  -> fast-forward
    both are new            -> the person chooses: rebase or merge
    conflicts               -> back to where it was, unless they are to be kept

The working copy is never left between two states: what was begun is undone, also when it is cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

from mlmagics.lab.git.committing import HOOKS as COMMIT_HOOKS
from mlmagics.lab.git.committing import identity
from mlmagics.lab.git.looking import report
from mlmagics.lab.git.porcelain import Kind
from mlmagics.lab.git.refusals import Cancelled, Conflicts, GitRefusal, HasChanged, NoIdentity, WouldOverwrite
from mlmagics.lab.git.repository import WORK_S, Repository, failed

Mode = Literal["ff", "rebase", "merge"]
_HOOKS = (*COMMIT_HOOKS, "pre-merge-commit", "pre-rebase")
_STRATEGY = "--strategy=ort"
_MOST = 2000


class Outcome(NamedTuple):
    """What came of it."""

    state: Literal["same", "forward", "diverged", "joined", "conflict"]
    conflicts: Sequence[str] = ()
    #: commits of each side that the other has not
    ahead: int = 0
    behind: int = 0
    #: whether the conflicts are in the working copy now
    kept: bool = False


def join(
    repository: Repository,
    upstream: str,
    mode: Mode,
    *,
    keep: bool = False,
    watch: Callable[[bytes], None] | None = None,
) -> Outcome:
    """Bring ``upstream``, the full name of a fetched branch, into the branch that is checked out.

    Raises
    ------
    WouldOverwrite, NoIdentity, NotTrusted
        When there is something against it; nothing is changed then.
    Cancelled
        When that was asked for; everything is as before.
    """
    ahead, behind = _apart(repository, upstream)
    if behind == 0:
        return Outcome("same", ahead=ahead)
    repository.demand("files")
    if ahead == 0:
        _forward(repository, upstream)
        return Outcome("forward", behind=behind)
    if mode == "ff":
        return Outcome("diverged", ahead=ahead, behind=behind)
    repository.demand("merge", hooks=_HOOKS)
    if identity(repository) is None:
        raise NoIdentity()
    if mode == "merge":
        foreseen = _foreseen(repository, upstream)
        if foreseen and not keep:
            return Outcome("conflict", foreseen, ahead, behind)
        _refuse(
            repository,
            {"staged", "conflict"},
            "a merge makes a commit, and what is staged would get into it: commit or unstage it first",
        )
    else:
        _refuse(
            repository,
            {"staged", "unstaged", "conflict"},
            "a rebase needs a working copy without changes: commit or discard them first, or merge instead",
        )
    conflicts = _join(repository, upstream, mode, keep=keep, watch=watch)
    if conflicts:
        return Outcome("conflict", conflicts, ahead, behind, keep)
    return Outcome("joined", ahead=ahead, behind=behind)


def _apart(repository: Repository, upstream: str) -> tuple[int, int]:
    if repository.head() is None:
        return 0, 1
    done = repository.git(
        "rev-list", "--left-right", "--count", "--end-of-options", f"HEAD...{upstream}", "--"
    )
    ahead, _, behind = done.text.partition("\t")
    return int(ahead), int(behind)


def _forward(repository: Repository, upstream: str) -> None:
    before = repository.head()
    flags = (
        "--ff-only",
        "--quiet",
        "--no-autostash",
        "--no-overwrite-ignore",
        "--no-verify-signatures",
        "--no-stat",
    )
    # let through: ended in the middle it would leave files of two commits
    repository.git("merge", *flags, "--end-of-options", upstream, limit_s=WORK_S, through=True)
    if _cancelled(repository) and before is not None:
        _return_to(repository, before)
        raise Cancelled()


def _foreseen(repository: Repository, upstream: str) -> list[str]:
    """The conflicts of a merge, found out without touching a file; none where git cannot tell."""
    words = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", "--end-of-options")
    done = repository.ask(*words, "HEAD", upstream)
    if done.status != 1:
        return []
    names = done.text.split("\0")[1:]
    return list(dict.fromkeys(name for name in names if name))[:_MOST]


def _join(
    repository: Repository, upstream: str, mode: Mode, *, keep: bool, watch: Callable[[bytes], None] | None
) -> list[str]:
    before = repository.head()
    assert before is not None
    try:
        if mode == "merge":
            flags = (
                "--quiet",
                "--no-ff",
                "--no-edit",
                "--no-autostash",
                "--no-verify-signatures",
                "--no-stat",
            )
            words: tuple[str, ...] = (
                "merge",
                *flags,
                _STRATEGY,
                "--end-of-options",
                _readable(repository, upstream),
            )
        else:
            words = (
                "rebase",
                "--merge",
                "--no-autostash",
                "--no-stat",
                "--no-fork-point",
                "--end-of-options",
                upstream,
            )
        done = repository.ask(*words, limit_s=WORK_S, through=mode == "merge", watch=watch)
        if _cancelled(repository):
            raise Cancelled()
        if done.status == 0:
            return []
        conflicts = conflicts_of(repository)
        if conflicts and keep:
            keep_readable(repository, conflicts)
            return conflicts
        if not conflicts:
            raise failed(done)
    except BaseException:
        _undo(repository, before)
        raise
    _undo(repository, before)
    return conflicts


def _readable(repository: Repository, ref: str) -> str:
    """The name of a branch as the message of a merge is to have it; still one of that branch only."""
    done = repository.ask("rev-parse", "--abbrev-ref=strict", ref)
    return done.text if done.status == 0 and done.text else ref


def conflicts_of(repository: Repository) -> list[str]:
    """The files that have conflicts now."""
    out = repository.git("ls-files", "-z", "--unmerged", through=True).out
    names = (line.partition("\t")[2] for line in out.decode("utf-8", "surrogateescape").split("\0"))
    return list(dict.fromkeys(name for name in names if name))[:_MOST]


def keep_readable(repository: Repository, conflicts: list[str]) -> None:
    """Notebooks with conflicts as the person has them: with markers in it no program could open one."""
    books = [path for path in conflicts if path.endswith(".ipynb")]
    if not books:
        return
    flag = "--theirs" if repository.in_progress == "rebase" else "--ours"
    for path in books:
        # a side that has deleted the notebook has none to show
        with suppress(GitRefusal):
            repository.git("checkout", "--quiet", flag, "--", path)


def abort(repository: Repository) -> None:
    """Go back to before what is in progress.

    Raises
    ------
    HasChanged
        When nothing is.
    """
    going = repository.in_progress
    if going is None or going == "bisect":
        raise HasChanged("nothing is in progress that could be aborted: look again")
    repository.git(going, "--abort", limit_s=WORK_S, through=True)


def go_on(repository: Repository) -> list[str]:
    """Finish what is in progress; the files that have conflicts then, as the next commit of a rebase may bring.

    Raises
    ------
    Conflicts
        While files are not resolved.
    """
    going = repository.in_progress
    if going is None or going == "bisect":
        raise HasChanged("nothing is in progress that could go on: look again")
    conflicts = conflicts_of(repository)
    if conflicts:
        raise Conflicts(paths=conflicts)
    repository.demand("files", "merge", hooks=_HOOKS)
    if identity(repository) is None:
        raise NoIdentity()
    if going == "rebase" and _nothing_left(repository):
        # the person has taken the other side of everything: this commit has become empty
        done = repository.ask("rebase", "--skip", limit_s=WORK_S, through=True)
    else:
        done = repository.ask(going, "--continue", limit_s=WORK_S, through=True)
    conflicts = conflicts_of(repository)
    if conflicts:
        keep_readable(repository, conflicts)
    elif done.status != 0:
        raise failed(done)
    return conflicts


def _nothing_left(repository: Repository) -> bool:
    # an amended commit of an interactive rebase is no empty one
    if not (repository.git_dir / "rebase-merge" / "stopped-sha").exists():
        return False
    done = repository.ask(
        "diff", "--cached", "--quiet", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty"
    )
    return done.status == 0


def _undo(repository: Repository, before: str) -> None:
    """To the commit and the files from before."""
    going = repository.in_progress
    if going in ("merge", "rebase"):
        repository.git(going, "--abort", limit_s=WORK_S, through=True)
    elif _head_now(repository) != before:
        _return_to(repository, before)


def _head_now(repository: Repository) -> str | None:
    done = repository.ask("rev-parse", "--verify", "--quiet", "--end-of-options", "HEAD", through=True)
    return done.text if done.status == 0 else None


def _return_to(repository: Repository, commit: str) -> None:
    """To ``commit``, with changes that are not committed kept."""
    repository.git("reset", "--keep", "--quiet", commit, limit_s=WORK_S, through=True)


def _refuse(repository: Repository, kinds: set[Kind], why: str) -> None:
    """Refuse for the files that differ in one of these ways."""
    changed = [entry.path for entry in report(repository).entries if {*entry.kinds} & kinds]
    if changed:
        raise WouldOverwrite(why, paths=changed[:_MOST])


def _cancelled(repository: Repository) -> bool:
    return repository.cancel is not None and repository.cancel.is_set()
