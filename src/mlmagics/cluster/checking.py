"""``%attachments check``: one step after the other from this machine to a running job, each with its reason."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster_agent import __version__
from cluster_agent.client import AgentClient
from cluster_agent.errors import AgentError, NoTunnel
from cluster_agent.protocol import PROTOCOL_VERSION, Info
from cluster_agent.units import format_duration
from mlmagics.cluster.addresses import host_and_port, is_loopback
from mlmagics.cluster.connecting import client_of, tunnel_of
from mlmagics.cluster.mounts import is_mounted
from mlmagics.cluster.names import LOCAL
from mlmagics.cluster.probing import first_answer
from mlmagics.cluster.session import Session, current
from mlmagics.cluster.store import Attachment
from mlmagics.errors import UserError
from mlmagics.job.submitting import new_agent

_CONNECT_S = 5.0
#: A certificate that ends sooner than this is worth a word.
_SOON_S = 14 * 86400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One thing that was looked at."""

    #: such as ``address``
    what: str
    #: None for something that works but is worth a look
    good: bool | None
    said: str


def check(name: str, *, session: Session | None = None) -> Iterator[Step]:
    """The steps to the cluster ``name``, as they are taken; the first that fails is the last.

    Raises
    ------
    UnknownCluster
        When nothing of this name is attached.
    """
    session = session or current()
    attachment = session.attachment(name)
    return _until_bad(_steps(session, attachment))


