"""Tokens, and the invites that become tokens."""

from __future__ import annotations

from cluster_agent import protocol
from cluster_agent.server import invites, tokens
from cluster_agent.server.call import SMALL, Route

ROUTES: list[Route] = [
    Route(
        method="GET",
        path="/v1/tokens",
        call=tokens.list_tokens,
        role="admin",
        gives=tokens.TokenList,
        summary="List tokens, without the tokens themselves",
    ),
    Route(
        method="POST",
        path="/v1/tokens",
        call=tokens.create_token,
        act="create-token",
        role="admin",
        takes=protocol.TokenCreate,
        max_body=SMALL,
        gives=protocol.NewToken,
        status=201,
        summary="Create a token",
    ),
    Route(
        method="DELETE",
        path="/v1/tokens/{token_id}",
        call=tokens.revoke_token,
        act="revoke-token",
        role="admin",
        gives=protocol.TokenInfo,
        summary="Revoke a token",
    ),
    Route(
        method="POST",
        path="/v1/tokens/{token_id}/rotate",
        call=tokens.rotate_token,
        act="rotate-token",
        role="admin",
        takes=protocol.RotateRequest,
        max_body=SMALL,
        gives=protocol.NewToken,
        status=201,
        summary="Create a token in place of another, which goes on working for a while",
    ),
    Route(
        method="GET",
        path="/v1/invites",
        call=invites.list_all,
        role="admin",
        gives=protocol.InviteList,
        summary="List invites, without their codes",
    ),
    Route(
        method="POST",
        path="/v1/invites",
        call=invites.create,
        act="invite",
        role="admin",
        takes=protocol.InviteCreate,
        max_body=SMALL,
        gives=protocol.NewInvite,
        status=201,
        summary="Invite somebody: one use, within 24 h",
    ),
    Route(
        method="DELETE",
        path="/v1/invites/{invite_id}",
        call=invites.revoke,
        act="revoke-invite",
        role="admin",
        gives=protocol.InviteInfo,
        summary="Revoke an invite that nobody has used",
    ),
    Route(
        method="POST",
        path="/v1/redeem",
        call=invites.redeem,
        act="redeem-invite",
        role=None,
        guarded=True,
        takes=protocol.RedeemRequest,
        max_body=SMALL,
        gives=protocol.NewToken,
        status=201,
        summary="Exchange the code of an invite for a token",
    ),
]
