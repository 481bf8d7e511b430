"""Invites: one line to paste, which brings somebody a token of their own.

An invite is an agent's address with a code behind ``#``. The code holds a secret that the agent exchanges for a
token, once, and the print (SHA-256) of the agent's certificate, so that the secret is shown to nobody else. It
is made of letters and digits only: chat programs take nothing of it for formatting.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from cluster_agent.protocol.tokens import Role

_SECRET_BYTES, _PRINT_BYTES, _CHECK_BYTES = 16, 32, 3
_PREFIX = "mli1"
#: What a sentence or a chat program may put behind a code.
_BEHIND = ".,;:!?)>]}*_`\"'"


def _length(data_bytes: int) -> int:
    """Characters of so many bytes."""
    return len(_PREFIX) + (data_bytes * 8 + 4) // 5


@dataclass(frozen=True, kw_only=True, slots=True)
class InviteCode:
    """What stands behind the ``#`` of an invite."""

    secret: bytes
    #: SHA-256 of the agent's certificate; empty where it has none of its own
    print: bytes = b""

    LENGTHS: ClassVar[tuple[int, int]] = (
        _length(_SECRET_BYTES + _CHECK_BYTES),
        _length(_SECRET_BYTES + _PRINT_BYTES + _CHECK_BYTES),
    )

    @classmethod
    def new(cls, certificate: bytes) -> InviteCode:
        """A code that nobody can guess, for an agent with this print (or none)."""
        return cls(secret=secrets.token_bytes(_SECRET_BYTES), print=certificate)

    @property
    def text(self) -> str:
        """The code as people pass it on."""
        body = self.secret + self.print
        return _PREFIX + base64.b32encode(body + _check(body)).decode().rstrip("=").lower()

    @property
    def digest(self) -> str:
        """What an agent keeps of it."""
        return hashlib.sha256(self.secret).hexdigest()

    @classmethod
    def parse(cls, text: str) -> InviteCode:
        """The code in ``text``, whatever a chat program has put around it.

        Raises
        ------
        ValueError
            When it is none, or not all of one; the text itself is not told.
        """
        code = text.strip().rstrip(_BEHIND).lower()
        if not code.startswith(_PREFIX):
            if code.startswith("mli"):
                raise ValueError("this invite is of a newer agent: upgrade mlmagics here")
            raise ValueError("what stands behind # is not the code of an invite, which begins with mli1")
        if len(code) not in cls.LENGTHS:
            raise ValueError(
                f"the invite is cut off or has something added: its code has {len(code)} characters, not "
                f"{cls.LENGTHS[1]}; paste the whole line as it was sent"
            )
        try:
            data = base64.b32decode(code[len(_PREFIX) :].upper() + "=" * (-(len(code) - len(_PREFIX)) % 8))
        except binascii.Error:
            data = b""
        body, check = data[:-_CHECK_BYTES], data[-_CHECK_BYTES:]
        if not secrets.compare_digest(check, _check(body)):
            raise ValueError("the code of this invite was changed on its way: paste the line as it was sent")
        return cls(secret=body[:_SECRET_BYTES], print=body[_SECRET_BYTES:])


def _check(body: bytes) -> bytes:
    return hashlib.sha256(b"mlmagics invite" + body).digest()[:_CHECK_BYTES]


class InviteCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/invites``."""

    user: str
    role: Role = "user"
    label: str = ""
    #: how long the token is valid that it becomes
    expires_s: float | None = None


class InviteInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An invite as it is listed; its code is told once."""

    invite_id: str
    user: str
    role: Role
    label: str = ""
    created_by: str
    created_at: float
    #: it can be used until then
    expires_at: float
    token_expires_s: float | None = None
    used_at: float | None = None
    revoked_at: float | None = None
    #: the token that it became
    token_id: str | None = None


class InviteList(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``GET /v1/invites``."""

    invites: list[InviteInfo]


class NewInvite(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``POST /v1/invites``."""

    #: the agent's address with the code
    url: str
    #: what the cluster could be called
    name: str
    info: InviteInfo


class RedeemRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/redeem``."""

    #: of an invite
    code: str
    #: where the token will be, such as the name of a machine; used where the invite has no label
    label: str = ""
