"""Calls on tokens, for admins."""

from __future__ import annotations

import re

import msgspec

from cluster_agent.errors import BadRequest
from cluster_agent.harmless import harmless
from cluster_agent.protocol import NewToken, RotateRequest, TokenCreate, TokenInfo
from cluster_agent.server.call import Call

_LONGEST_S = 100 * 365 * 86400.0


class TokenList(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``GET /v1/tokens``."""

    tokens: list[TokenInfo]


async def list_tokens(call: Call) -> TokenList:
    """All tokens, without the tokens themselves."""
    return TokenList(tokens=call.agent.keyring.infos)


async def create_token(call: Call) -> NewToken:
    """A new token; this reply is the only place where it is told."""
    body = call.json(TokenCreate)
    check_user(body.user)
    check_lifetime(body.expires_s)
    token, info = await call.agent.keyring.create(
        body.user, body.role, label=harmless(body.label, 200), expires_s=body.expires_s
    )
    call.note(token_id=info.token_id, for_user=info.user, for_role=info.role)
    return NewToken(token=token, info=info)


async def rotate_token(call: Call) -> NewToken:
    """A token in place of another, which goes on working for a while."""
    body = call.json(RotateRequest)
    check_lifetime(body.expires_s)
    if not 0 <= body.overlap_s <= _LONGEST_S:
        raise BadRequest("overlap_s is not below zero", field="overlap_s")
    token_id = call.args["token_id"]
    token, info = await call.agent.keyring.rotate(
        token_id, overlap_s=body.overlap_s, expires_s=body.expires_s
    )
    call.note(token_id=info.token_id, in_place_of=token_id, for_user=info.user)
    return NewToken(token=token, info=info)


async def revoke_token(call: Call) -> TokenInfo:
    """Make a token invalid."""
    call.note(token_id=call.args["token_id"][:40])
    info = await call.agent.keyring.revoke(call.args["token_id"])
    call.note(for_user=info.user)
    return info


def check_user(user: str) -> None:
    """Refuse what is no name.

    Raises
    ------
    BadRequest
        Saying what one is.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", user):
        raise BadRequest(
            f"{user[:64]!r} is not a user name: letters, digits, '.', '_', '-', '@'", field="user"
        )


def check_lifetime(expires_s: float | None) -> None:
    """Refuse what no token's lifetime can be."""
    if expires_s is not None and not 0 < expires_s <= _LONGEST_S:
        raise BadRequest("expires_s is above zero, and at most a hundred years", field="expires_s")
