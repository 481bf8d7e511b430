"""Which repositories may run the programs that they bring: ``<config>/git-trust.json``, replaced as a whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mlmagics.cluster.locks import locked
from mlmagics.cluster.tokens import replace_file
from mlmagics.errors import UserError
from mlmagics.lab.git.configured import Setting

_LOCK_S = 10.0
_MOST = 500
#: Hooks of the side that works; those of servers are none of ours.
HOOKS = (
    "applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit", "prepare-commit-msg",
    "commit-msg", "post-commit", "pre-rebase", "post-checkout", "post-merge", "pre-push", "reference-transaction",
    "pre-auto-gc", "post-rewrite", "post-index-change",
)  # fmt: skip


class Answer(msgspec.Struct, frozen=True):
    """What its owner has said about the programs of a repository."""

    #: of the programs as they were then
    digest: str
    trusted: bool


class Trust:
    """The answers in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "git-trust.json"

    def of(self, repository: Path, digest: str) -> bool | None:
        """Whether the programs with ``digest`` may run; None when nobody was asked."""
        answer = self._all().get(str(repository))
        return answer.trusted if answer is not None and answer.digest == digest else None

    def put(self, repository: Path, answer: Answer) -> None:
        """Keep an answer.

        Raises
        ------
        UserError
            When it cannot be kept.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self.folder / "git-trust.lock", timeout_s=_LOCK_S):
                answers = self._all()
                answers.pop(str(repository), None)
                answers = dict([*answers.items(), (str(repository), answer)][-_MOST:])
                replace_file(self.path, msgspec.json.encode(answers))
        except (OSError, TimeoutError) as error:
            raise UserError(f"{self.path} cannot be written ({error}): the answer was not kept") from None

    def _all(self) -> dict[str, Answer]:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=dict[str, Answer])
        except (FileNotFoundError, msgspec.DecodeError):
            # nothing is trusted then, and the next answer makes the file new
            return {}
        except OSError as error:
            raise UserError(f"{self.path} cannot be read: {error.strerror}") from None


def hooks_in(folder: Path) -> list[str]:
    """The hooks in ``folder`` that git would run."""
    try:
        found = {
            entry.name for entry in os.scandir(folder) if entry.is_file() and os.access(entry.path, os.X_OK)
        }
    except OSError:
        return []
    return [name for name in HOOKS if name in found]


def digest_of(settings: Sequence[Setting], folder: Path, hooks: Sequence[str]) -> str:
    """A name for exactly these programs; another as soon as one of them changes."""
    digest = hashlib.sha256()
    for setting in sorted((setting.key, setting.value) for setting in settings):
        digest.update(repr(setting).encode())
    for name in hooks:
        try:
            content = (folder / name).read_bytes()
        except OSError:
            content = b""
        digest.update(f"{name}:{hashlib.sha256(content).hexdigest()};".encode())
    return digest.hexdigest()
