"""How a client connects: which certificates it believes, and how long it keeps a connection."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import httpcore
import httpx

from cluster_agent.owners import stranger

#: Shorter than what home routers and proxies grant an idle connection.
_KEEP_ALIVE_S = 55.0
_IDLE_CONNECTIONS = 8


class Pool(httpx.HTTPTransport):
    """Connections to one agent: without ``tls`` in clear, with ``uds`` through that Unix socket.

    With ``own_only`` a connection counts only when this user's or root's program listens at its other end.
    """

    def __init__(self, tls: ssl.SSLContext | None, uds: str | None, *, own_only: bool = False) -> None:
        # a context that trusts nobody is cheap to make, and right where no TLS is spoken
        tls = tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        super().__init__(verify=tls, trust_env=False)
        # httpx has no setting for the backend
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls,
            max_connections=None,
            max_keepalive_connections=_IDLE_CONNECTIONS,
            keepalive_expiry=_KEEP_ALIVE_S,
            uds=uds,
            network_backend=_SocketBackend() if uds else _OwnBackend() if own_only else None,
        )


class _SocketBackend(httpcore.SyncBackend):
    """Connects to Unix sockets; one that refuses leaves no descriptor to the garbage collector."""

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Any = None
    ) -> httpcore.NetworkStream:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(timeout)
                probe.connect(path)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        return super().connect_unix_socket(path, timeout, socket_options)


class _OwnBackend(httpcore.SyncBackend):
    """Connects to ports of this machine, and looks who listens there before anything is sent."""

    def connect_tcp(self, host: str, port: int, *more: Any, **options: Any) -> httpcore.NetworkStream:
        stream = super().connect_tcp(host, port, *more, **options)
        # after connecting: who is connected to now is who listens now, or has stopped listening
        reason = stranger(port)
        if reason is not None:
            stream.close()
            raise httpcore.ConnectError(f"{reason}, so nothing was sent; --insecure trusts it")
        return stream


def tls_context(ca: str | None) -> ssl.SSLContext:
    """What may vouch for an agent: its own ``ca`` only, or else what httpx and this machine trust.

    Raises
    ------
    ValueError
        When the file ``ca`` has no certificate.
    """
    if ca is None:
        context = httpx.create_ssl_context(trust_env=False)
        context.load_default_certs()
        return context
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ValueError(f"the CA file {ca} cannot be used ({error.strerror or error})") from None
    # a certificate that ops pinned is right as it is: on Python 3.13 as on 3.10, and without its issuer
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
