"""One thread that runs all SQL. Writes that wait together are committed together.

The database is opened with ``locking_mode=EXCLUSIVE`` before WAL, which is also the guard against a second
agent on the same home, and with ``synchronous=FULL``: what was committed survives a power cut.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cluster_agent.errors import StorageFault

T = TypeVar("T")
Verb = Callable[[sqlite3.Connection], T]

#: How many waiting verbs one commit takes at most.
_BATCH = 500


class HomeInUse(Exception):
    """Another process has this database open."""


def connect(path: Path) -> sqlite3.Connection:
    """The only connection to the database at ``path``, durable and exclusive.

    Raises
    ------
    HomeInUse
        When another process has it open.
    """
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.2)
    db.row_factory = sqlite3.Row
    try:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("BEGIN IMMEDIATE")  # takes the lock that is then kept
        db.execute("COMMIT")
    except sqlite3.OperationalError as error:
        db.close()
        if "locked" in str(error):
            raise HomeInUse(f"another agent serves from {path.parent}") from None
        raise
    path.chmod(0o600)
    return db


@dataclass(frozen=True, slots=True)
class _Request:
    verb: Verb[Any]
    writes: bool
    future: asyncio.Future[Any]


class SqlThread:
    """Runs verbs on the connection ``db`` in a thread of its own, in the order in which they come."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="sql", daemon=True)
        #: what the disk last answered, None when all is well
        self.fault: str | None = None
        self._thread.start()

    async def write(self, verb: Verb[T]) -> T:
        """The verb's result, once it is durable.

        A verb that raises leaves no trace and its error is raised here. All verbs of a batch fail together
        when the commit does.

        Raises
        ------
        StorageFault
            When the disk refused; nothing of the verb was kept.
        """
        return await self._ask(verb, writes=True)

    async def read(self, verb: Verb[T]) -> T:
        """The verb's result, seeing everything written before."""
        return await self._ask(verb, writes=False)

    async def close(self) -> None:
        """Finish what waits, then close the database."""
        self._requests.put(None)
        await asyncio.to_thread(self._thread.join)

    async def _ask(self, verb: Verb[T], *, writes: bool) -> T:
        future: asyncio.Future[T] = self._loop.create_future()
        self._requests.put(_Request(verb, writes, future))
        return await future

    def _run(self) -> None:
        open_for_more = True
        while open_for_more:
            batch = [self._requests.get()]
            while len(batch) < _BATCH and not self._requests.empty():
                batch.append(self._requests.get())
            requests = [item for item in batch if item is not None]
            open_for_more = len(requests) == len(batch)
            if requests:
                self._answer(requests, self._perform(requests))
        self._db.close()

    def _perform(self, requests: list[_Request]) -> list[Any]:
        """One result or exception for each request; writes are committed when this returns."""
        if not any(request.writes for request in requests):
            return [self._one(request.verb) for request in requests]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            results = [self._one(request.verb) for request in requests]
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self.fault = str(error)
            fault = StorageFault(f"the agent's disk refused to write ({error}); nothing was accepted")
            return [fault if request.writes else self._read_alone(request) for request in requests]
        self.fault = None
        return results

    def _read_alone(self, request: _Request) -> Any:
        try:
            return self._one(request.verb)
        except sqlite3.Error as error:
            return StorageFault(f"the agent's disk refused to read ({error})")

    def _one(self, verb: Verb[Any]) -> Any:
        self._db.execute("SAVEPOINT verb")
        try:
            result = verb(self._db)
        except Exception as error:
            if isinstance(error, sqlite3.OperationalError) and not self._db.in_transaction:
                raise  # a full disk has rolled back the whole batch
            self._db.execute("ROLLBACK TO verb")
            self._db.execute("RELEASE verb")
            return error  # raised where the verb was asked for
        self._db.execute("RELEASE verb")
        return result

    def _answer(self, requests: list[_Request], results: list[Any]) -> None:
        def deliver() -> None:
            for request, result in zip(requests, results, strict=True):
                if request.future.cancelled():
                    continue
                if isinstance(result, Exception):
                    request.future.set_exception(result)
                else:
                    request.future.set_result(result)

        try:
            self._loop.call_soon_threadsafe(deliver)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more
