"""Fetch, pull and push: what a task does, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mlmagics.lab.git.asking import Wanted, answering
from mlmagics.lab.git.grammar import Address, check_remote, read_address, shown
from mlmagics.lab.git.keeping import Vault, keeps
from mlmagics.lab.git.looking import chosen_remote
from mlmagics.lab.git.merging import Mode, Outcome, join
from mlmagics.lab.git.program import Done
from mlmagics.lab.git.refusals import (
    AccessDenied,
    AddressRefused,
    HeadDetached,
    InProgress,
    NoRemote,
    NothingStaged,
)
from mlmagics.lab.git.repository import WORK_S, Repository, failed
from mlmagics.lab.git.scanning import not_allowed, scan

Ending = dict[str, Any]
#: Where fetched branches may be put: never over those of the person.
_OWN_PLACES = ("refs/remotes/", "refs/tags/", "refs/notes/", "refs/pull/", "refs/merge-requests/")


class NeedsCredentials(Exception):
    """A remote lets nobody in without credentials that are not known."""

    def __init__(self, wanted: Wanted, message: str = "") -> None:
        self.wanted = wanted
        #: what git has said, where that tells more
        self.message = message
        super().__init__(wanted.host)


class Target(NamedTuple):
    """A remote, and where it is."""

    remote: str
    addresses: list[Address]


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What a task has at hand."""

    vault: Vault
    #: gets what git writes about its progress
    watch: Callable[[bytes], None]


def fetch(repository: Repository, reach: Reach, remote: str | None = None) -> Ending:
    """Get what is new at a remote; branches and files stay as they are."""
    target = find_target(repository, remote, _branch(repository))
    _fetch(repository, reach, target)
    return {"message": f"fetched from {target.remote}"}


def pull(repository: Repository, reach: Reach, mode: Mode, *, keep: bool) -> Ending:
    """Get what is new at the remote into the branch that is checked out."""
    branch = _branch(repository)
    going = repository.in_progress
    if going:
        raise InProgress(f"a {going} is in progress: finish it, or abort it first")
    if branch is None:
        raise HeadDetached()
    upstream = _upstream(repository, branch)
    if upstream.startswith("refs/remotes/"):
        remote = repository.configuration.get(f"branch.{branch}.remote")
        _fetch(repository, reach, find_target(repository, remote, branch))
        if repository.commit(upstream) is None:
            raise NoRemote(
                f"the remote has no branch {_short(upstream)} any more: push {shown(branch)}, or switch"
            )
    return _told(join(repository, upstream, mode, keep=keep, watch=reach.watch), branch, _short(upstream))


def push(
    repository: Repository, reach: Reach, *, remote: str | None, set_upstream: bool, allowed: Sequence[str]
) -> Ending:
    """Send the commits of the branch that is checked out, and nothing by force."""
    branch = _branch(repository)
    if branch is None:
        raise HeadDetached()
    if repository.head() is None:
        raise NothingStaged("there is no commit yet: commit something first")
    target = find_target(repository, remote, branch, push=True)
    repository.demand("network", hooks=("pre-push",))
    found = scan(repository, branch, target.remote)
    open_findings = not_allowed(found["findings"], allowed)
    if open_findings:
        count = len(open_findings)
        return {
            "state": "needs_choice",
            "choice": "secrets",
            "findings": open_findings,
            "unscanned": found["unscanned"],
            "code": "git_secrets",
            "message": f"{count} {'place looks' if count == 1 else 'places look'} like a password or token",
            "next": "take them out of the commits, or push all the same when they are none",
        }
    follows = repository.configuration.get(f"branch.{branch}.merge") is not None
    flags = ["--set-upstream"] if set_upstream and not follows else []
    ref = f"refs/heads/{branch}"
    words = (
        "push",
        "--porcelain",
        "--progress",
        "--no-follow-tags",
        "--no-signed",
        "--recurse-submodules=no",
    )
    done = _reach(
        repository, reach, target, (*words, *flags, "--end-of-options", target.remote, f"{ref}:{ref}")
    )
    news = any(line[:1] in "* +" for line in done.text.split("\n") if "\t" in line)
    name = f"{target.remote}/{shown(branch)}"
    message = f"pushed to {name}" if news else f"{name} has everything already"
    skipped = repository.skipped("pre-push")
    if skipped:
        message += "; the hook pre-push was skipped"
    return {"message": message, "unscanned": found["unscanned"]}


def look_through(repository: Repository, remote: str | None) -> Ending:
    """Secrets in what a push would send."""
    branch = _branch(repository)
    if branch is None:
        raise HeadDetached()
    if repository.head() is None:
        return {"findings": [], "commits": 0, "unscanned": None}
    return scan(repository, branch, find_target(repository, remote, branch, push=True).remote)


