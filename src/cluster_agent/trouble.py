"""Why an agent cannot be reached, in one line that says what to do. Pure."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

from cluster_agent.errors import NoTunnel

#: Why a pinned connection was given up.
OTHER_CERTIFICATE = "another certificate than the one that is known"
_NOT_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNEXPECTED_EOF_WHILE_READING"}
)


def why_no_connection(error: BaseException, where: str, url: str) -> str:
    """Why there is no connection to the agent at ``url``, which the line calls ``where``."""
    cause = _root_cause(error)
    host = urlsplit(url).hostname or url
    if isinstance(cause, NoTunnel):
        return f"{where}: {cause}"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"{where}: {_why_not_trusted(cause)}"
    if isinstance(cause, ssl.SSLError):
        if cause.reason in _NOT_TLS:
            return f"{where} does not speak TLS; if it is the agent, its address begins with http://"
        return f"{where}: no secure connection ({cause.reason or cause})"
    if str(cause) == OTHER_CERTIFICATE:
        return (
            f"{where}: its certificate is another one than that of the invite, so nothing was sent; did whoever "
            "runs it renew it (then you need a new invite), or does somebody listen in between?"
        )
    if isinstance(cause, socket.gaierror):
        return f"{where}: the name {host} is unknown; check its spelling, the network and the VPN"
    if isinstance(cause, ConnectionRefusedError):
        return (
            f"{where}: connection refused; no agent listens there, so is it running, and is the port right?"
        )
    if isinstance(cause, FileNotFoundError):
        return f"{where} does not exist; is the agent running?"
    if isinstance(cause, PermissionError):
        return f"{where} is somebody else's: permission denied"
    if isinstance(cause, OSError) and cause.strerror:
        return f"{where}: no connection ({cause.strerror.lower()})"
    return f"{where}: no connection ({cause})"


def _why_not_trusted(cause: ssl.SSLCertVerificationError) -> str:
    # numbers of OpenSSL's X509_V_ERR_...
    if cause.verify_code == 10:
        return "its certificate has expired; whoever runs the agent must renew it"
    if cause.verify_code == 9:
        return "its certificate is not valid yet; is this machine's clock right?"
    if cause.verify_code in {62, 64}:
        return f"its certificate is for another name ({cause.verify_message})"
    if cause.verify_code in {18, 19, 20, 21}:
        return "its certificate is of an unknown issuer; give the agent's own certificate as CA file (--ca)"
    return f"its certificate is not trusted ({cause.verify_message})"


def _root_cause(error: BaseException) -> BaseException:
    while not isinstance(error, NoTunnel) and (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error
