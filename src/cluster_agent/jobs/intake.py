"""Taking a job in: one submit, one job, however often the request comes."""

from __future__ import annotations

import asyncio
import secrets
import time
from weakref import WeakValueDictionary

from cluster_agent.content.blobs import Blobs
from cluster_agent.errors import BadRequest, Conflict, StorageFault
from cluster_agent.jobs.dispatcher import Dispatcher
from cluster_agent.jobs.ids import IdSource
from cluster_agent.jobs.records import JobRecord
from cluster_agent.jobs.store import Store
from cluster_agent.jobs.submit import Policy, body_digest, check, make_record
from cluster_agent.limits import LimitTable
from cluster_agent.protocol import Role, Submit
from cluster_agent.storage import Storage

_MAX_KEY = 200


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

    async def submit(self, body: Submit, *, user: str, role: Role, key: str | None) -> tuple[JobRecord, bool]:
        """The job for ``body``, and whether it is new.

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

    async def _submit_once(self, body: Submit, user: str, role: Role, key: str) -> tuple[JobRecord, bool]:
        known = await self._store.by_key(user, key)
        if known is not None:
            if known.body_sha256 != body_digest(body):
                raise Conflict(
                    f"this Idempotency-Key belongs to job {known.job_id}, which was submitted with another body",
                    field="Idempotency-Key",
                )
            return known, False
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
        self._storage.check()
        if record.inputs.blobs:
            await asyncio.to_thread(self._blobs.lease, user, record.inputs)
        try:
            return await self._dispatcher.submit(record, body.env, self._take_id, lock=body.lock), True
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
