"""Accepting an invite: an address with a code, which is exchanged for a token, once.

The code stays where it was pasted, in chats and notebooks. So a cell with it may run again: where the cluster is
attached and answers, nothing is exchanged and nothing changes.
"""

from __future__ import annotations

import socket
from dataclasses import replace

import msgspec

from cluster_agent.client import Unconfirmed
from cluster_agent.errors import AgentError, BadRequest, Forbidden, NotFound
from cluster_agent.protocol import InviteCode
from mlmagics.cluster.attached import ask_agent, check_agent, keep
from mlmagics.cluster.connecting import client_of
from mlmagics.cluster.overview import AttachmentRow
from mlmagics.cluster.session import Session, told
from mlmagics.cluster.store import Attachment
from mlmagics.errors import BadValue, UserError


def accept(attachment: Attachment, code: InviteCode, session: Session) -> AttachmentRow:
    """The row of the cluster that ``attachment`` describes, once its invite has become a token that is kept.

    Raises
    ------
    BadValue
        When the invite cannot be used, with what to do.
    ClusterError
        When the agent does not answer, or is not the one that made the invite.
    """
    if code.print and attachment.url.startswith("http:"):
        raise BadValue("this invite is of an agent with TLS: its address begins with https://", field="url")
    if attachment.ca is None:
        attachment = msgspec.structs.replace(attachment, pin=code.print.hex())
    old = session.store.all().get(attachment.name)
    with client_of(attachment) as client:
        with told(attachment.name):
            agent_id = client.health().agent_id
        if old is not None:
            check_agent(old, agent_id)
            if (row := _attached(old, agent_id, session)) is not None:
                return row
            if old.url != attachment.url:
                raise BadValue(
                    f"{old.name} is attached already, at {old.url}, which does not answer: %attachments remove "
                    f"{old.name} first, or choose another name",
                    field="name",
                )
            attachment = msgspec.structs.replace(attachment, aliases=old.aliases)
        attachment = msgspec.structs.replace(attachment, agent_id=agent_id)
        try:
            token = client.redeem(code.text, socket.gethostname()).token
        except AgentError as error:
            raise _refused(error, attachment) from None
    # before anything else can go wrong: the invite is used up
    session.store.put(attachment, token=token)
    return keep(attachment, token, ask_agent(attachment, token), session)


def _attached(old: Attachment, agent_id: str, session: Session) -> AttachmentRow | None:
    """The row of a cluster that is attached as it should be, None when it is not.

    It is asked where and as it was attached: the line that was pasted has no say in where its token goes.
    """
    try:
        token = session.store.token(old)
        said = ask_agent(old, token)
    except UserError:
        return None
    if said[0].agent_id != agent_id:
        return None
    row = keep(old, None, said, session)
    return replace(
        row, remark="; ".join(filter(None, ["attached already: the invite was not used", row.remark]))
    )


def _refused(error: AgentError, attachment: Attachment) -> UserError:
    if isinstance(error, (Forbidden, BadRequest)) and error.field == "code":
        return BadValue(f"{error.message}; ask whoever runs {attachment.name} for a new one", field="url")
    if isinstance(error, NotFound):
        return BadValue(
            f"the agent at {attachment.url} is older than invites: leave out what follows #, and give a token",
            field="url",
        )
    if isinstance(error, Unconfirmed):
        return UserError(
            f"{error.message}; paste the invite again, and if it was used up then ask for a new one"
        )
    try:
        with told(attachment.name):
            raise error
    except UserError as line:
        return line
