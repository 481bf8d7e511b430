"""Commits: who, what, and notebooks without outputs while their working copies keep them."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlmagics.errors import BadValue
from mlmagics.lab.git.grammar import check_person, shown
from mlmagics.lab.git.looking import report
from mlmagics.lab.git.porcelain import Entry
from mlmagics.lab.git.reading import read_blobs
from mlmagics.lab.git.refusals import Conflicts, NoIdentity, NothingStaged
from mlmagics.lab.git.repository import WORK_S, Repository
from mlmagics.lab.git.stripping import NotANotebook, stripped

#: Hooks that have a say in a commit.
HOOKS = ("pre-commit", "prepare-commit-msg", "commit-msg", "post-commit")
_MESSAGE_CHARS = 100_000
_BOOKS_BYTES = 512 << 20


class Author(NamedTuple):
    """Who commits."""

    name: str
    email: str


def identity(repository: Repository) -> Author | None:
    """Who git says that the person is; None when it does not know."""
    done = repository.ask("var", "GIT_AUTHOR_IDENT")
    if done.status != 0:
        return None
    name, _, rest = done.text.partition(" <")
    return Author(name, rest.partition(">")[0])


def commit(
    repository: Repository,
    message: str,
    *,
    author: Author | None = None,
    keep: bool = False,
    strip: bool = False,
) -> dict[str, Any]:
    """Commit what is staged.

    Raises
    ------
    BadValue, NoIdentity, NothingStaged, Conflicts, NotTrusted
        When there is something against it; the index is as before then.
    """
    if not message.strip() or "\x00" in message or len(message) > _MESSAGE_CHARS:
        raise BadValue("a commit needs a message that says what it changes", field="message")
    repository.demand(hooks=HOOKS)
    variables = _variables(author)
    if author is None and identity(repository) is None:
        raise NoIdentity()
    found = report(repository)
    conflicts = [entry.path for entry in found.entries if "conflict" in entry.kinds]
    if conflicts:
        raise Conflicts(paths=conflicts)
    staged = [entry for entry in found.entries if "staged" in entry.kinds]
    if not staged and repository.in_progress != "merge":
        raise NothingStaged()
    before = _strip(repository, staged) if strip else []
    try:
        repository.git(
            "commit",
            "--quiet",
            "--cleanup=whitespace",
            "--no-edit",
            "--file=-",
            stdin=message.encode("utf-8", "replace"),
            variables=variables,
            limit_s=WORK_S,
        )
    except BaseException:
        _put(repository, before)
        raise
    if author is not None and keep:
        for key, value in (("user.name", author.name), ("user.email", author.email)):
            repository.git("config", "--local", "--end-of-options", key, value)
    subject = repository.git("log", "-1", "--no-show-signature", "--format=%h%x00%s").text
    short, _, summary = subject.partition("\0")
    return {
        "commit": short,
        "summary": shown(summary),
        "branch": found.branch,
        "stripped": len(before),
        "hooks_skipped": repository.skipped(*HOOKS),
    }


def _variables(author: Author | None) -> dict[str, str]:
    if author is None:
        return {}
    name, email = check_person(*author)
    return {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", name), ("EMAIL", email))
    }


class _Old(NamedTuple):
    """What the index had for a notebook."""

    mode: str
    oid: str
    path: str


def _strip(repository: Repository, staged: list[Entry]) -> list[_Old]:
    """Put notebooks without outputs into the index; what it had for them before."""
    books = [entry for entry in staged if entry.path.endswith(".ipynb") and entry.oid.strip("0")]
    if not books:
        return []
    blobs = read_blobs(repository, [entry.oid for entry in books], most_bytes=_BOOKS_BYTES)
    before, after = [], []
    for entry in books:
        if not entry.mode.startswith("100"):
            continue
        try:
            data = blobs[entry.oid]
            bare = stripped(data)
        except (KeyError, NotANotebook):
            raise BadValue(
                f"{shown(entry.path)} is no notebook whose outputs could be left out: "
                "commit without leaving outputs out, or unstage it",
                field="strip_outputs",
            ) from None
        if bare != data:
            oid = repository.git("hash-object", "-w", "--stdin", stdin=bare).text
            before.append(_Old(entry.mode, entry.oid, entry.path))
            after.append(_Old(entry.mode, oid, entry.path))
    _put(repository, after)
    return before


def _put(repository: Repository, entries: list[_Old]) -> None:
    if entries:
        lines = "".join(f"{entry.mode} {entry.oid} 0\t{entry.path}\0" for entry in entries)
        repository.git(
            "update-index",
            "-z",
            "--index-info",
            stdin=lines.encode("utf-8", "surrogateescape"),
            through=True,
        )
