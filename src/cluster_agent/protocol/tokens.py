"""Who may do what: the tokens of a box."""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["viewer", "user", "admin"]


class TokenInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is listed; the token itself is told once, at its creation."""

    token_id: str
    user: str
    role: Role
    created_at: float
    label: str = ""
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None


class TokenCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/tokens``."""

    user: str
    role: Role = "user"
    label: str = ""
    expires_s: float | None = None


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``POST /v1/tokens``."""

    token: str
    info: TokenInfo


class RotateRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/tokens/{token_id}/rotate``."""

    #: how long the old token works beside the new one, at most
    overlap_s: float = 86400.0
    #: null: as long as the old one was made for
    expires_s: float | None = None
