"""What an agent says to a supervisor: hold an interpreter ready, and run this job.

A message is eight bytes with the length of the rest, then JSON. A supervisor answers each with a byte, once it has
done what is asked, or is certain to.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from cluster_agent.executors.base import Order
from cluster_agent.folder import FOLDER_VERSION
from cluster_agent.isolation.ids import Ids

#: What a message begins with: the length of the rest.
HEAD_BYTES = 8
#: Longer ones are no messages of ours.
LONGEST_BYTES = 2**26
READY, TAKEN = b"r", b"1"


class HandOver(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Run a job."""

    version: int = FOLDER_VERSION
    #: the folder with the job's side of the channels
    kit: str
    order: Order


class GetReady(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Start an interpreter ahead of its job."""

    version: int = FOLDER_VERSION
    kit: str
    python: str
    #: without those that each job has of its own
    variables: dict[str, str]
    #: modules that it is to import
    imports: tuple[str, ...]
    #: whose it is, where that is not the agent's own user
    ids: Ids | None = None


def pack(order: Order, kit: Path) -> bytes:
    """The hand-over of ``order``, as it is sent."""
    return frame(HandOver(kit=str(kit), order=order))


def frame(message: HandOver | GetReady) -> bytes:
    """``message`` as it is sent."""
    body = msgspec.json.encode(message, enc_hook=str)
    return len(body).to_bytes(HEAD_BYTES, "big") + body


def unpack(body: bytes) -> HandOver | GetReady:
    """The message in ``body``, without its head."""
    message: HandOver | GetReady = _decode(body)
    return message


def _decode_path(kind: type, value: Any) -> Any:
    return kind(value) if kind is Path else value


# Made here, before supervisors are forked: taking the types apart takes longer than all that is decoded with it.
_decode = msgspec.json.Decoder(HandOver | GetReady, dec_hook=_decode_path).decode
