"""One repository as it is now: where it is, what it would run, and git called in it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mlmagics.lab.git.cancelling import Cancel
from mlmagics.lab.git.configured import Configuration, Need, Pairs, read_configuration
from mlmagics.lab.git.environment import environment
from mlmagics.lab.git.leftovers import Leftovers
from mlmagics.lab.git.place import find_place
from mlmagics.lab.git.program import Done, Way, run_git
from mlmagics.lab.git.refusals import (
    Cancelled,
    ForeignOwner,
    GitRefusal,
    NoRepository,
    NotTrusted,
    OutsideRoot,
    TookTooLong,
)
from mlmagics.lab.git.saying import refusal
from mlmagics.lab.git.trust import Trust, digest_of, hooks_in

#: For calls that look.
LOOK_S = 120.0
#: For calls that change many files, or run hooks of the person.
WORK_S = 3600.0
#: A lock that is younger may be that of a git that is at work right now.
_LOCK_AGE_S = 10.0
#: What is in progress, by the file in git's folder that tells it.
_SIGNS = (
    ("rebase-merge", "rebase"),
    ("rebase-apply/applying", "am"),
    ("rebase-apply", "rebase"),
    ("MERGE_HEAD", "merge"),
    ("CHERRY_PICK_HEAD", "cherry-pick"),
    ("REVERT_HEAD", "revert"),
    ("BISECT_LOG", "bisect"),
)


@dataclass(frozen=True, slots=True)
class Brought:
    """The programs that a repository brings."""

    names: list[str]
    hooks: list[str]
    #: None when nobody was asked
    trusted: bool | None
    digest: str


class Repository:
    """Made for one call of the sidebar: what its configuration says is read anew each time."""

    def __init__(
        self, served: Path, path: str, trust: Trust, *, cancel: Cancel | None = None, inherited: Any = None
    ) -> None:
        """Find the repository of ``path`` below the folder ``served``.

        Raises
        ------
        NoRepository, OutsideRoot, ForeignOwner
            When there is none that may be used.
        """
        place = find_place(served, path)
        #: the folder of its working copy
        self.folder = place.folder
        #: the same relative to the folder that is served
        self.root = place.root
        self.cancel = cancel
        self._trust = trust
        self._inherited = os.environ if inherited is None else inherited
        self._configuration: Configuration | None = None
        self.git_dir, self.common_dir = self._folders(served.resolve())

    @cached_property
    def configuration(self) -> Configuration:
        """All its settings, and the person's own."""
        return read_configuration(self._plain("config", "--list", "--show-scope", "-z", looks=True).out)

    @cached_property
    def brought(self) -> Brought | None:
        """The programs that it brings; None when there are none."""
        programs = self.configuration.programs()
        hooks = [] if self._own_hooks else hooks_in(self._hooks_folder)
        if not programs.settings and not hooks:
            return None
        digest = digest_of(programs.settings, self._hooks_folder, hooks)
        return Brought(programs.names, hooks, self._trust.of(self.folder, digest), digest)

    @property
    def trusted(self) -> bool:
        """Whether what it brings may run."""
        return self.brought is not None and bool(self.brought.trusted)

    def demand(self, *needs: Need, hooks: Sequence[str] = ()) -> None:
        """Make sure that nothing which ``needs`` or ``hooks`` names waits for an answer.

        Raises
        ------
        NotTrusted
            When something does, or when the answer was no and it cannot be done without.
        """
        brought = self.brought
        if brought is None or brought.trusted:
            return
        programs = self.configuration.programs()
        if programs.needs & set(needs):
            names = ", ".join(programs.names[:3])
            raise NotTrusted(
                f"the repository's own configuration names programs or ways to the network ({names}) that this "
                "needs: allow them when you know where they come from, or use git in a terminal"
            )
        waiting = [name for name in brought.hooks if name in hooks]
        if waiting and brought.trusted is None:
            raise NotTrusted(
                f"the repository has hooks ({', '.join(waiting)}): say whether they may run from here, or be skipped"
            )

    def skipped(self, *hooks: str) -> list[str]:
        """Those of ``hooks`` that it has and that do not run."""
        brought = self.brought
        return [] if brought is None or brought.trusted else [name for name in brought.hooks if name in hooks]

    @property
    def in_progress(self) -> str | None:
        """What was begun in it and has not ended."""
        return next((name for sign, name in _SIGNS if (self.git_dir / sign).exists()), None)

    @property
    def step(self) -> str | None:
        """How far a rebase is, as ``3/7``."""
        folder = self.git_dir / "rebase-merge"
        try:
            return f"{int((folder / 'msgnum').read_text())}/{int((folder / 'end').read_text())}"
        except (OSError, ValueError):
            return None

    @property
    def locked(self) -> str | None:
        """A sentence about a lock that somebody may have left behind."""
        try:
            age_s = time.time() - os.lstat(self.git_dir / "index.lock").st_mtime
        except OSError:
            return None
        if age_s < _LOCK_AGE_S:
            return None
        return (
            f"the file {self.root + '/' if self.root else ''}.git/index.lock has been there for {age_s / 60:.0f} min: "
            "another git is at work, or one was killed; when none runs any more, remove the file"
        )

    def head(self) -> str | None:
        """The commit that is checked out; None before the first one."""
        return self.commit("HEAD")

    def commit(self, ref: str) -> str | None:
        """The commit that ``ref``, a full and checked name, stands for."""
        done = self.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        return done.text if done.status == 0 else None

    def git(self, *words: str, **how: Any) -> Done:
        """What git says, as :meth:`ask`; a failure is raised.

        Raises
        ------
        GitRefusal
            The one that what git says amounts to.
        """
        done = self.ask(*words, **how)
        if done.status != 0 and not done.cut:
            raise refusal(f"{done.errors}\n{done.out[:65536].decode('utf-8', 'replace')}")
        return done

    def ask(
        self,
        *words: str,
        stdin: bytes | None = None,
        limit_s: float = LOOK_S,
        network: bool = False,
        settings: Pairs | None = None,
        variables: dict[str, str] | None = None,
        most_bytes: int = 256 << 20,
        watch: Callable[[bytes], None] | None = None,
        through: bool = False,
    ) -> Done:
        """What git says, also when it fails.

        Parameters
        ----------
        words
            Fixed ones, and checked values behind an end-of-options marker.
        through
            Whether it is let through to its end when the call is cancelled: what is half done then would be worse.
        """
        given = self._given(network)
        made = environment(
            self._inherited,
            above=str(self.folder.parent),
            network=network,
            hooks=self._hooks_in_use,
            settings=[*given, *(settings or [])],
            refuses=shutil.which("false") or "",
        )
        made.variables.update(variables or {})
        way = Way(
            folder=self.folder,
            environment=made,
            limit_s=limit_s,
            stdin=stdin,
            cancel=None if through else self.cancel,
            most_bytes=most_bytes,
            watch=watch,
        )
        leftovers = Leftovers(self.git_dir, self.common_dir, self.folder)
        try:
            return run_git(words, way)
        except (Cancelled, TookTooLong):
            leftovers.remove()
            raise

    def _given(self, network: bool) -> Pairs:
        configuration = self.configuration
        pairs = configuration.signing()
        if not self.trusted:
            pairs += configuration.silenced(configuration.programs())
        if network and any(is_extra(setting.key) for setting in configuration.settings):
            # a header of the person's would go along to wherever the remote leads
            pairs.append(("http.followRedirects", "false"))
        return pairs

    @cached_property
    def _own_hooks(self) -> str | None:
        """The person's own folder of hooks, which is used in all repositories."""
        folder = self.configuration.own("core.hookspath")
        if not folder:
            return None
        path = Path(folder).expanduser()
        return str(path) if path.is_absolute() and not path.is_relative_to(self.folder) else None

    @property
    def _hooks_folder(self) -> Path:
        set_path = self.configuration.get("core.hookspath")
        if set_path:
            return self.folder / Path(set_path).expanduser()
        return self.common_dir / "hooks"

    @property
    def _hooks_in_use(self) -> str | None:
        if self._own_hooks is not None:
            return self._own_hooks
        return str(self._hooks_folder) if self.trusted else None

    def _folders(self, served: Path) -> tuple[Path, Path]:
        """Git's folder and the one that working trees share; both have to be below the folder that is served."""
        done = self._plain("rev-parse", "--show-toplevel", "--absolute-git-dir", "--git-common-dir")
        if done.status != 0:
            found = refusal(done.errors)
            raise (
                found
                if isinstance(found, ForeignOwner)
                else NoRepository(f"git finds no repository it can use here: {found.message}")
            )
        lines = done.text.split("\n")
        if len(lines) != 3:
            raise NoRepository(
                "the folder of the repository has a line break in its name: use git in a terminal"
            )
        top, git_dir, common = (self.folder.joinpath(line).resolve() for line in lines)
        if top != self.folder:
            raise OutsideRoot(
                "the repository keeps its working copy in another folder: use git in a terminal"
            )
        if not (git_dir.is_relative_to(served) and common.is_relative_to(served)):
            raise OutsideRoot(
                "git keeps the repository of this folder outside of the one that Jupyter serves: use git in a terminal"
            )
        return git_dir, common

    def _plain(self, *words: str, looks: bool = False) -> Done:
        """A call that reads no more than where things are; what it needs is not known yet."""
        made = environment(self._inherited, above=str(self.folder.parent), looks=looks)
        return run_git(words, Way(folder=self.folder, environment=made, limit_s=LOOK_S, cancel=self.cancel))


def is_extra(key: str) -> bool:
    """Whether ``key`` adds headers or cookies to every request."""
    return key.startswith("http.") and key.endswith((".extraheader", ".cookiefile"))


def failed(done: Done) -> GitRefusal:
    """The refusal that a call has ended with."""
    return refusal(f"{done.errors}\n{done.out[:65536].decode('utf-8', 'replace')}")
