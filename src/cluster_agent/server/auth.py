"""Who asks: bearer tokens, the owner of the control socket, one-time codes for the history page.

Tokens are kept by their SHA-256 only. All tokens are in memory, since this process is the only one that
changes them; the store keeps them across restarts.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import os
import secrets
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from cluster_agent.errors import Conflict, Forbidden, NotFound, StorageFault, Unauthorized
from cluster_agent.home import user_name
from cluster_agent.jobs.access import Access
from cluster_agent.protocol import Role, TokenInfo

_RANK: dict[Role, int] = {"viewer": 0, "user": 1, "admin": 2}
CODE_S = 60.0
VIEW_TOKEN_S = 12 * 3600.0
_VIEW_PREFIX = "mlv_"
#: How often it is kept when tokens were used last.
_NOTE_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who a request comes from and what it may do."""

    user: str
    role: Role
    #: of the token that identified the caller; empty on the control socket
    token_id: str = ""
    #: set for a token of the history page, which reads this one job
    job_id: int | None = None

    def may(self, role: Role) -> bool:
        """Whether the caller's role includes ``role``."""
        return _RANK[self.role] >= _RANK[role]


def bearer(header: str | None) -> str:
    """The token in an ``Authorization`` header; empty when it holds none, or one of another kind. Pure."""
    kind, _, token = (header or "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


class _View(msgspec.Struct, frozen=True, kw_only=True):
    """What a code or token of the history page stands for."""

    user: str
    job_id: int
    #: of a token, Unix seconds
    expires_at: float = 0.0
    #: the token that it was made with; it ends with that one
    token_id: str


def digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token(
    user: str, role: Role, *, now: float, label: str = "", expires_s: float | None = None
) -> tuple[str, TokenInfo]:
    """A fresh token and what is told of it."""
    info = TokenInfo(
        token_id=secrets.token_hex(4),
        user=user,
        role=role,
        label=label,
        created_at=now,
        expires_at=now + expires_s if expires_s else None,
    )
    return f"mlm_{secrets.token_urlsafe(32)}", info


def check_new_user(known: Iterable[TokenInfo], user: str, *, shared_uid: bool) -> None:
    """Refuse a second person where all jobs run as one unix user and nobody has said that this is fine.

    Raises
    ------
    Conflict
        Naming the setting that allows it.
    """
    others = {info.user for info in known if info.revoked_at is None} - {user}
    if others and not shared_uid:
        raise Conflict(
            f"all jobs run as one unix user here, so {user} could read and stop what {', '.join(sorted(others))}"
            " runs; if that is fine, serve with --shared-uid",
            field="user",
        )


def rotated(
    old: TokenInfo, *, now: float, overlap_s: float, expires_s: float | None
) -> tuple[str, TokenInfo, float]:
    """A token in place of ``old``, what is told of it, and when the old one ends.

    Raises
    ------
    Conflict
        When ``old`` is not valid any more.
    """
    if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
        raise Conflict(f"token {old.token_id} is not valid any more; make a new one for {old.user}")
    if expires_s is None and old.expires_at is not None:
        expires_s = old.expires_at - old.created_at
    token, info = new_token(old.user, old.role, now=now, label=old.label, expires_s=expires_s)
    return token, info, min(now + overlap_s, old.expires_at or math.inf)


class Keyring:
    """The tokens of this agent, and the codes and tokens of its history page.

    A token of the history page is kept nowhere: it says what it is good for and is signed with ``secret``.
    """

    def __init__(
        self, access: Access, tokens: list[tuple[str, TokenInfo]], *, shared_uid: bool, secret: str
    ) -> None:
        self._access = access
        self._tokens = dict(tokens)
        #: when tokens were used last, as far as it is not on disk yet
        self._used: dict[str, float] = {}
        self._shared_uid = shared_uid
        self._secret = secret.encode()
        #: with the moment, in monotonic seconds, until which they can be used
        self._codes: dict[str, tuple[_View, float]] = {}

    @property
    def infos(self) -> list[TokenInfo]:
        """What is told of each token, oldest first."""
        return [
            msgspec.structs.replace(info, last_used_at=self._used.get(info.token_id, info.last_used_at))
            for info in self._tokens.values()
        ]

    @property
    def shared(self) -> bool:
        """Whether more than one person has a token."""
        return len({info.user for info in self._tokens.values() if info.revoked_at is None}) > 1

    def identify(self, token: str) -> Caller:
        """The caller that ``token`` stands for.

        Raises
        ------
        Unauthorized
            When it is unknown, revoked or expired.
        """
        if token.startswith(_VIEW_PREFIX):
            return self._viewer(token)
        # A look-up by hash takes a time that tells nothing about the token.
        key = digest(token)
        info = self._tokens.get(key)
        if info is None:
            raise Unauthorized("this token is not known here; ask whoever runs this agent for one")
        _check_valid(info)
        self._used[info.token_id] = time.time()
        return Caller(user=info.user, role=info.role, token_id=info.token_id)

    def check_new_user(self, user: str) -> None:
        """Refuse a second person, as :func:`check_new_user` does."""
        check_new_user(self._tokens.values(), user, shared_uid=self._shared_uid)

    async def create(
        self, user: str, role: Role, *, label: str = "", expires_s: float | None = None
    ) -> tuple[str, TokenInfo]:
        """A new token, told this once."""
        self.check_new_user(user)
        token, info = new_token(user, role, now=time.time(), label=label, expires_s=expires_s)
        await self._access.add_token(digest(token), info)
        self._tokens[digest(token)] = info
        return token, info

    async def redeem_invite(self, sha256: str, label: str) -> tuple[str, TokenInfo]:
        """A new token for the invite with this hash, which is used up.

        Raises
        ------
        Forbidden
            With the reason why it cannot be used.
        """
        now = time.time()
        invite = await self._access.invite(sha256, now)
        self.check_new_user(invite.user)
        token, info = new_token(
            invite.user, invite.role, now=now, label=invite.label or label, expires_s=invite.token_expires_s
        )
        await self._access.redeem(sha256, digest(token), info)
        self._tokens[digest(token)] = info
        return token, info

    async def rotate(
        self, token_id: str, *, overlap_s: float, expires_s: float | None
    ) -> tuple[str, TokenInfo]:
        """A new token like another, which ends ``overlap_s`` from now.

        It is valid for ``expires_s``, or as long as the old one was made for.

        Raises
        ------
        Conflict
            When the old one is not valid any more.
        """
        key, old = self._find(token_id)
        now = time.time()
        token, info, ends_at = rotated(old, now=now, overlap_s=overlap_s, expires_s=expires_s)
        await self._access.replace_token(digest(token), info, token_id, ends_at)
        self._tokens[digest(token)] = info
        self._tokens[key] = msgspec.structs.replace(old, expires_at=ends_at)
        return token, info

    async def revoke(self, token_id: str) -> TokenInfo:
        """Make a token invalid from now on."""
        key, info = self._find(token_id)
        now = time.time()
        await self._access.revoke_token(token_id, now)
        self._tokens[key] = msgspec.structs.replace(info, revoked_at=info.revoked_at or now)
        return self._tokens[key]

    def _find(self, token_id: str) -> tuple[str, TokenInfo]:
        for key, info in self._tokens.items():
            if info.token_id == token_id:
                return key, info
        raise NotFound(f"there is no token {token_id[:40]}")

    async def note_uses(self) -> None:
        """Keep on disk when tokens were used last."""
        used, self._used = self._used, {}
        for key, info in self._tokens.items():
            if info.token_id in used:
                self._tokens[key] = msgspec.structs.replace(info, last_used_at=used[info.token_id])
        try:
            if used:
                await self._access.note_uses(used)
        except StorageFault:
            self._used = used | self._used

    async def watch(self) -> None:
        """Note uses for ever, now and then."""
        while True:
            await asyncio.sleep(_NOTE_S)
            await self.note_uses()

    def make_code(self, caller: Caller, job_id: int) -> str:
        """A code that opens the history page of one job, once, within a minute."""
        now = time.monotonic()
        self._codes = {key: made for key, made in self._codes.items() if made[1] > now}
        code = secrets.token_urlsafe(24)
        view = _View(user=caller.user, job_id=job_id, token_id=caller.token_id)
        self._codes[digest(code)] = view, now + CODE_S
        return code

    def redeem(self, code: str) -> tuple[str, int]:
        """A token that reads the job that ``code`` was made for; the code is used up.

        Raises
        ------
        Forbidden
            When the code is unknown, used or older than a minute.
        """
        view, until = self._codes.pop(digest(code), (None, 0.0))
        if view is None or until <= time.monotonic():
            raise Forbidden("this link was used already or is older than a minute; make a new one")
        view = msgspec.structs.replace(view, expires_at=time.time() + VIEW_TOKEN_S)
        claim = msgspec.json.encode(view).hex()
        return f"{_VIEW_PREFIX}{claim}.{self._sign(claim)}", view.job_id

    def _viewer(self, token: str) -> Caller:
        claim, _, signature = token.removeprefix(_VIEW_PREFIX).partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(claim).encode()):
            raise Unauthorized("this link is not of this agent; make a new one")
        view = msgspec.json.decode(bytes.fromhex(claim), type=_View)
        if view.expires_at <= time.time():
            raise Unauthorized("this link has expired; make a new one")
        for info in self._tokens.values():
            if info.token_id == view.token_id:
                _check_valid(info)
        return Caller(user=view.user, role="viewer", token_id=view.token_id, job_id=view.job_id)

    def _sign(self, claim: str) -> str:
        return hmac.new(self._secret, claim.encode(), hashlib.sha256).hexdigest()


def _check_valid(info: TokenInfo) -> None:
    if info.revoked_at is not None:
        raise Unauthorized(f"token {info.token_id} was revoked; ask whoever runs this agent for a new one")
    if info.expires_at is not None and time.time() >= info.expires_at:
        raise Unauthorized(f"token {info.token_id} has expired; ask whoever runs this agent for a new one")


def socket_owner(connection: socket.socket) -> Caller:
    """The caller at the other end of the control socket: its owner and root are admins.

    Raises
    ------
    Forbidden
        When it is another user.
    """
    uid = peer_uid(connection)
    if uid not in {os.geteuid(), 0}:
        raise Forbidden("the control socket is for the agent's own user")
    return Caller(user=user_name(os.geteuid()), role="admin")


def peer_uid(connection: socket.socket) -> int:
    """The user of the program at the other end of a Unix socket, as the kernel has it."""
    credentials = getattr(socket, "SO_PEERCRED", None)
    if credentials is None:
        return os.geteuid()  # here the socket's mode 0600 in a folder 0700 is what keeps others out
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, credentials, size))
    return int(uid)
