"""What went wrong."""

from __future__ import annotations

import msgspec


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, inside ``{"error": ...}``."""

    code: str
    message: str
    field: str | None = None
    nearest: str | None = None


class ErrorReply(msgspec.Struct, frozen=True, kw_only=True):
    """Body of every reply from 400 up."""

    error: ErrorBody
