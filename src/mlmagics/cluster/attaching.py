"""Adding, checking and naming attachments. An agent is asked before anything is saved."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import msgspec

from cluster_agent.errors import NoTunnel
from mlmagics.cluster.addresses import agent_url, shown_base, split_invite
from mlmagics.cluster.attached import ask_agent, check_agent, keep
from mlmagics.cluster.connecting import client_of, tunnel_of
from mlmagics.cluster.inviting import accept
from mlmagics.cluster.names import LOCAL, check_name
from mlmagics.cluster.overview import AttachmentRow
from mlmagics.cluster.session import Session, current, told
from mlmagics.cluster.store import Attachment
from mlmagics.cluster.tokens import clean_token
from mlmagics.errors import BadValue, ClusterError


def add(
    name: str,
    url: str,
    *,
    token: str | None = None,
    token_file: str | None = None,
    token_env: str | None = None,
    ca: str | None = None,
    insecure: bool = False,
    ask: Callable[[str], str] | None = None,
    taken: frozenset[str] = frozenset(),
    session: Session | None = None,
) -> AttachmentRow:
    """The new cluster's row, once its agent has answered and it is saved.

    Parameters
    ----------
    name
        What the cluster is called here, so that ``%%NAME`` is its magic.
    url
        ``https://HOST:PORT``, ``ssh://USER@HOST`` (no token), or an invite, ``https://HOST:PORT#CODE``, which brings its own token and
        certificate. ``http://`` only to one's own or root's program on this machine, or with
        ``insecure``.
    token, token_file, token_env
        The token itself (kept 0600 beside the attachments), or where it is read each time.
    ca
        PEM file with the certificate that the agent's must be signed by, or that is the agent's own.
    ask
        Asks a person for the token, unseen, when it was given in none of the three ways.
    taken
        Names that magics have already.

    Raises
    ------
    BadValue
        When a name, address or option is wrong.
    ClusterError
        When the agent does not answer, or not to this token. Nothing was saved.
    """
    session = session or current()
    known = session.store.all()
    if name not in known:
        check_name(name, taken)
    address, code = split_invite(url)
    base = agent_url(address, insecure=insecure)
    if sum(given is not None for given in (token, token_file, token_env)) > 1:
        raise BadValue("give the token in one way only: --token-file, --token-env, or typed", field="token")
    attachment = Attachment(
        name=name,
        url=base,
        credential="file" if token_file else "env" if token_env else "stored",
        credential_from=str(Path(token_file).expanduser().absolute()) if token_file else token_env or "",
        ca=_ca_file(ca),
        insecure=insecure,
    )
    if attachment.over_ssh:
        return _over_ssh(attachment, (token, token_file, token_env, ca, code), session)
    if code is not None:
        if token is not None or attachment.credential != "stored":
            raise BadValue("an invite brings its own token: give no other", field="token")
        return accept(attachment, code, session)
    if attachment.credential == "stored":
        token = token or (ask(f"Token for {name} ({base}): ") if ask else None)
        if not token:
            raise BadValue(f"{name} needs a token: --token-file FILE or --token-env VARIABLE", field="token")
        token = clean_token(token, "what was typed")
    said = ask_agent(attachment, token or session.store.token(attachment))
    attachment = _in_place_of(known.get(name), attachment, said[0].agent_id)
    return keep(attachment, token if attachment.credential == "stored" else None, said, session)


def _over_ssh(attachment: Attachment, others: tuple[object, ...], session: Session) -> AttachmentRow:
    """The row of a cluster that the system's ssh leads to: who asks is the account there."""
    if any(others):
        raise BadValue("over ssh your account on the box is who you are: no token, CA or invite", field="url")
    try:
        # what was refused a moment ago may be mended
        tunnel_of(attachment).open(sure=True)
    except NoTunnel as error:
        raise ClusterError(
            f"{attachment.name}: {error}", cluster=attachment.name, code="unreachable"
        ) from None
    said = ask_agent(attachment, "")
    attachment = _in_place_of(session.store.all().get(attachment.name), attachment, said[0].agent_id)
    return keep(attachment, None, said, session)


def _in_place_of(old: Attachment | None, attachment: Attachment, agent_id: str) -> Attachment:
    """``attachment`` with what it takes over from the ``old`` one of its name."""
    if old is None:
        return attachment
    check_agent(old, agent_id)
    return msgspec.structs.replace(attachment, aliases=old.aliases)


def remove(name: str, *, session: Session | None = None) -> None:
    """Forget a cluster and a token that was typed for it. Its jobs go on."""
    session = session or current()
    if name == LOCAL:
        raise BadValue("local is always there; to end its agent: mlmagics local stop", field="name")
    session.store.remove(name)


def alias(name: str, url: str, *, session: Session | None = None) -> Attachment:
    """The attachment after ``url`` became another address of its agent, for history URLs only.

    The token is never sent there: jobs of such URLs are asked for at the attachment's own address.
    """
    session = session or current()
    base = agent_url(url.split("/history/")[0], insecure=True)
    shown = shown_base(base)
    attachment = session.store.get(name)
    if shown in attachment.addresses:
        return attachment
    for other in session.store.all().values():
        if shown in other.addresses:
            raise BadValue(f"{shown} is an address of {other.name} already", field="url")
    _check_same_agent(attachment, base)
    return session.store.change(name, aliases=[*attachment.aliases, shown])


def _check_same_agent(attachment: Attachment, base: str) -> None:
    # no token: who answers there is not known yet
    with (
        client_of(msgspec.structs.replace(attachment, url=base, insecure=True)) as client,
        told(attachment.name),
    ):
        found = client.health().agent_id
    if found != attachment.agent_id:
        raise BadValue(f"{base} is another agent than {attachment.name}: nothing was changed", field="url")


def _ca_file(path: str | None) -> str | None:
    """``path`` made absolute, when it holds certificates."""
    if path is None:
        return None
    file = Path(path).expanduser().absolute()
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        reason = "no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
        raise BadValue(f"--ca {file} cannot be used: {reason}", field="ca") from None
    return str(file)
