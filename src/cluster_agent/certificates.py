"""An agent's certificate: its print, its names, its dates. Read by OpenSSL itself, in a handshake with nobody."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
#: X509_V_FLAG_NO_CHECK_TIME: one that has expired is read like any other.
_ANY_TIME = 0x200000
_ROUNDS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """What matters of the first certificate of a chain."""

    #: SHA-256 of the certificate
    print: bytes
    names: tuple[str, ...]
    begins_at: float
    ends_at: float

    def covers(self, host: str) -> bool:
        """Whether it is for ``host``, as clients see it."""
        return any(_same(host.lower(), name.lower()) for name in self.names)


def certificate_print(chain: Path) -> bytes:
    """SHA-256 of the first certificate in the file ``chain``.

    Raises
    ------
    ValueError
        When there is none.
    OSError
        When it cannot be read.
    """
    found = _PEM.search(chain.read_text(encoding="utf-8", errors="replace"))
    if found is None:
        raise ValueError(f"{chain} has no certificate in PEM form")
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(found[0])).digest()


def read_certificate(chain: Path, key: Path) -> Certificate:
    """The certificate with which an agent would serve.

    Raises
    ------
    ValueError
        When it cannot be used, with the reason.
    OSError
        When a file cannot be read.
    """
    seen = certificate_print(chain)
    try:
        told = _shake_hands(chain, key)
    except ssl.SSLError as error:
        raise ValueError(f"{chain} and {key} cannot be used: {error.reason or error}") from None
    names = [name for kind, name in told.get("subjectAltName", ()) if kind in {"DNS", "IP Address"}]
    return Certificate(
        print=seen,
        names=tuple(names),
        begins_at=ssl.cert_time_to_seconds(told["notBefore"]),
        ends_at=ssl.cert_time_to_seconds(told["notAfter"]),
    )


def _shake_hands(chain: Path, key: Path) -> dict[str, Any]:
    """What a client that trusts this very certificate is told of it."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain, key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(chain)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.verify_flags &= ~ssl.VERIFY_X509_STRICT
    client.verify_flags |= _ANY_TIME  # last: the line above clears what Python has no name for
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(_ROUNDS):
        done = [_step(near), _step(far)]
        if all(done):
            break
    return near.getpeercert() or {}


def _step(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _same(host: str, name: str) -> bool:
    """Whether a certificate's ``name`` covers ``host``."""
    try:
        return ipaddress.ip_address(host) == ipaddress.ip_address(name)
    except ValueError:
        pass
    if name.startswith("*."):
        return host.partition(".")[2] == name[2:]
    return host == name
