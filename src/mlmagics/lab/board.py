"""What is told to those who listen: one look at all clusters for all listeners, and only while there are any.

::

    somebody joins -> look every 2 s -> tell what has changed -> the last one leaves -> rest
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

import msgspec

from mlmagics.errors import UserError
from mlmagics.lab.looking import Looking

LOOK_S = 2.0
#: Clusters are asked less often: their answer costs two questions each.
CLUSTERS_S = 10.0
Message = dict[str, Any]


class Listener(Protocol):
    """Who is told: one WebSocket."""

    #: whether everybody's jobs are asked for, or only one's own
    everyone: bool

    def tell(self, message: bytes) -> None:
        """Send a message; one who has gone meanwhile hears nothing."""
        ...


class Board:
    """The state of all clusters as far as somebody wants to know it. Lives on one event loop."""

    def __init__(self, run: Callable[[Callable[[], Any]], Awaitable[Any]], looking: Looking) -> None:
        self._run = run
        self._looking = looking
        self._listeners: set[Listener] = set()
        #: what was told last, by topic: what it was compared by, and the message
        self._told: dict[str, tuple[bytes, bytes]] = {}
        self._task: asyncio.Task[None] | None = None
        self._soon = asyncio.Event()
        self._stamp: object = None
        self._clusters_at = 0.0

    def join(self, listener: Listener) -> None:
        """Tell ``listener`` how things stand, and from now on what changes."""
        self._listeners.add(listener)
        for topic in ("clusters", "trouble", _topic(listener.everyone)):
            if topic in self._told:
                listener.tell(self._told[topic][1])
        self.look_soon()
        if self._task is None:
            self._task = asyncio.create_task(self._watch())

    def leave(self, listener: Listener) -> None:
        """Tell ``listener`` nothing any more."""
        self._listeners.discard(listener)
        if not self._listeners:
            self._soon.set()

    def look_soon(self) -> None:
        """Look at once: something was changed from here."""
        self._clusters_at = 0.0
        self._soon.set()

    def tell(self, message: Message) -> None:
        """Send ``message`` to all listeners; it is not kept for those who come later."""
        # names of files may hold bytes that are no UTF-8, which msgspec does not encode
        self._send(json.dumps(message).encode())

    def close(self) -> None:
        """Look no more."""
        self._listeners.clear()
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        try:
            while self._listeners:
                self._soon.clear()
                await self._look()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._soon.wait(), LOOK_S)
        finally:
            self._task = None
            self._told.clear()

    async def _look(self) -> None:
        try:
            await self._look_at_clusters()
            for everyone in {listener.everyone for listener in self._listeners}:
                found = await self._run(partial(self._looking.jobs, everyone))
                self._note(_topic(everyone), {"type": "jobs", "all": everyone, **found}, everyone=everyone)
            if "trouble" in self._told:
                self._note("trouble", {"type": "trouble", "error": None})
        except UserError as error:
            told = {"code": error.code, "message": error.message}
            self._note("trouble", {"type": "trouble", "error": told})

    async def _look_at_clusters(self) -> None:
        stamp = await self._run(self._looking.session.store.stamp)
        now = time.monotonic()
        if stamp == self._stamp and "clusters" in self._told and now < self._clusters_at + CLUSTERS_S:
            return
        self._stamp, self._clusters_at = stamp, now
        rows = await self._run(self._looking.clusters)
        # a round trip is never twice the same, and no news
        same = [{**row, "round_trip_ms": None} for row in rows]
        self._note("clusters", {"type": "clusters", "clusters": rows}, compared=same)

    def _note(
        self, topic: str, message: Message, *, compared: object = None, everyone: bool | None = None
    ) -> None:
        key = msgspec.json.encode(compared if compared is not None else message)
        known = self._told.get(topic)
        if known is not None and known[0] == key:
            return
        data = msgspec.json.encode(message)
        self._told[topic] = (key, data)
        self._send(data, everyone)

    def _send(self, data: bytes, everyone: bool | None = None) -> None:
        for listener in [*self._listeners]:
            if everyone is None or listener.everyone is everyone:
                listener.tell(data)


def _topic(everyone: bool) -> str:
    return "jobs of all" if everyone else "jobs"
