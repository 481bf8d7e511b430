"""What waits for a job: supervisors, so that starting one costs a hand-over, and some with an interpreter, warm."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

import psutil

from cluster_agent.executors.habits import Habits, Kind, choose
from cluster_agent.executors.nursery import Nursery, Spare
from cluster_agent.supervisor.messages import READY, GetReady, frame

#: A new spare leaves the processors to the job that took the last one for this long.
_REFILL_DELAY_S = 0.02
_WARM_DELAY_S = 0.1
#: Imports of the largest libraries, from a slow disk.
_WARM_UP_S = 120.0
#: Interpreters wait only where so much memory is left over, as a part of all; looked at this often.
_ROOM = 0.1
_ROOM_LOOK_S = 10.0
_log = logging.getLogger(__name__)


class Spares:
    """Keeps supervisors waiting.

    Parameters
    ----------
    count
        How many without an interpreter.
    warm
        How many with one that has imported what jobs here begin with.
    kit
        Folder of the job's side.
    log
        File for what supervisors have to say.
    has_room
        Whether there is memory for interpreters that wait.
    """

    def __init__(
        self,
        count: int,
        warm: int,
        *,
        kit: Path,
        log: Path,
        has_room: Callable[[], bool] | None = None,
        room_look_s: float = _ROOM_LOOK_S,
    ) -> None:
        self._count = count
        self._warm_count = warm
        self._kit = kit
        self._has_room = has_room or _has_room
        self._room_look_s = room_look_s
        self._nursery = Nursery(log)
        self._waiting: deque[Spare] = deque()
        self._warm: list[tuple[Kind, Spare]] = []
        self._habits = Habits()
        self._refill: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def warm(self) -> list[Kind]:
        """Kinds of the interpreters that wait."""
        return [kind for kind, _ in self._warm]

    async def take(self, wanted: Kind | None) -> tuple[Spare, bool]:
        """A supervisor, and whether it was started only now.

        Parameters
        ----------
        wanted
            What the job could take of an interpreter that waits; None when it has to start cold.

        Raises
        ------
        OSError
            When none waits and the system starts no process.
        """
        if wanted is not None:
            self._habits.note(wanted)
            if (kind := choose(self.warm, wanted)) is not None:
                return self._warm.pop(self.warm.index(kind))[1], False
        if self._waiting:
            return self._waiting.popleft(), False
        return await self._nursery.bear(), True

    def expect(self, kind: Kind) -> None:
        """Hold interpreters ready for jobs that would take ``kind``, until others come."""
        self._habits.note(kind)

    def refill(self, delay_s: float = _REFILL_DELAY_S) -> None:
        """Replace what was taken, in the background."""
        if not self._closed and (self._refill is None or self._refill.done()):
            self._refill = asyncio.get_running_loop().create_task(self._fill(delay_s))

    async def settled(self) -> None:
        """Return when nothing is being started."""
        if self._refill is not None:
            await asyncio.gather(self._refill, return_exceptions=True)

    async def close(self) -> None:
        """Let all spares go."""
        self._closed = True
        tasks = [task for task in (self._refill, self._watch) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._dismiss([*self._waiting, *(spare for _, spare in self._warm)])
        self._waiting.clear()
        self._warm.clear()
        await self._nursery.close()

    async def _fill(self, delay_s: float) -> None:
        while True:
            # looked at anew each time: while an interpreter warms up, jobs take supervisors
            if len(self._waiting) < self._count:
                await asyncio.sleep(delay_s)
                self._waiting.append(await self._nursery.bear())
            elif (kind := self._lacking()) is not None and self._has_room():
                await asyncio.sleep(_WARM_DELAY_S)
                await self._warm_up(kind)
            else:
                break
        unwanted = Counter(self.warm) - Counter(self._habits.wanted(self._warm_count))
        await self._dismiss([self._take_out(kind) for kind in unwanted.elements()])
        if self._warm and self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(self._keep_room())

    def _lacking(self) -> Kind | None:
        """A kind of which one more should wait."""
        wanted = Counter(self._habits.wanted(self._warm_count))
        return next((wanted - Counter(self.warm)).elements(), None)

    def _take_out(self, kind: Kind) -> Spare:
        return self._warm.pop(self.warm.index(kind))[1]

    async def _warm_up(self, kind: Kind) -> None:
        spare = await self._nursery.bear()
        message = GetReady(
            kit=str(self._kit),
            python=kind.python,
            variables=dict(kind.variables),
            imports=kind.imports,
            ids=kind.ids,
        )
        loop = asyncio.get_running_loop()
        said = b""
        try:
            await loop.sock_sendall(spare.channel, frame(message))
            said = await asyncio.wait_for(loop.sock_recv(spare.channel, 1), _WARM_UP_S)
        except (ConnectionError, asyncio.TimeoutError):
            pass  # as when it says nothing: it cannot be held ready
        finally:
            if said != READY:
                spare.channel.close()
        if said == READY:
            self._warm.append((kind, spare))
        else:
            self._habits.give_up(kind)
            _log.info("no interpreter is held ready with %s: it does not come up", ", ".join(kind.imports))

    async def _keep_room(self) -> None:
        """Give interpreters back when memory is short."""
        while True:
            await asyncio.sleep(self._room_look_s)
            if self._warm and not self._has_room():
                _log.info("memory is short: %d interpreters that waited are given back", len(self._warm))
                await self._dismiss([self._take_out(kind) for kind in self.warm])

    async def _dismiss(self, spares: list[Spare]) -> None:
        for spare in spares:
            spare.channel.close()  # now: waiting for the first may be ended before the last has its turn
        for spare in spares:
            await asyncio.to_thread(spare.dismiss)


def _has_room() -> bool:
    memory = psutil.virtual_memory()
    return bool(memory.available > _ROOM * memory.total)
