"""Bodies of the calls on git."""

from __future__ import annotations

from typing import Literal

import msgspec


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call on the repository of a path."""

    #: file or folder relative to the one that Jupyter serves; "" is that one
    path: str = ""


class Files(Asked, frozen=True, kw_only=True):
    """Files by their paths in the repository, or all rows of a kind."""

    paths: list[str] | None = None
    all: Literal["unstaged", "untracked", "both", "staged"] | None = None


class Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row as it was shown."""

    path: str
    kind: Literal["unstaged", "untracked"]


class Discard(Asked, frozen=True, kw_only=True):
    """What is to be thrown away."""

    files: list[Shown]


class Diff(Asked, frozen=True, kw_only=True):
    """One file."""

    file: str
    staged: bool = False
    kind: Literal["", "staged", "unstaged", "untracked", "conflict"] = ""


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who commits."""

    name: str
    email: str
    #: whether it is written into the configuration of the repository
    keep: bool = True


class Commit(Asked, frozen=True, kw_only=True):
    """A commit of what is staged."""

    message: str
    author: Person | None = None
    strip_outputs: bool = False


class Switch(Asked, frozen=True, kw_only=True):
    """Another branch."""

    branch: str
    remote: bool = False


class Trusting(Asked, frozen=True, kw_only=True):
    """Whether the programs that a repository brings may run."""

    digest: str
    trusted: bool


class Fetch(Asked, frozen=True, kw_only=True):
    """A fetch; a quiet one asks nobody for credentials."""

    remote: str | None = None
    quiet: bool = False


class Pull(Asked, frozen=True, kw_only=True):
    """A pull."""

    mode: Literal["ff", "rebase", "merge"] = "ff"
    keep_conflicts: bool = False


class Push(Asked, frozen=True, kw_only=True):
    """A push."""

    remote: str | None = None
    set_upstream: bool = True
    #: fingerprints of findings that are no secrets
    allow: list[str] = []


class Resolve(Asked, frozen=True, kw_only=True):
    """A side for files with conflicts."""

    paths: list[str]
    side: Literal["mine", "theirs", "marked"]


class Scan(Asked, frozen=True, kw_only=True):
    """What a push would send."""

    remote: str | None = None


class Credentials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user name and a token for one host; or that they are to be forgotten."""

    host: str
    username: str = ""
    token: str = ""
    keep: Literal["memory", "keyring"] = "memory"
    forget: bool = False
