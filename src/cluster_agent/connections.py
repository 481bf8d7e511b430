"""How a client connects: which certificates it believes, and how long it keeps a connection."""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
from typing import Any, Protocol

import httpcore
import httpx

from cluster_agent.owners import stranger
from cluster_agent.trouble import OTHER_CERTIFICATE

#: Shorter than what home routers and proxies grant an idle connection.
_KEEP_ALIVE_S = 55.0
_IDLE_CONNECTIONS = 8


class Tunnel(Protocol):
    """A way to an agent that ends in a Unix socket here, made when it is needed."""

    @property
    def address(self) -> str:
        """What people call the agent's address."""

    @property
    def shown(self) -> str:
        """Begin of history URLs, for an agent that has no address but its own machine's."""

    @property
    def socket(self) -> str:
        """Path of the socket; nobody may be listening there yet."""

    def open(self) -> None:
        """See that somebody listens there. Raises :class:`cluster_agent.errors.NoTunnel`."""


class Pool(httpx.HTTPTransport):
    """Connections to one agent: without ``tls`` in clear, with ``uds`` or ``tunnel`` through a Unix socket.

    With ``own_only`` a connection counts only when this user's or root's program listens at its other end; with
    ``pin`` only when the certificate there has that SHA-256.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None,
        uds: str | None,
        *,
        pin: str = "",
        own_only: bool = False,
        tunnel: Tunnel | None = None,
    ) -> None:
        uds = tunnel.socket if tunnel is not None else uds
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
            network_backend=_SocketBackend(tunnel) if uds else _backend(pin, own_only=own_only),
        )


def _backend(pin: str, *, own_only: bool) -> httpcore.NetworkBackend | None:
    if own_only:
        return _OwnBackend()
    return _PinnedBackend(pin) if pin else None


class _SocketBackend(httpcore.SyncBackend):
    """Connects to Unix sockets; one that refuses leaves no descriptor to the garbage collector."""

    def __init__(self, tunnel: Tunnel | None) -> None:
        self._tunnel = tunnel

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Any = None
    ) -> httpcore.NetworkStream:
        try:
            if self._tunnel is not None:
                self._tunnel.open()
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


class _PinnedBackend(httpcore.SyncBackend):
    """Connects to whoever has one certificate; the other side is shown nothing before it has proven that."""

    def __init__(self, pin: str) -> None:
        self._pin = pin

    def connect_tcp(self, host: str, port: int, *more: Any, **options: Any) -> httpcore.NetworkStream:
        return _PinnedStream(super().connect_tcp(host, port, *more, **options), self._pin)


class _PinnedStream(httpcore.NetworkStream):
    """A connection on which TLS has not begun."""

    def __init__(self, stream: httpcore.NetworkStream, pin: str) -> None:
        self._stream, self._pin = stream, pin

    def start_tls(self, *more: Any, **options: Any) -> httpcore.NetworkStream:
        secure = self._stream.start_tls(*more, **options)
        seen = secure.get_extra_info("ssl_object").getpeercert(True) or b""
        if not hmac.compare_digest(hashlib.sha256(seen).hexdigest(), self._pin):
            secure.close()
            raise httpcore.ConnectError(OTHER_CERTIFICATE)
        return secure

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def tls_context(ca: str | None, pin: str = "") -> ssl.SSLContext:
    """What may vouch for an agent: its own ``ca`` only, or else what httpx and this machine trust.

    With ``pin`` nobody has to: the connection is judged by the certificate alone.

    Raises
    ------
    ValueError
        When the file ``ca`` has no certificate.
    """
    if pin:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
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
