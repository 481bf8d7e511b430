"""Whose program listens on a port of this machine.

Loopback ports belong to nobody: while an agent is down, any user can take its port and wait for tokens. Linux
tells who listens; elsewhere nothing is known and nothing is refused.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENS = "0A"


def stranger(port: int) -> str | None:
    """Why what listens on ``port`` of this machine may not be told a secret; None when it may.

    It may when it belongs to this user or to root, who can read everything anyway.
    """
    if not any(table.exists() for table in _TABLES):
        return None
    owners = _owners(port)
    if not owners:
        return "nobody can tell whose program listens there"
    others = owners - {os.getuid(), 0}
    return f"a program of another user (uid {min(others)}) listens there" if others else None


def _owners(port: int) -> set[int]:
    owners = set()
    for table in _TABLES:
        try:
            lines = table.read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            address, _, number = fields[1].partition(":")
            if fields[3] == _LISTENS and int(number, 16) == port and _is_here(address):
                owners.add(int(fields[7]))
    return owners


def _is_here(address: str) -> bool:
    """Whether the kernel's hexadecimal ``address`` is loopback or all of this machine's addresses."""
    # words of 32 bits, each in the machine's own byte order
    words = [bytes.fromhex(address[start : start + 8])[::-1] for start in range(0, len(address), 8)]
    found = ipaddress.ip_address(b"".join(words))
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return found.is_loopback or found.is_unspecified
