"""One supervisor process: waits for its order, runs that one job, ends.

Forked ahead of its job (:mod:`cluster_agent.supervisor.nursery`), with one end of a socket pair; the agent has
the other. Until it has a complete order it ends when the agent's end closes; once it has one it answers with a
byte and never looks at the agent again.
"""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any

import msgspec

from cluster_agent.executors.base import Order
from cluster_agent.folder import FOLDER_VERSION, JobFolder
from cluster_agent.log.append import LogTaken, LogWriter
from cluster_agent.supervisor.processes import become_reaper
from cluster_agent.supervisor.record import note
from cluster_agent.supervisor.watch import Watch

#: What a hand-over begins with: the length of the rest.
HEAD_BYTES = 8
_LONGEST = 2**26


class HandOver(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent sends to a supervisor."""

    version: int = FOLDER_VERSION
    #: the folder with the job's side of the channels
    kit: str
    order: Order


def pack(order: Order, kit: Path) -> bytes:
    """The hand-over of ``order``, as it is sent."""
    body = msgspec.json.encode(HandOver(kit=str(kit), order=order), enc_hook=str)
    return len(body).to_bytes(HEAD_BYTES, "big") + body


def unpack(body: bytes) -> HandOver:
    """The hand-over in ``body``, without its head."""
    return msgspec.json.decode(body, type=HandOver, dec_hook=_decode_path)


def main(descriptor: int) -> None:
    """Be the supervisor of the job that comes in through the socket ``descriptor``."""
    signals = _watch_signals()
    with socket.socket(fileno=descriptor) as agent:
        body = _receive(agent)
        if body is None:
            return
        hand_over = unpack(body)
        if hand_over.version > FOLDER_VERSION:
            note(f"a newer agent (version {hand_over.version}) has sent an order; not taken")
            return
        signal.signal(signal.SIGTERM, _nothing)
        try:
            agent.send(b"1")
        except OSError:
            pass  # it is gone; the order is complete, so the job runs
    _supervise(hand_over.order, Path(hand_over.kit), signals)


def _supervise(order: Order, kit: Path, signals: int) -> None:
    become_reaper()
    folder = JobFolder(order.folder)
    try:
        writer = LogWriter.take(folder.log, tag=order.tag)
    except LogTaken:
        note(f"{order.title}: another process writes its log; nothing was started")
        return
    with writer:
        if folder.closed(order.nonce).exists() or writer.started or writer.ended:
            note(f"{order.title}: this start is closed; nothing was started")
            return
        Watch(order, writer, signals).run(kit)


def _watch_signals() -> int:
    """A descriptor that tells the numbers of signals; those that must not end a supervisor do not any more.

    Handlers instead of SIG_IGN: what is ignored would stay ignored in the job.
    """
    told, tell = os.pipe()
    os.set_blocking(told, False)
    os.set_blocking(tell, False)
    for number in (signal.SIGCHLD, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _nothing)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    return told


def _nothing(number: int, frame: object) -> None:
    """Let a signal interrupt a wait, and nothing else."""


def _receive(agent: socket.socket) -> bytes | None:
    """The body of the hand-over; None when the agent is gone before it was complete."""
    head = _receive_exactly(agent, HEAD_BYTES)
    length = int.from_bytes(head, "big")
    if len(head) < HEAD_BYTES or length > _LONGEST:
        return None
    body = _receive_exactly(agent, length)
    return body if len(body) == length else None


def _receive_exactly(agent: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        try:
            part = agent.recv(count - len(data))
        except ConnectionError:
            break
        if not part:
            break
        data += part
    return bytes(data)


def _decode_path(kind: type, value: Any) -> Any:
    return kind(value) if kind is Path else value
