"""Jobs as processes on this machine, each below a supervisor of its own session.

A supervisor is meant by process id, start time and boot; signals go through a descriptor of exactly that
process where the system has such (Linux), so that an id that was given again is never hit.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cluster_agent.executors.base import Handle, Order
from cluster_agent.executors.groups import kill_group
from cluster_agent.executors.habits import Kind, kind_of
from cluster_agent.executors.kit import compile_kit
from cluster_agent.executors.nursery import Spare
from cluster_agent.executors.spares import Spares
from cluster_agent.supervisor.identity import boot_id, start_time, still_there
from cluster_agent.supervisor.launch import MARK
from cluster_agent.supervisor.messages import pack
from cluster_agent.supervisor.processes import marked, send

_POLL_S = 0.2
#: Compiling leaves the processors to the job that is being started for this long.
_COMPILE_DELAY_S = 0.5
#: A supervisor that waits takes a job within a millisecond; one that is stopped, or thrashes, does not.
TAKE_S = 15.0
_log = logging.getLogger(__name__)


class LocalRunning:
    """A supervisor on this machine."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle

    async def wait(self) -> None:
        """Return when the supervisor is gone."""
        descriptor = _open_process(self.handle)
        if descriptor is not None:
            try:
                await _readable(descriptor)
            finally:
                os.close(descriptor)
        while _lives(self.handle):
            await asyncio.sleep(_POLL_S)

    def nudge(self) -> None:
        """Make the supervisor look at the wish file now."""
        send(self.handle.pid, self.handle.pid_started, signal.SIGUSR1)


