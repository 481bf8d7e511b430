"""What ``git status --porcelain=v2 -z --branch`` says, as values. Pure.

Names are text with one surrogate for each byte that is no UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["conflict", "staged", "unstaged", "untracked"]

#: By the letters of git, seen from the branch that is checked out.
CONFLICTS = {
    "DD": "both deleted",
    "AU": "added by us",
    "UD": "deleted by them",
    "UA": "added by them",
    "DU": "deleted by us",
    "AA": "both added",
    "UU": "both changed",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One file that is not as in the last commit."""

    path: str
    #: letters of git: what differs between commit and index, and between index and working copy
    index: str = "."
    worktree: str = "."
    old_path: str | None = None
    #: mode and object that the last commit has
    head_mode: str = ""
    head_oid: str = ""
    #: mode and object that the index has
    mode: str = ""
    oid: str = ""
    submodule: bool = False
    #: objects of base, ours and theirs; "" where a side has none
    stages: tuple[str, str, str] = ("", "", "")

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """In which lists it stands."""
        if self.index == "?":
            return ("untracked",)
        if any(self.stages):
            return ("conflict",)
        kinds: list[Kind] = []
        kinds += ["staged"] if self.index != "." else []
        kinds += ["unstaged"] if self.worktree != "." else []
        return tuple(kinds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """A whole answer."""

    #: None before the first commit
    commit: str | None = None
    #: None where no branch is checked out
    branch: str | None = None
    upstream: str | None = None
    ahead: int | None = None
    behind: int | None = None
    #: all that git knows of
    entries: list[Entry] = field(default_factory=list)
    #: names only: there may be a hundred thousand
    untracked: list[str] = field(default_factory=list)

    def every(self) -> list[Entry]:
        """All entries, untracked files among them."""
        return [*self.entries, *map(untracked_entry, self.untracked)]


def read_report(data: bytes) -> Report:
    """The answer ``data`` of git, as far as it is whole."""
    header: dict[str, str] = {}
    entries: list[Entry] = []
    untracked: list[str] = []
    fields = iter(_fields(data))
    for text in fields:
        if text.startswith("? "):
            untracked.append(text[2:])
        elif text.startswith("# "):
            name, _, value = text[2:].partition(" ")
            header[name] = value
        else:
            entry = _entry(text, fields)
            if entry is not None:
                entries.append(entry)
    commit, branch = header.get("branch.oid"), header.get("branch.head")
    ahead, behind = _counts(header.get("branch.ab"))
    return Report(
        commit=None if commit in (None, "(initial)") else commit,
        branch=None if branch in (None, "(detached)") else branch,
        upstream=header.get("branch.upstream"),
        ahead=ahead,
        behind=behind,
        entries=entries,
        untracked=untracked,
    )


def untracked_entry(path: str) -> Entry:
    """An entry for a file that git does not know."""
    return Entry(path=path, index="?", worktree="?")


def _fields(data: bytes) -> list[str]:
    whole = data[: data.rfind(b"\0") + 1]
    return whole.decode("utf-8", "surrogateescape").split("\0")[:-1]


def _counts(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    ahead, _, behind = text.partition(" ")
    return int(ahead.lstrip("+")), int(behind.lstrip("-"))


def _entry(text: str, rest: Iterator[str]) -> Entry | None:
    letter = text[:1]
    if letter == "1":
        _, letters, sub, head_mode, mode, _, head_oid, oid, path = text.split(" ", 8)
        return Entry(
            path=path,
            index=letters[0],
            worktree=letters[1],
            head_mode=head_mode,
            head_oid=head_oid,
            mode=mode,
            oid=oid,
            submodule=sub[0] == "S",
        )
    if letter == "2":
        _, letters, sub, head_mode, mode, _, head_oid, oid, _, path = text.split(" ", 9)
        return Entry(
            path=path,
            index=letters[0],
            worktree=letters[1],
            head_mode=head_mode,
            head_oid=head_oid,
            mode=mode,
            oid=oid,
            submodule=sub[0] == "S",
            old_path=next(rest, None),
        )
    if letter == "u":
        _, letters, sub, *modes, path = text.split(" ", 10)
        stages = tuple(
            oid if mode != "000000" else "" for mode, oid in zip(modes[:3], modes[4:7], strict=True)
        )
        return Entry(
            path=path,
            index=letters[0],
            worktree=letters[1],
            submodule=sub[0] == "S",
            stages=(stages[0], stages[1], stages[2]),
        )
    return None
