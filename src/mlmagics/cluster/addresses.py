"""Addresses of agents and history URLs: what is allowed, and when two are the same. Pure."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from cluster_agent.protocol import InviteCode
from mlmagics.cluster.ssh_addresses import SCHEME, parse_ssh
from mlmagics.errors import BadValue

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HISTORY = re.compile(r"(?P<base>.*)/history/(?P<job_id>[1-9]\d{0,17})/?")


def agent_url(text: str, *, insecure: bool = False) -> str:
    """The agent's address in ``text`` in one fixed form: no trailing slash, no default port, host in lower case.

    Raises
    ------
    BadValue
        When it is no address that a token may be sent to: no http(s) or ssh, user or query in it, or ``http`` to
        another machine without ``insecure``.
    """
    if text.strip().startswith(SCHEME):
        return parse_ssh(text).url
    parts = _split(text)
    if parts.fragment:
        raise BadValue("an agent's address ends before #: write only https://HOST:PORT", field="url")
    if "@" in parts.netloc:
        raise BadValue("a user or password does not belong in the address: give a token instead", field="url")
    if parts.query:
        raise BadValue("an agent's address has no ?query: write only https://HOST:PORT", field="url")
    base = _join(parts)
    if parts.scheme == "http" and not insecure and not is_loopback(base):
        raise BadValue(
            f"{base} is not encrypted: anybody on the way could read your token. Use https://, "
            "or add --insecure if the network is your own",
            field="url",
        )
    return base


def shown_base(base: str) -> str:
    """How history URLs begin at the agent's address ``base``, the same for everybody."""
    return parse_ssh(base).shown if base.startswith(SCHEME) else base


def split_invite(text: str) -> tuple[str, InviteCode | None]:
    """The address in ``text``, and the code of the invite when it is one.

    Raises
    ------
    BadValue
        When what follows ``#`` is no code of an invite, or not all of one.
    """
    address, mark, code = text.strip().strip("<>`").partition("#")
    if not mark:
        return text, None
    if not code:
        raise BadValue(
            "the invite is cut off: nothing follows its #; paste the whole line as it was sent", field="url"
        )
    try:
        return address, InviteCode.parse(code)
    except ValueError as error:
        raise BadValue(str(error), field="url") from None


def history_url(text: str) -> tuple[str, int]:
    """The agent's address and the job's id in a history URL, which may end in a fragment.

    Raises
    ------
    BadValue
        When ``text`` is not a history URL.
    """
    if text.strip().startswith(SCHEME):
        return _ssh_history(text.strip())
    parts = _split(text)
    match = _HISTORY.fullmatch(parts.path)
    if match is None or "@" in parts.netloc:
        raise BadValue(f"{_shown(text)} is not a history URL: it ends in /history/NUMBER", field="url")
    return _join(parts._replace(path=match["base"])), int(match["job_id"])


def _ssh_history(text: str) -> tuple[str, int]:
    match = _HISTORY.fullmatch(text.partition("#")[0])
    if match is None:
        raise BadValue(f"{_shown(text)} is not a history URL: it ends in /history/NUMBER", field="url")
    return parse_ssh(match["base"]).shown, int(match["job_id"])


def looks_like_url(text: str) -> bool:
    """Whether ``text`` is meant as an address rather than as a name."""
    return "://" in text


def is_loopback(url: str) -> bool:
    """Whether ``url`` stays on this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_and_port(url: str) -> tuple[str, int]:
    """Where to connect for ``url``."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise BadValue(f"{_shown(text)} is not an address: {error}", field="url") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or port == 0:
        raise BadValue(f"{_shown(text)} is not an address: write https://HOST:PORT", field="url")
    if re.search(r"[\s\\\x00-\x1f]", text.strip()):
        raise BadValue(f"{_shown(text)} is not an address: it has blanks in it", field="url")
    return parts


def _join(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def _shown(text: str) -> str:
    """``text`` for a message, without a password that may be in it."""
    return re.sub(r"//[^/@]*@", "//...@", text.strip())[:200]
