"""Taking a job in: one submit, one job, however often the request comes."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass
from weakref import WeakValueDictionary

from cluster_agent.content.blobs import Blobs
from cluster_agent.errors import BadRequest, Conflict, StorageFault
from cluster_agent.jobs.dispatcher import Dispatcher
from cluster_agent.jobs.ids import IdSource
from cluster_agent.jobs.records import JobRecord
from cluster_agent.jobs.same import standing_in
from cluster_agent.jobs.store import Store
from cluster_agent.jobs.submit import Policy, body_digest, check, make_record
from cluster_agent.limits import LimitTable
from cluster_agent.protocol import ACTIVE, Role, State, Submit
from cluster_agent.storage import Storage

_MAX_KEY = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """The job that a submit led to."""

    record: JobRecord
    #: whether it was made by this submit
    new: bool
    #: a job that does the same: another one that has not ended, or this one, which was there before
    same_as: int | None = None


class Intake:
    """Accepts submits. A key belongs to a user and lives as long as its job's record."""

    def __init__(
        self,
        *,
        store: Store,
        storage: Storage,
        dispatcher: Dispatcher,
        ids: IdSource,
        policy: Policy,
        limits: LimitTable,
        blobs: Blobs,
    ) -> None:
        self._storage = storage
        self._store = store
        self._dispatcher = dispatcher
        self._ids = ids
        self._policy = policy
        self._limits = limits
        self._blobs = blobs
        # Weak, so that a key's lock lasts as long as somebody holds or awaits it.
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        #: the same by what a job does, for submits of which only one is to run
        self._works: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def submit(self, body: Submit, *, user: str, role: Role, key: str | None) -> Taken:
        """The job for ``body``.

        Raises
        ------
        Conflict
            When the key was used for another body.
        BlobMissing
            When something that travels with the cell is not here.
        BadRequest, NotFound, TooLarge, QueueFull, StorageFault
            As the checks and the disk say; there is no job then.
        """
        if key is not None and not 0 < len(key) <= _MAX_KEY:
            raise BadRequest(f"an Idempotency-Key has 1 to {_MAX_KEY} characters", field="Idempotency-Key")
        key = key or secrets.token_hex(16)
        lock = self._locks.setdefault((user, key), asyncio.Lock())
        async with lock:
            return await self._submit_once(body, user, role, key)

    async def _submit_once(self, body: Submit, user: str, role: Role, key: str) -> Taken:
        known = await self._store.by_key(user, key)
        if known is not None:
            if known.body_sha256 != body_digest(body):
                raise Conflict(
                    f"this Idempotency-Key belongs to job {known.job_id}, which was submitted with another body",
                    field="Idempotency-Key",
                )
            return Taken(record=known, new=False)
        limits = self._limits.of(user, role)
        check(body, self._policy, limits)
        record = make_record(
            body,
            self._policy,
            limits,
            user=user,
            role=role,
            key=key,
            log_tag=secrets.token_hex(4),
            now=time.time(),
        )
        if not body.once:
            # looked for first, and answered while the folder is made
            same, made = await asyncio.gather(self._same(record, ACTIVE), self._keep(record, body))
            return Taken(record=made, new=True, same_as=same.job_id if same else None)
        lock = self._works.setdefault(record.work_sha256, asyncio.Lock())
        async with lock:
            same = await self._same(record, {*ACTIVE, State.SUCCEEDED})
            if same is not None:
                return Taken(record=same, new=False, same_as=same.job_id)
            return Taken(record=await self._keep(record, body), new=True)

    async def _same(self, record: JobRecord, states: Collection[State]) -> JobRecord | None:
        """The newest job in ``states`` that does what ``record`` would do, and that its user may see."""
        user = None if record.role == "admin" else record.user
        return standing_in(await self._store.same_work(record.work_sha256, user, states), record.fetch)

    async def _keep(self, record: JobRecord, body: Submit) -> JobRecord:
        self._storage.check()
        if record.inputs.blobs:
            await asyncio.to_thread(self._blobs.lease, record.user, record.inputs)
        try:
            return await self._dispatcher.submit(record, body.env, self._take_id, lock=body.lock)
        except StorageFault as error:
            self._storage.report(error.message)
            raise

    def _take_id(self) -> int:
        try:
            return self._ids.take()
        except OSError as error:
            raise StorageFault(
                f"the agent's disk refused to keep an id ({error.strerror}); nothing was accepted"
            ) from error