def _until_bad(steps: Iterator[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        if step.good is False:
            return


def _steps(session: Session, attachment: Attachment) -> Iterator[Step]:
    name = attachment.name
    if attachment.over_ssh:
        yield _ssh(attachment)
    elif name != LOCAL:
        yield _address(attachment)
        if attachment.url.startswith("https:"):
            yield _tls(attachment)
        yield _token(session, attachment)
    began = time.monotonic()
    try:
        client = session.client(name)
        info = first_answer(client, name)
    except UserError as error:
        yield Step(what="agent", good=False, said=error.message)
        return
    answered = f"answers in {(time.monotonic() - began) * 1000:.0f} ms as user {info.user} ({info.role})"
    yield Step(what="agent", good=True, said=answered)
    yield _identity(attachment, info)
    yield _version(info)
    yield _python(info)
    yield from _projects(client, info)


def _address(attachment: Attachment) -> Step:
    host, port = host_and_port(attachment.url)
    try:
        addresses = sorted(
            {str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        )
        with socket.create_connection((host, port), timeout=_CONNECT_S):
            pass
    except socket.gaierror:
        said = f"the name {host} is unknown here: check its spelling, the network and the VPN"
        return Step(what="address", good=False, said=said)
    except OSError as error:
        reason = error.strerror or f"no answer within {_CONNECT_S:.0f} s"
        said = f"{host}:{port} takes no connection ({reason.lower()}): does the agent run, is the port right?"
        return Step(what="address", good=False, said=said)
    return Step(what="address", good=True, said=f"{host}:{port} takes connections ({', '.join(addresses)})")


def _ssh(attachment: Attachment) -> Step:
    """Whether ssh gets to the agent's socket; a tunnel that is there stays, for jobs may be followed through it."""
    tunnel = tunnel_of(attachment)
    began = time.monotonic()
    try:
        tunnel.open(sure=True)
    except NoTunnel as error:
        return Step(what="ssh", good=False, said=str(error))
    seconds = time.monotonic() - began
    said = f"{tunnel.place.typed} leads to the agent's socket, {format_duration(seconds)}; no token is needed"
    return Step(what="ssh", good=True, said=said)


def _tls(attachment: Attachment) -> Step:
    host, port = host_and_port(attachment.url)
    if attachment.pin:
        return _pinned(attachment)
    try:
        context = ssl.create_default_context(cafile=attachment.ca)
        with (
            socket.create_connection((host, port), timeout=_CONNECT_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            certificate = secure.getpeercert() or {}
            version = secure.version()
    except ssl.SSLCertVerificationError as error:
        advice = "" if attachment.ca else "; a certificate of its own needs --ca FILE"
        return Step(what="TLS", good=False, said=f"not trusted: {error.verify_message}{advice}")
    except OSError as error:
        return Step(what="TLS", good=False, said=f"no secure connection: {error.strerror or error}")
    ends_at = certificate.get("notAfter")
    if not isinstance(ends_at, str):
        return Step(what="TLS", good=True, said=f"{version}, certificate is trusted")
    left = ssl.cert_time_to_seconds(ends_at) - time.time()
    said = f"{version}, certificate is trusted and good for {format_duration(left)}"
    return Step(what="TLS", good=True if left > _SOON_S else None, said=said)


def _pinned(attachment: Attachment) -> Step:
    """Whether the one certificate that the invite told is still there."""
    try:
        with client_of(attachment) as client:
            client.health()
    except AgentError as error:
        return Step(what="TLS", good=False, said=error.message)
    return Step(what="TLS", good=True, said="certificate is the one that the invite told")


def _token(session: Session, attachment: Attachment) -> Step:
    origin = {
        "file": f"from the file {attachment.credential_from}",
        "env": f"from the variable {attachment.credential_from}",
        "stored": f"kept in {session.store.folder / 'tokens' / attachment.name}",
    }[attachment.credential]
    try:
        session.store.token(attachment)
    except UserError as error:
        return Step(what="token", good=False, said=error.message)
    if attachment.credential == "file" and os.name == "posix":
        mode = Path(attachment.credential_from).stat().st_mode
        if mode & 0o077:
            advice = f"others on this machine can read it: chmod 600 {attachment.credential_from}"
            return Step(what="token", good=None, said=f"{origin}; {advice}")
    if attachment.url.startswith("http:") and not is_loopback(attachment.url):
        return Step(what="token", good=None, said=f"{origin}; it is sent unencrypted")
    return Step(what="token", good=True, said=origin)


def _identity(attachment: Attachment, info: Info) -> Step:
    if attachment.agent_id and attachment.agent_id != info.agent_id:
        return Step(what="identity", good=None, said=new_agent(attachment.name))
    same = ", the one that was attached" if attachment.agent_id else ""
    return Step(what="identity", good=True, said=f"agent {info.agent_id}{same}")


def _version(info: Info) -> Step:
    said = f"agent {info.version}, mlmagics here {__version__}, protocol {info.protocol}"
    if info.protocol != PROTOCOL_VERSION:
        older = "the agent" if info.protocol < PROTOCOL_VERSION else "mlmagics here"
        said = f"{said}; here {PROTOCOL_VERSION}: upgrade {older}"
    return Step(what="version", good=info.protocol == PROTOCOL_VERSION, said=said)


def _python(info: Info) -> Step:
    here = ".".join(map(str, sys.version_info[:3]))
    if info.local:
        return Step(what="python", good=True, said=f"jobs run in this Python, {here}")
    same = info.python_version.split(".")[:2] == here.split(".")[:2]
    said = f"jobs run in Python {info.python_version} ({info.python}), here is {here}"
    return Step(what="python", good=True if same else None, said=said)


def _projects(client: AgentClient, info: Info) -> Iterator[Step]:
    if not info.projects:
        yield Step(what="project", good=None, said="none is open to this token")
    for project in info.projects:
        if is_mounted(project):
            said = f"{project.name}: mounted here too, read and written directly"
            yield Step(what="project", good=True, said=said)
            continue
        try:
            count = len(client.list_files(project.name))
        except AgentError as error:
            yield Step(what="project", good=False, said=f"{project.name}: {error.message}")
            return
        things = "1 entry" if count == 1 else f"{count} entries"
        yield Step(what="project", good=True, said=f"{project.name}: through the agent, {things} in its root")
