"""What ssh says when it does not get there, as one line that says what to do. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from mlmagics.cluster.ssh_addresses import SshAddress


class Trouble(NamedTuple):
    """Why there is no way."""

    line: str
    #: whether trying again would fail again, and could lock somebody out
    lasting: bool = False


def explain(said: str, address: SshAddress) -> Trouble:
    """Why ssh, which has ``said`` this, did not get to ``address``."""
    host, typed = address.host, address.typed
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in said or ("host key for" in said and "has changed" in said):
        key = f"[{host}]:{address.port}" if address.port else host
        return Trouble(
            f"the host key of {host} is another than before, so nothing was sent: ask whoever runs it whether that is "
            f"right, and only then: ssh-keygen -R '{key}' and, in a terminal, {typed}",
            lasting=True,
        )
    if "Host key verification failed" in said or "host key is known" in said:
        return Trouble(
            f"{host} is not known here yet: type {typed} in a terminal once, and compare the key that it shows",
            lasting=True,
        )
    if denied := re.search(r"Permission denied \(([^)]*)\)", said):
        return Trouble(
            f"ssh was not let in ({denied[1]}) and cannot ask here: type {typed} in a terminal; if that asks for a "
            "passphrase: ssh-add, for a password: ssh-copy-id",
            lasting=True,
        )
    if "Too many authentication failures" in said:
        return Trouble(
            f"ssh has offered too many keys: say which one is for {host} (IdentityFile and IdentitiesOnly yes in "
            "~/.ssh/config)",
            lasting=True,
        )
    if "Could not resolve hostname" in said:
        return Trouble(
            f"the name {host} is unknown to ssh: check its spelling, ~/.ssh/config, the network and the VPN"
        )
    if "Connection refused" in said:
        return Trouble(f"{host} takes no ssh connection (refused): is that the port of its sshd?")
    if re.search(r"timed out|No route to host|Network is unreachable|timeout", said, re.IGNORECASE):
        return Trouble(f"{host} does not answer ssh: is the box up, and the network or VPN?")
    if "Bad configuration option" in said or "unknown option" in said:
        return Trouble(f"ssh here cannot do this: {_last(said)}", lasting=True)
    return Trouble(f"ssh did not get there: {_last(said)}; does {typed} work in a terminal?")


def why_closed(said: str) -> str:
    """Why the way to the agent's socket ended at once, when the master has ``said`` this."""
    if "administratively prohibited" in said or "forwarding is disabled" in said:
        return (
            "sshd there forbids forwarding to sockets (AllowStreamLocalForwarding): ask whoever runs the box"
        )
    # sshd says the same in both cases
    return (
        "the agent's socket is there, but nobody answers: does the agent run, and may you forward to sockets "
        "(AllowStreamLocalForwarding of sshd)?"
    )


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    shown = lines[-1] if lines else "it said nothing"
    return "".join(char if char.isprintable() else "?" for char in shown[:200]).rstrip(".")
