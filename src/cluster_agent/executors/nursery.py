"""The agent's side of the nursery (:mod:`cluster_agent.supervisor.nursery`): asks for supervisors."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cluster_agent.supervisor.identity import boot_id, still_there
from cluster_agent.supervisor.nursery import REPLY_BYTES, REQUEST, Born, Refused, decode_reply
from cluster_agent.supervisor.processes import send

T = TypeVar("T")

#: What a supervisor's own interpreter may need to start at all; nothing else of the agent's variables.
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
#: For a spare that is let go: it has nothing to do but to end.
_DISMISS_S = 5.0
_DISMISS_LOOK_S = 0.01
#: A nursery forks within milliseconds once it is up; one that is stopped, or thrashes, does not.
_BIRTH_S = 15.0


@dataclass(frozen=True, slots=True)
class Spare:
    """A supervisor without a job, and the agent's end of its socket."""

    pid: int
    started: float
    channel: socket.socket

    def dismiss(self) -> None:
        """Let it end, as it does when this end closes; one that does not is killed."""
        self.channel.close()
        if not self._gone_within(_DISMISS_S):
            self.kill()

    def kill(self) -> None:
        """End it, stopped or not."""
        send(self.pid, self.started, signal.SIGKILL)
        self._gone_within(_DISMISS_S)

    def _gone_within(self, patience_s: float) -> bool:
        deadline = time.monotonic() + patience_s
        while still_there([self.pid], [self.started], boot_id()):
            if time.monotonic() > deadline:
                return False
            time.sleep(_DISMISS_LOOK_S)
        return True


class Nursery:
    """The process that forks supervisors: started when it is first needed, and again when it is gone.

    It has its own session and the folder ``/``, so that nothing that happens to the agent reaches it.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        #: whether a reply is still to come that nobody waits for any more
        self._owes = False
        self._turn = asyncio.Lock()

    async def bear(self) -> Spare:
        """A new supervisor.

        Raises
        ------
        OSError
            When the system makes no process, or a new nursery does not answer.
        """
        async with self._turn:
            if self._channel is not None and not self._owes:
                try:
                    return await self._ask(self._channel)
                except (ConnectionError, asyncio.TimeoutError):
                    pass  # it is gone, or stopped: another one takes its place
            # those that it has made have nobody then who kills what they leave behind when they are killed
            await asyncio.to_thread(self._end)
            channel = await _finished(asyncio.to_thread(self._begin))
            try:
                return await self._ask(channel)
            except (ConnectionError, asyncio.TimeoutError):
                await asyncio.to_thread(self._end)
                raise OSError(
                    "the process that makes supervisors has ended; the supervisors' log may say why",
                ) from None

    async def close(self) -> None:
        """Let it end; the supervisors that it has made go on, and itself for as long as they do."""
        async with self._turn:
            if self._channel is not None and not self._owes and await self._stays(self._channel):
                self._let_go()
            await asyncio.to_thread(self._end)

    def _begin(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs, self._log.open("ab") as errors:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-m", "cluster_agent.supervisor.nursery", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                    pass_fds=(theirs.fileno(),),
                    cwd="/",
                    env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        self._channel = ours
        self._owes = False
        return ours

    async def _stays(self, channel: socket.socket) -> bool:
        """Say that nothing more will be asked; whether the process goes on for the sake of its supervisors."""
        try:
            channel.shutdown(socket.SHUT_WR)
            loop = asyncio.get_running_loop()
            return bool(await asyncio.wait_for(loop.sock_recv(channel, REPLY_BYTES), _DISMISS_S))
        except (OSError, asyncio.TimeoutError):
            return False

    def _let_go(self) -> None:
        assert self._process is not None
        self._process.returncode = 0  # nobody here will take its exit
        self._process = None

    def _end(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            try:
                self._process.wait(_DISMISS_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    async def _ask(self, channel: socket.socket) -> Spare:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(channel, [REQUEST], [theirs.fileno()])
                self._owes = True
                loop = asyncio.get_running_loop()
                packet = await asyncio.wait_for(loop.sock_recv(channel, REPLY_BYTES), _BIRTH_S)
                self._owes = False
            if not packet:
                raise ConnectionResetError
            reply = decode_reply(packet)
            if isinstance(reply, Refused):
                raise OSError(reply.errno, os.strerror(reply.errno))
            assert isinstance(reply, Born)
        except BaseException:
            ours.close()
            raise
        ours.setblocking(False)
        return Spare(reply.pid, reply.started, ours)


async def _finished(work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``; whoever is cancelled meanwhile still waits for its end, so that nothing is left of it."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
