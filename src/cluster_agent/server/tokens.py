"""Calls on tokens, for admins."""

from __future__ import annotations

import re

import msgspec

from cluster_agent.errors import BadRequest
from cluster_agent.protocol import NewToken, TokenCreate, TokenInfo
from cluster_agent.server.call import Call


class TokenList(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``GET /v1/tokens``."""

    tokens: list[TokenInfo]


async def list_tokens(call: Call) -> TokenList:
    """All tokens, without the tokens themselves."""
    return TokenList(tokens=call.agent.keyring.infos)


async def create_token(call: Call) -> NewToken:
    """A new token; this reply is the only place where it is told."""
    body = call.json(TokenCreate)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", body.user):
        raise BadRequest(
            f"{body.user[:64]!r} is not a user name: letters, digits, '.', '_', '-', '@'", field="user"
        )
    if body.expires_s is not None and body.expires_s <= 0:
        raise BadRequest("expires_s is above zero", field="expires_s")
    token, info = await call.agent.keyring.create(
        body.user, body.role, label=body.label[:200], expires_s=body.expires_s
    )
    return NewToken(token=token, info=info)


async def revoke_token(call: Call) -> TokenInfo:
    """Make a token invalid."""
    return await call.agent.keyring.revoke(call.args["token_id"])
