"""The calls of a client for tokens, invites and what else only admins do; and the one that exchanges an invite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from cluster_agent.file_calls import segment
from cluster_agent.protocol import (
    BYTES,
    DrainRequest,
    GcReport,
    GcRequest,
    Info,
    InviteCreate,
    InviteInfo,
    InviteList,
    Job,
    NewInvite,
    NewToken,
    RedeemRequest,
    Role,
    RotateRequest,
    TokenCreate,
    TokenInfo,
    UsageReport,
)

if TYPE_CHECKING:
    from cluster_agent.transport import Transport


class _TokenList(msgspec.Struct, frozen=True):
    tokens: list[TokenInfo]


class AdminCalls:
    """A part of :class:`cluster_agent.client.AgentClient`."""

    _transport: Transport

    def redeem(self, code: str, label: str = "") -> NewToken:
        """A token for the code of an invite, which is used up; no token is needed for it."""
        body = RedeemRequest(code=code, label=label)
        return self._transport.call("POST", "/v1/redeem", NewToken, json=body)

    def move(self, job_id: int, *, first: bool) -> Job:
        """A waiting job, put before all others or back to where it belongs; for admins."""
        return self._transport.call("POST", f"/v1/jobs/{job_id}/move", Job, json={"first": first})

    def drain(self, *, until_at: float | None = None, message: str = "") -> Info:
        """The agent, which starts no jobs for the time being; for admins."""
        body = DrainRequest(until_at=until_at, message=message)
        return self._transport.call("POST", "/v1/drain", Info, json=body)

    def resume(self) -> Info:
        """The agent, which starts jobs again; for admins."""
        return self._transport.call("POST", "/v1/resume", Info)

    def usage(self, since: float | None = None) -> UsageReport:
        """What each user had of the box from ``since`` on (Unix seconds; 30 days unless told); for admins."""
        return self._transport.call("GET", "/v1/usage", UsageReport, params={"since": since})

    def collect(self, *, dry_run: bool = False) -> GcReport:
        """What was deleted of old jobs just now, or would be; for admins."""
        return self._transport.call("POST", "/v1/gc", GcReport, json=GcRequest(dry_run=dry_run))

    def backup(self) -> Iterator[bytes]:
        """The agent's database as it is now; on its own socket only."""
        with self._transport.open("GET", "/v1/backup", accept=BYTES) as reply:
            yield from reply.chunks()

    def create_token(
        self, user: str, *, role: Role = "user", label: str = "", expires_s: float | None = None
    ) -> NewToken:
        """A new token for ``user``; told this once."""
        body = TokenCreate(user=user, role=role, label=label, expires_s=expires_s)
        return self._transport.call("POST", "/v1/tokens", NewToken, json=body)

    def list_tokens(self) -> list[TokenInfo]:
        """All tokens of the agent, without the tokens themselves."""
        return self._transport.call("GET", "/v1/tokens", _TokenList).tokens

    def rotate_token(self, token_id: str, *, overlap_s: float, expires_s: float | None = None) -> NewToken:
        """A new token in place of another, which works on for ``overlap_s`` at most."""
        body = RotateRequest(overlap_s=overlap_s, expires_s=expires_s)
        path = f"/v1/tokens/{segment(token_id)}/rotate"
        return self._transport.call("POST", path, NewToken, json=body)

    def revoke_token(self, token_id: str) -> TokenInfo:
        """The token, which is invalid from now on, for open streams too."""
        return self._transport.call("DELETE", f"/v1/tokens/{segment(token_id)}", TokenInfo)

    def create_invite(
        self, user: str, *, role: Role = "user", label: str = "", expires_s: float | None = None
    ) -> NewInvite:
        """A new invite for ``user``; told this once. ``expires_s`` is how long its token will be valid."""
        body = InviteCreate(user=user, role=role, label=label, expires_s=expires_s)
        return self._transport.call("POST", "/v1/invites", NewInvite, json=body)

    def list_invites(self) -> list[InviteInfo]:
        """All invites of the agent, without their codes."""
        return self._transport.call("GET", "/v1/invites", InviteList).invites

    def revoke_invite(self, invite_id: str) -> InviteInfo:
        """The invite, which nobody can use any more."""
        return self._transport.call("DELETE", f"/v1/invites/{segment(invite_id)}", InviteInfo)
