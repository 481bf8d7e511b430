"""The attachments file: which clusters this person knows. Several kernels and the sidebar write it.

::

    <config>/attachments.json     0600, replaced as a whole under attachments.lock
    <config>/tokens/NAME          0600, a token that was typed

A token is never in the file itself, and never shown.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from mlmagics.cluster.addresses import shown_base
from mlmagics.cluster.locks import locked
from mlmagics.cluster.names import unknown_cluster
from mlmagics.cluster.ssh_addresses import SCHEME
from mlmagics.cluster.tokens import read_token, replace_file
from mlmagics.errors import UnknownCluster, UserError

FILE_VERSION = 1
_LOCK_S = 10.0


class Attachment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What makes a cluster known to this person's notebooks."""

    name: str
    url: str
    #: where the token comes from: a file, a variable of the environment, or the store beside this file
    credential: Literal["file", "env", "stored"] = "stored"
    #: path or variable name for ``file`` and ``env``
    credential_from: str = ""
    #: PEM file of the certificates that the agent's must be signed by
    ca: str | None = None
    #: SHA-256 of the agent's own certificate, as its invite told it: in place of ``ca``
    pin: str = ""
    #: asked for: plain http to another machine, or to another user's program on this one
    insecure: bool = False
    agent_id: str = ""
    public_url: str = ""
    #: other addresses of the same agent, for history URLs only: nothing is ever sent there
    aliases: list[str] = []
    #: of the interpreter that runs jobs, when last asked
    python_version: str = ""

    @property
    def over_ssh(self) -> bool:
        """Whether the system's ssh leads there; who asks is known by the account there, without a token."""
        return self.url.startswith(SCHEME)

    @property
    def own_only(self) -> bool:
        """Whether a token may be sent only to this user's or root's programs: in clear, on this machine."""
        return self.url.startswith("http:") and not self.insecure

    @property
    def addresses(self) -> list[str]:
        """All addresses under which history URLs of this cluster may come."""
        found = (shown_base(self.url), self.public_url, *self.aliases)
        return [*dict.fromkeys(url for url in found if url)]


class _File(msgspec.Struct, frozen=True, kw_only=True):
    version: int = FILE_VERSION
    attachments: list[Attachment] = []


class AttachmentStore:
    """The attachments file in one folder. Reading needs no lock: the file is always whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "attachments.json"

    def stamp(self) -> tuple[int, int, int] | None:
        """Something that differs once the file was changed, for one ``stat``; None when there is no file."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def all(self) -> dict[str, Attachment]:
        """The attachments by name, in the order in which they were added.

        Raises
        ------
        UserError
            When the file cannot be understood; it is left as it is.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UserError(f"{self.path} cannot be read: {error.strerror}") from None
        try:
            content = msgspec.json.decode(data, type=_File)
        except msgspec.DecodeError as error:
            raise UserError(f"{self.path} is damaged ({error}): repair it, or remove it") from None
        if content.version != FILE_VERSION:
            raise UserError(f"{self.path} was written by a newer mlmagics: upgrade the one in use here")
        return {attachment.name: attachment for attachment in content.attachments}

    def get(self, name: str) -> Attachment:
        """The attachment ``name``.

        Raises
        ------
        UnknownCluster
            With what exists, and the nearest name.
        """
        known = self.all()
        if name not in known:
            raise UnknownCluster(unknown_cluster(name, known), field="name")
        return known[name]

    def put(self, attachment: Attachment, *, token: str | None = None) -> None:
        """Add or replace an attachment; ``token`` goes to the store of typed tokens."""
        if token is not None:
            tokens = self.folder / "tokens"
            try:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                tokens.mkdir(mode=0o700, exist_ok=True)
                replace_file(tokens / attachment.name, token.encode() + b"\n")
            except OSError as error:
                raise UserError(f"{tokens} cannot be written ({error.strerror}): nothing was saved") from None
        self._change(lambda known: {**known, attachment.name: attachment})

    def change(self, name: str, **fields: object) -> Attachment:
        """The attachment ``name`` after ``fields`` were replaced in what the file holds now."""

        def replaced(known: dict[str, Attachment]) -> dict[str, Attachment]:
            if name not in known:
                raise UnknownCluster(unknown_cluster(name, known), field="name")
            return {**known, name: msgspec.structs.replace(known[name], **fields)}

        return self._change(replaced)[name]

    def remove(self, name: str) -> None:
        """Forget the attachment ``name`` and its typed token. Its jobs go on."""

        def without(known: dict[str, Attachment]) -> dict[str, Attachment]:
            if name not in known:
                raise UnknownCluster(unknown_cluster(name, known), field="name")
            return {other: kept for other, kept in known.items() if other != name}

        self._change(without)
        (self.folder / "tokens" / name).unlink(missing_ok=True)

    def token(self, attachment: Attachment) -> str:
        """The token of ``attachment``, read anew; empty where none is needed.

        Raises
        ------
        UserError
            When its source does not have one.
        """
        source = attachment.credential_from
        if attachment.over_ssh:
            return ""
        if attachment.credential == "env":
            token = os.environ.get(source, "")
            missing = f"the variable {source}, which holds the token of {attachment.name}, is not set here"
        else:
            path = (
                self.folder / "tokens" / attachment.name
                if attachment.credential == "stored"
                else Path(source)
            )
            token, missing = read_token(path), f"{path}, which holds the token of {attachment.name}, is empty"
        if not token:
            raise UserError(missing, field="token")
        return token

    def _change(self, how: Callable[[dict[str, Attachment]], dict[str, Attachment]]) -> dict[str, Attachment]:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self.folder / "attachments.lock", timeout_s=_LOCK_S):
                changed = how(self.all())
                content = _File(attachments=list(changed.values()))
                replace_file(self.path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
        except OSError as error:
            raise UserError(f"{self.path} was not changed: {error.strerror or error}") from None
        return changed
