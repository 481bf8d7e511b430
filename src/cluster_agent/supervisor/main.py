"""One supervisor process: waits for its order, runs that one job, ends.

Forked ahead of its job (:mod:`cluster_agent.supervisor.nursery`), with one end of a socket pair; the agent has
the other. Until it has a complete order it ends when the agent's end closes; once it has one it answers with a
byte and never looks at the agent again.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from pathlib import Path

from cluster_agent.executors.base import Order
from cluster_agent.folder import FOLDER_VERSION, JobFolder
from cluster_agent.isolation.ids import Ids, become_keeper
from cluster_agent.log.append import LogTaken, LogWriter
from cluster_agent.supervisor.channels import Control, readable_bytes
from cluster_agent.supervisor.launch import AHEAD, LaunchError, Ready, launch_ahead
from cluster_agent.supervisor.messages import (
    HEAD_BYTES,
    LONGEST_BYTES,
    READY,
    TAKEN,
    GetReady,
    HandOver,
    unpack,
)
from cluster_agent.supervisor.processes import become_reaper
from cluster_agent.supervisor.record import note
from cluster_agent.supervisor.watch import Watch


def main(descriptor: int) -> None:
    """Be the supervisor of the job that comes in through the socket ``descriptor``."""
    signals = watch_signals()
    ready: Ready | None = None
    with socket.socket(fileno=descriptor) as agent:
        message = _receive(agent)
        ids = _settle(message)
        if isinstance(message, GetReady):
            ready = _get_ready(message, agent)
            message = _receive(agent) if ready else None
        if not isinstance(message, HandOver):
            return
        if message.order.ids != ids:
            note(f"{message.order.title}: an order for another user than this supervisor's; not taken")
            return
        signal.signal(signal.SIGTERM, _nothing)
        try:
            agent.send(TAKEN)
        except OSError:
            pass  # it is gone; the order is complete, so the job runs
    _supervise(message.order, Path(message.kit), signals, ready)


def _settle(message: HandOver | GetReady | None) -> Ids | None:
    """Whose supervisor this one is from now on: root is given up before anything of a job is touched."""
    ids = message.order.ids if isinstance(message, HandOver) else message.ids if message else None
    if ids is not None:
        become_keeper(ids)
    return ids


def _get_ready(wanted: GetReady, agent: socket.socket) -> Ready | None:
    """An interpreter that waits, once there is something from the agent; None when there is none, or the agent is gone.

    What it prints before its job would belong to none, so then it is of no use.
    """
    try:
        runner = launch_ahead(wanted)
    except LaunchError as error:
        note(f"no interpreter can be held ready: {error}")
        return None
    if runner.control not in _first(runner.control, agent):
        return None
    said = [packet for packet, _ in runner.control.packets(2)]
    if said != [AHEAD] or any(readable_bytes(pipe.fileno()) for pipe in runner.pipes):
        return None
    agent.send(READY)
    return None if runner.control in _first(runner.control, agent) else Ready(runner, wanted)


def _first(*channels: Control | socket.socket) -> list[Control | socket.socket]:
    """Those that have something to read, once one has."""
    return select.select(channels, [], [])[0]


def _supervise(order: Order, kit: Path, signals: int, ready: Ready | None) -> None:
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
        Watch(order, writer, signals, ready).run(kit)


def watch_signals() -> int:
    """A descriptor that tells the numbers of signals; those that must not end this process do not any more.

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


def _receive(agent: socket.socket) -> HandOver | GetReady | None:
    """What the agent says; None when it is gone before it has said all of it, or is a newer one."""
    head = _receive_exactly(agent, HEAD_BYTES)
    length = int.from_bytes(head, "big")
    if len(head) < HEAD_BYTES or length > LONGEST_BYTES:
        return None
    body = _receive_exactly(agent, length)
    if len(body) < length:
        return None
    message = unpack(body)
    if message.version > FOLDER_VERSION:
        note(f"a newer agent (version {message.version}) has sent an order; not taken")
        return None
    return message


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