class LocalExecutor:
    """Starts jobs on this machine.

    Parameters
    ----------
    kit
        Folder of the job's side, as :func:`cluster_agent.executors.kit.install_kit` makes it.
    spares
        Supervisors that are kept waiting.
    warm
        Interpreters that are kept waiting, with what jobs here begin with imported.
    log
        File for what supervisors have to say when they cannot say it in a job's log.
    enforce_memory
        Whether a job that uses more memory than it holds is ended.
    cgroup
        Control group in which each job gets one of its own.
    take_s
        How long a spare has to take a job.
    compiled
        Is told of the kit when there is more in it.
    """

    def __init__(
        self,
        kit: Path,
        spares: int = 2,
        *,
        warm: int = 0,
        log: Path,
        enforce_memory: bool = False,
        cgroup: Path | None = None,
        take_s: float = TAKE_S,
        compiled: Callable[[Path], None] | None = None,
    ) -> None:
        self._kit = kit
        self._enforce_memory = enforce_memory
        self._cgroup = cgroup
        self._take_s = take_s
        self._compiled = compiled
        #: what waits for a job
        self.spares = Spares(spares, warm, kit=kit, log=log)
        self._boot_id = boot_id()
        #: by interpreter; done once its bytecode is there, or could not be had
        self._compiling: dict[str, asyncio.Task[bool]] = {}

    async def open(self, expected: Kind | None = None) -> None:
        """Have spares start in the background, and interpreters for jobs as ``expected``."""
        if expected is not None:
            self.spares.expect(expected)
        self.spares.refill(delay_s=0.0)

    async def start(self, order: Order) -> LocalRunning:
        """Hand ``order`` to a supervisor; return once it has all of it.

        A supervisor that does not take it in time is killed; what is returned is then its remains, and the log
        says whether it had begun.

        Raises
        ------
        OSError
            When no supervisor could be started, so that nothing has run.
        """
        order = replace(order, enforce_memory=self._enforce_memory, cgroup=self._cgroup)
        message = pack(order, self._kit)
        try:
            while True:
                spare, fresh = await self.spares.take(_wanted(order))
                running = await self._hand_over(spare, message)
                if running is not None:
                    self._compile_for(order)
                    return running
                if fresh:
                    raise OSError(
                        "the supervisor ended before it took the job; the supervisors' log may say why"
                    )
        finally:
            self.spares.refill()

    def adopt(self, handle: Handle) -> LocalRunning | None:
        """The supervisor that ``handle`` names, or None when it no longer lives."""
        return LocalRunning(handle) if _lives(handle) else None

    def sweep(self, nonce: str) -> list[int]:
        """Kill what is left of a start whose supervisor is dead; return the process ids that were hit.

        To be repeated until it returns an empty list: processes may fork meanwhile.
        """
        if self._cgroup is not None:
            kill_group(self._cgroup, nonce)
        found = marked(MARK, nonce)
        for pid, started in found.items():
            send(pid, started, signal.SIGKILL)
        return sorted(found)

    async def close(self) -> None:
        """Let spares end; supervisors with a job go on."""
        for task in self._compiling.values():
            task.cancel()
        await asyncio.gather(*self._compiling.values(), return_exceptions=True)
        await self.spares.close()

    def _compile_for(self, order: Order) -> None:
        """Have bytecode made for the job's interpreter, in the background; again after it has failed."""
        if order.ids is not None and not order.common:
            return  # its variables are a person's, and this is done with the agent's rights
        task = self._compiling.get(order.python)
        if task is None or (task.done() and not task.result()):
            loop = asyncio.get_running_loop()
            self._compiling[order.python] = loop.create_task(self._compile(order))

    async def _compile(self, order: Order) -> bool:
        await asyncio.sleep(_COMPILE_DELAY_S)
        try:
            await asyncio.to_thread(self._compile_now, order)
        except (OSError, subprocess.SubprocessError) as error:
            _log.warning("jobs in %s start slower, as the kit is not compiled: %s", order.python, error)
            return False
        return True

    def _compile_now(self, order: Order) -> None:
        compile_kit(self._kit, order.python, order.variables)
        if self._compiled is not None:
            self._compiled(self._kit)

    async def _hand_over(self, spare: Spare, message: bytes) -> LocalRunning | None:
        """The supervisor with its job; None when it ended before it had all of it, and so did not begin."""
        with spare.channel:
            try:
                taken = await asyncio.wait_for(_offer(spare, message), self._take_s)
            except ConnectionError:
                taken = b""
            except asyncio.TimeoutError:
                _log.error(
                    "a supervisor (process %d) took no job within %g s; killed", spare.pid, self._take_s
                )
                await asyncio.to_thread(spare.kill)
                taken = b"?"
        if not taken:
            await asyncio.to_thread(spare.dismiss)
            return None
        return LocalRunning(Handle(pid=spare.pid, pid_started=spare.started, boot_id=self._boot_id))


def _wanted(order: Order) -> Kind | None:
    """What the job could take of an interpreter that waits; None when it has to have one of its own."""
    if not order.common or order.box is not None:
        return None
    tops = {file.path.partition("/")[0].removesuffix(".py") for file in order.inputs.files}
    kind = kind_of(order.python, order.variables, order.source, own_modules=tops, ids=order.ids)
    # definitions and values come before the cell, and may do anything
    return kind.bare() if order.inputs.sources or order.inputs.values else kind


def _lives(handle: Handle) -> bool:
    try:
        # an agent that is the first process of a container is the parent of those that lost theirs
        os.waitpid(handle.pid, os.WNOHANG)
    except ChildProcessError:
        pass
    return bool(still_there([handle.pid], [handle.pid_started], handle.boot_id))


async def _offer(spare: Spare, message: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(spare.channel, message)
    return await loop.sock_recv(spare.channel, 1)


if sys.platform == "linux":

    def _open_process(handle: Handle) -> int | None:
        """A descriptor that becomes readable when the process ends; None when it has ended."""
        try:
            descriptor = os.pidfd_open(handle.pid)
        except ProcessLookupError:
            return None
        if start_time(handle.pid) == handle.pid_started:
            return descriptor
        os.close(descriptor)
        return None

else:

    def _open_process(handle: Handle) -> int | None:  # noqa: ARG001
        """Nothing: processes have no descriptors here, so they are looked at again and again."""
        return None


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
