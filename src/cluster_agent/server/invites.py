"""Calls on invites: admins make them, and whoever has one exchanges it for a token."""

from __future__ import annotations

import ipaddress
import re
import secrets
import time
from urllib.parse import urlsplit

from cluster_agent.errors import BadRequest
from cluster_agent.harmless import harmless
from cluster_agent.protocol import (
    InviteCode,
    InviteCreate,
    InviteInfo,
    InviteList,
    NewInvite,
    NewToken,
    RedeemRequest,
)
from cluster_agent.server.call import Call
from cluster_agent.server.tokens import check_lifetime, check_user

_VALID_S = 86400.0


async def create(call: Call) -> NewInvite:
    """A new invite; this reply is the only place where it is told."""
    body = call.json(InviteCreate)
    check_user(body.user)
    check_lifetime(body.expires_s)
    agent, now = call.agent, time.time()
    agent.keyring.check_new_user(body.user)
    code = InviteCode.new(agent.certificate_print)
    info = InviteInfo(
        invite_id=secrets.token_hex(4),
        user=body.user,
        role=body.role,
        label=harmless(body.label, 200),
        created_by=call.caller.user,
        created_at=now,
        expires_at=now + _VALID_S,
        token_expires_s=body.expires_s,
    )
    await agent.access.add_invite(code.digest, info)
    call.note(invite_id=info.invite_id, for_user=info.user, for_role=info.role)
    url = agent.base_url("" if call.on_control_socket else call.headers.get("Host", ""))
    return NewInvite(url=f"{url}#{code.text}", name=cluster_name(url, agent.host_name), info=info)


async def list_all(call: Call) -> InviteList:
    """All invites, without their codes."""
    return InviteList(invites=await call.agent.access.invites())


async def revoke(call: Call) -> InviteInfo:
    """Make an invite invalid that nobody has used."""
    call.note(invite_id=call.args["invite_id"][:40])
    return await call.agent.access.revoke_invite(call.args["invite_id"], time.time())


async def redeem(call: Call) -> NewToken:
    """A token for whoever has an invite, which is used up."""
    body = call.json(RedeemRequest)
    try:
        code = InviteCode.parse(body.code)
    except ValueError as error:
        raise BadRequest(str(error), field="code") from None
    token, info = await call.agent.keyring.redeem_invite(code.digest, harmless(body.label, 200))
    call.note(user=info.user, token_id=info.token_id, role=info.role)
    return NewToken(token=token, info=info)


def cluster_name(url: str, host_name: str) -> str:
    """What the cluster at ``url`` could be called: the first part of its name, or of this machine's. Pure."""
    host = urlsplit(url).hostname or ""
    for name in (host, host_name):
        first = re.sub(r"[^a-z0-9_-]", "-", name.partition(".")[0].lower())[:32]
        if not _is_number(name) and name != "localhost" and re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", first):
            return first
    return "box"


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
