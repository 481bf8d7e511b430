"""Adding, checking and naming attachments. An agent is asked before anything is saved."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from cluster_agent.client import AgentClient
from cluster_agent.protocol import PROTOCOL_VERSION, Info
from mlmagics.cluster.addresses import agent_url
from mlmagics.cluster.names import LOCAL, check_name
from mlmagics.cluster.overview import AttachmentRow, row
from mlmagics.cluster.probing import first_answer
from mlmagics.cluster.session import Session, current, told
from mlmagics.cluster.store import Attachment
from mlmagics.cluster.tokens import clean_token
from mlmagics.errors import BadValue, ClusterError, UserError


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
        ``https://HOST:PORT``; ``http://`` only to one's own or root's program on this machine, or with
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
    base = agent_url(url, insecure=insecure)
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
    if attachment.credential == "stored":
        token = token or (ask(f"Token for {name} ({base}): ") if ask else None)
        if not token:
            raise BadValue(f"{name} needs a token: --token-file FILE or --token-env VARIABLE", field="token")
        token = clean_token(token, "what was typed")
    said = _ask(attachment, token or session.store.token(attachment))
    info = said[0]
    old = known.get(name)
    if old is not None and old.agent_id != info.agent_id:
        raise BadValue(
            f"{name} is attached already, to another agent ({old.url}): choose another name, or "
            f"%attachments remove {name} first",
            field="name",
        )
    attachment = msgspec.structs.replace(
        attachment,
        agent_id=info.agent_id,
        public_url=info.public_url,
        python_version=info.python_version,
        aliases=old.aliases if old else [],
    )
    session.store.put(attachment, token=token if attachment.credential == "stored" else None)
    added = row(attachment, *said)
    same = [other.name for other in known.values() if other.agent_id == info.agent_id and other.name != name]
    if same:
        added = replace(added, remark="; ".join(filter(None, [f"the same agent as {same[0]}", added.remark])))
    return added


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
    attachment = session.store.get(name)
    if base in attachment.addresses:
        return attachment
    for other in session.store.all().values():
        if base in other.addresses:
            raise BadValue(f"{base} is an address of {other.name} already", field="url")
    _check_same_agent(attachment, base)
    return session.store.change(name, aliases=[*attachment.aliases, base])


def _ask(attachment: Attachment, token: str) -> tuple[Info, float]:
    with AgentClient(attachment.url, token=token, ca=attachment.ca, own_only=attachment.own_only) as client:
        try:
            began = time.monotonic()
            info = first_answer(client, attachment.name)
            seconds = time.monotonic() - began
        except ClusterError as error:
            if error.code == "unauthorized":
                # there is no attachment yet that could be removed and added again
                raise BadValue(
                    f"the agent at {attachment.url} does not accept this token: ask whoever runs it for another",
                    field="token",
                ) from None
            raise
    if info.protocol != PROTOCOL_VERSION:
        older = "the agent" if info.protocol < PROTOCOL_VERSION else "mlmagics here"
        raise UserError(
            f"the agent at {attachment.url} speaks protocol {info.protocol}, this mlmagics {PROTOCOL_VERSION}: "
            f"upgrade {older}"
        )
    return info, seconds


def _check_same_agent(attachment: Attachment, base: str) -> None:
    # no token: who answers there is not known yet
    with AgentClient(base, ca=attachment.ca) as client, told(attachment.name):
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
