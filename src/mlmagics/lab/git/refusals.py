"""What git, or this server in its place, refuses: one class for each code.

::

    GitRefusal            git_failed            what git said, where nothing better is known
    ├── GitMissing        git_missing           ├── NothingStaged     git_nothing_staged
    ├── NoRepository      git_no_repository     ├── WouldOverwrite    git_would_overwrite
    ├── OutsideRoot       git_outside           ├── MarkersLeft       git_markers
    ├── ForeignOwner      git_foreign           ├── NoRemote          git_no_remote
    ├── GitBusy           git_busy              ├── AddressRefused    git_address
    ├── IndexLocked       git_locked            ├── HeadDetached      git_detached
    ├── NotTrusted        git_untrusted         ├── PushRejected      git_rejected
    ├── Conflicts         git_conflicts         ├── AccessDenied      git_denied
    ├── InProgress        git_in_progress       ├── Unreachable       git_unreachable
    ├── HasChanged        git_changed           ├── TookTooLong       git_timeout
    ├── NoIdentity        git_no_identity       └── Cancelled         git_cancelled
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from mlmagics.errors import UserError


class GitRefusal(UserError):
    """Git cannot do that."""

    code = "git_failed"
    http_status: ClassVar[int] = 409

    def __init__(self, message: str = "", *, field: str | None = None, paths: Sequence[str] = ()) -> None:
        super().__init__(message, field=field)
        #: the files that it is about
        self.paths = list(paths)


class GitMissing(GitRefusal):
    """Git is not installed on the machine of the Jupyter server: install it, and start the server again."""

    code = "git_missing"
    http_status = 503


class NoRepository(GitRefusal):
    """This folder is in no git repository: make one with git init or git clone in a terminal."""

    code = "git_no_repository"
    http_status = 404


class OutsideRoot(GitRefusal):
    """That is outside of the folder that Jupyter serves."""

    code = "git_outside"
    http_status = 403


class ForeignOwner(GitRefusal):
    """The repository belongs to somebody else, and could run programs of theirs."""

    code = "git_foreign"
    http_status = 403


class GitBusy(GitRefusal):
    """Something else goes on in this repository: wait for its end, or cancel it."""

    code = "git_busy"


class IndexLocked(GitRefusal):
    """Another git process is at work in this repository, or one was killed there."""

    code = "git_locked"


class NotTrusted(GitRefusal):
    """The repository brings programs of its own, and nobody has said yet whether they may run."""

    code = "git_untrusted"


class Conflicts(GitRefusal):
    """Some files have conflicts: resolve them first, or abort."""

    code = "git_conflicts"


class InProgress(GitRefusal):
    """Something is in progress in this repository: finish it, or abort it first."""

    code = "git_in_progress"


class HasChanged(GitRefusal):
    """The repository is not as it was shown: look again."""

    code = "git_changed"


class NoIdentity(GitRefusal):
    """Git does not know who you are: give a name and an e-mail address for your commits."""

    code = "git_no_identity"


class NothingStaged(GitRefusal):
    """Nothing is staged: stage what is to be committed first."""

    code = "git_nothing_staged"


class WouldOverwrite(GitRefusal):
    """That would overwrite changes that are not committed: commit or discard them first."""

    code = "git_would_overwrite"


class MarkersLeft(GitRefusal):
    """Some files still have conflict markers: edit them first, or take one side whole."""

    code = "git_markers"


class NoRemote(GitRefusal):
    """There is no remote repository to talk to: add one with git remote add origin URL in a terminal."""

    code = "git_no_remote"


class AddressRefused(GitRefusal):
    """The address of the remote is not one that is used from here."""

    code = "git_address"


class HeadDetached(GitRefusal):
    """No branch is checked out: switch to one first."""

    code = "git_detached"


class PushRejected(GitRefusal):
    """The remote has commits that you do not have: pull first, then push again."""

    code = "git_rejected"


class AccessDenied(GitRefusal):
    """The remote did not let you in."""

    code = "git_denied"
    http_status = 403


class Unreachable(GitRefusal):
    """The remote cannot be reached: check the network and the address, and try again."""

    code = "git_unreachable"
    http_status = 502


class TookTooLong(GitRefusal):
    """Git took too long and was stopped."""

    code = "git_timeout"
    http_status = 504


class Cancelled(GitRefusal):
    """Cancelled."""

    code = "git_cancelled"