def find_target(
    repository: Repository, remote: str | None, branch: str | None, *, push: bool = False
) -> Target:
    """The remote that is meant, with addresses that may be used.

    Raises
    ------
    NoRemote
        When there is none, or several and none is meant.
    AddressRefused
        When an address is not one for https or ssh.
    """
    remotes = repository.configuration.remotes()
    name = remote or chosen_remote(repository, branch)
    if name is None:
        if remotes:
            names = ", ".join(shown(known) for known in remotes)
            raise NoRemote(f"there are several remotes ({names}): say which one", field="remote")
        raise NoRemote()
    check_remote(name)
    if name not in remotes:
        raise NoRemote(f"there is no remote {name}", field="remote")
    which = ("--push",) if push else ()
    urls = repository.git("remote", "get-url", "--all", *which, "--end-of-options", name).text.split("\n")
    return Target(name, [read_address(url) for url in urls])


def _fetch(repository: Repository, reach: Reach, target: Target) -> None:
    repository.demand("network")
    for spec in repository.configuration.all(f"remote.{target.remote}.fetch"):
        place = spec.partition(":")[2]
        if place and not place.startswith(_OWN_PLACES):
            raise AddressRefused(
                f"the remote {target.remote} is set to fetch into {shown(place)}, over your own branches: "
                "use git in a terminal"
            )
    flags = ("--progress", "--no-auto-maintenance", "--no-recurse-submodules", "--no-write-fetch-head")
    words = ("fetch", *flags, "--no-prune-tags", "--no-update-head-ok", "--end-of-options", target.remote)
    _reach(repository, reach, target, words)


def _reach(repository: Repository, reach: Reach, target: Target, words: Sequence[str]) -> Done:
    """A call of git that talks to a remote."""
    hosts = frozenset(address.host for address in target.addresses if address.scheme == "https")
    with answering(hosts, reach.vault, repository.configuration, trusted=repository.trusted) as asked:
        done = repository.ask(
            *words,
            network=True,
            settings=asked.settings,
            variables=asked.variables,
            limit_s=WORK_S,
            watch=reach.watch,
        )
    if done.status == 0:
        return done
    wanted = asked.teller.wanted
    why = failed(done)
    if wanted is not None:
        if wanted.refused:
            reach.vault.forget(wanted.host)
        raise NeedsCredentials(wanted)
    if asked.used and isinstance(why, AccessDenied):
        # let in, but not to this: another token may be
        raise NeedsCredentials(Wanted(asked.used[0], "", refused=True), why.message)
    raise why


def credentials_of(wanted: Wanted) -> dict[str, Any]:
    """What the person is asked for."""
    return {
        "kind": wanted.kind,
        "host": wanted.host,
        "username": wanted.username,
        "refused": wanted.refused,
        "keeps": keeps(),
    }


def _branch(repository: Repository) -> str | None:
    done = repository.ask("symbolic-ref", "--quiet", "HEAD")
    branch = done.text.removeprefix("refs/heads/")
    return branch if done.status == 0 and branch != done.text else None


def _upstream(repository: Repository, branch: str) -> str:
    done = repository.ask("rev-parse", "--symbolic-full-name", "@{upstream}")
    if done.status == 0:
        return done.text
    configuration = repository.configuration
    remote, merge = (configuration.get(f"branch.{branch}.{key}") for key in ("remote", "merge"))
    if remote and merge and merge.startswith("refs/heads/"):
        return f"refs/remotes/{check_remote(remote)}/{merge.removeprefix('refs/heads/')}"
    if not configuration.remotes():
        raise NoRemote()
    raise NoRemote(
        f"{shown(branch)} follows no branch of a remote: push it first, or set one with git branch -u"
    )


def _short(ref: str) -> str:
    return shown(ref.removeprefix("refs/remotes/").removeprefix("refs/heads/"))


def _told(outcome: Outcome, branch: str, upstream: str) -> Ending:
    ahead, behind = outcome.ahead, outcome.behind
    commits = f"{behind} new commit{'' if behind == 1 else 's'}"
    if outcome.state == "same":
        return {"message": f"{shown(branch)} has all that is in {upstream}"}
    if outcome.state in ("forward", "joined"):
        return {"message": f"{commits} from {upstream}"}
    if outcome.state == "diverged":
        return {
            "state": "needs_choice",
            "choice": "diverged",
            "choices": ["rebase", "merge"],
            "ahead": ahead,
            "behind": behind,
            "message": f"{shown(branch)} and {upstream} both have commits that the other has not",
            "next": "rebase puts yours on top of theirs, merge joins both with one more commit",
        }
    count = len(outcome.conflicts)
    files = f"{count} file{' was' if count == 1 else 's were'} changed on both sides"
    return {
        "state": "conflict",
        "conflicts": [*outcome.conflicts],
        "kept": outcome.kept,
        "code": "git_conflicts",
        "message": files if outcome.kept else f"{files}; your branch is as it was",
        "next": "resolve them and continue, or abort"
        if outcome.kept
        else "resolve them, or leave it for now",
    }
