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
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from cluster_agent.errors import StorageFault
from cluster_agent.storage import Storage

T = TypeVar("T")
Verb = Callable[[sqlite3.Connection], T]

#: What SQLite says of a full disk; its number for that is not told on Python 3.10.
_FULL = "database or disk is full"
#: How many waiting verbs one commit takes at most.
_BATCH = 500


class HomeInUse(Exception):
    """Another process has this database open."""


class NoDatabase(Exception):
    """The database cannot be used as it is; nothing was changed."""


def connect(path: Path) -> sqlite3.Connection:
    """The only connection to the database at ``path``, durable and exclusive.

    Raises
    ------
    HomeInUse
        When another process has it open.
    NoDatabase
        When it is damaged, or the disk refuses.
    """
    try:
        return _opened(path)
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise HomeInUse(f"another agent serves from {path.parent}") from None
        raise NoDatabase(why_not(path, error)) from None


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.2)
    db.row_factory = sqlite3.Row
    try:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("BEGIN IMMEDIATE")  # takes the lock that is then kept
        db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    path.chmod(0o600)
    return db


def is_full(error: Exception) -> bool:
    """Whether SQLite, or who tells of it, says that there is no room."""
    return _FULL in str(error)


def why_not(path: Path, error: sqlite3.Error) -> str:
    """What is wrong with the database at ``path``, and what to do."""
    if isinstance(error, sqlite3.OperationalError):
        return f"the database {path} cannot be used: {error}; is the disk full, or read-only?"
    return (
        f"the database {path} is damaged ({error}): put it back from a backup; or move it and its -wal away,"
        " then the agent begins a new one, and the logs of former jobs stay in jobs/"
    )


@dataclass(frozen=True, slots=True)
class _Request:
    verb: Verb[Any]
    writes: bool
    future: asyncio.Future[Any]
    #: not within a transaction that also serves others
    alone: bool = False


class SqlThread:
    """Runs verbs on the connection ``db`` in a thread of its own, in the order in which they come.

    Parameters
    ----------
    storage
        Is told when the disk refuses, and gives room when it is full.
    """

    def __init__(self, db: sqlite3.Connection, storage: Storage | None = None) -> None:
        self._db = db
        self._storage = storage
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="sql", daemon=True)
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

    async def alone(self, verb: Verb[T]) -> T:
        """The verb's result, outside of any transaction."""
        return await self._ask(verb, writes=False, alone=True)

    async def close(self) -> None:
        """Finish what waits, then close the database."""
        self._requests.put(None)
        await asyncio.to_thread(self._thread.join)

    async def _ask(self, verb: Verb[T], *, writes: bool, alone: bool = False) -> T:
        future: asyncio.Future[T] = self._loop.create_future()
        self._requests.put(_Request(verb, writes, future, alone))
        return await future

    def _run(self) -> None:
        open_for_more = True
        while open_for_more:
            batch = [self._requests.get()]
            while len(batch) < _BATCH and not self._requests.empty():
                batch.append(self._requests.get())
            requests = [item for item in batch if item is not None]
            open_for_more = len(requests) == len(batch)
            for alone, some in groupby(requests, attrgetter("alone")):
                together = list(some)
                perform = self._perform_alone if alone else self._perform
                self._answer(together, perform(together))
        self._db.close()

    def _perform_alone(self, requests: list[_Request]) -> list[Any]:
        results: list[Any] = []
        for request in requests:
            try:
                results.append(request.verb(self._db))
            except (OSError, sqlite3.Error) as error:
                results.append(error)  # raised where the verb was asked for
        return results

    def _perform(self, requests: list[_Request]) -> list[Any]:
        """One result or exception for each request; writes are committed when this returns."""
        if not any(request.writes for request in requests):
            return [self._read_alone(request) for request in requests]
        while True:
            try:
                return self._commit(requests)
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if self._makes_room(error):
                    continue
                fault = StorageFault(f"the agent's disk refused to write ({error}); nothing was accepted")
                return [fault if request.writes else self._read_alone(request) for request in requests]

    def _commit(self, requests: list[_Request]) -> list[Any]:
        self._db.execute("BEGIN IMMEDIATE")
        results = [self._one(request.verb) for request in requests]
        self._db.execute("COMMIT")
        return results

    def _makes_room(self, error: sqlite3.Error) -> bool:
        """Report what the disk has answered; True when it was full and has room again."""
        if self._storage is None:
            return False
        self._storage.report(str(error))
        return is_full(error) and self._storage.give_up_part()

    def _read_alone(self, request: _Request) -> Any:
        try:
            return self._one(request.verb)
        except sqlite3.Error as error:
            return StorageFault(f"the agent's database is damaged or cannot be read ({error})")

    def _one(self, verb: Verb[Any]) -> Any:
        self._db.execute("SAVEPOINT verb")
        try:
            result = verb(self._db)
        except Exception as error:
            if isinstance(error, sqlite3.Error) and not self._db.in_transaction:
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
