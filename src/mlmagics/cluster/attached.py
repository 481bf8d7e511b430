"""The steps that every way of attaching shares: ask the agent, see that it is the same as before, keep it."""

from __future__ import annotations

import time
from dataclasses import replace

import msgspec

from cluster_agent.protocol import PROTOCOL_VERSION, Info
from mlmagics.cluster.connecting import client_of
from mlmagics.cluster.overview import AttachmentRow, row
from mlmagics.cluster.probing import first_answer
from mlmagics.cluster.session import Session
from mlmagics.cluster.store import Attachment
from mlmagics.errors import BadValue, ClusterError, UserError


def ask_agent(attachment: Attachment, token: str) -> tuple[Info, float]:
    """What the agent says of itself, and after how many seconds.

    Raises
    ------
    ClusterError, BadValue
        When it does not answer, or not to this token.
    UserError
        When it speaks another protocol.
    """
    with client_of(attachment, token) as client:
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


def check_agent(old: Attachment, agent_id: str) -> None:
    """Refuse to put another agent behind the name of ``old``.

    Raises
    ------
    BadValue
        When it is another one.
    """
    if old.agent_id != agent_id:
        raise BadValue(
            f"{old.name} is attached already, to another agent ({old.url}): choose another name, or "
            f"%attachments remove {old.name} first",
            field="name",
        )


def keep(
    attachment: Attachment, token: str | None, said: tuple[Info, float], session: Session
) -> AttachmentRow:
    """The row of a cluster that is saved with what its agent has said; ``token`` goes to the store."""
    info = said[0]
    attachment = msgspec.structs.replace(
        attachment,
        agent_id=info.agent_id,
        public_url=info.public_url,
        python_version=info.python_version,
    )
    session.store.put(attachment, token=token)
    added = row(attachment, *said)
    known = session.store.all().values()
    same = [
        other.name for other in known if other.agent_id == info.agent_id and other.name != attachment.name
    ]
    if same:
        added = replace(added, remark="; ".join(filter(None, [f"the same agent as {same[0]}", added.remark])))
    return added
