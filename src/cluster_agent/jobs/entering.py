"""A new job on disk: first its folder with all that it needs, then its record, which is what makes it accepted."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cluster_agent.errors import StorageFault
from cluster_agent.folder import JobFolder
from cluster_agent.jobs.folders import make_folder
from cluster_agent.jobs.records import JobRecord
from cluster_agent.jobs.store import Store
from cluster_agent.protocol import Inputs
from cluster_agent.storage import Storage

#: Puts what travels with a user's cell into the folder of its job.
LayInputs = Callable[[str, Inputs, JobFolder], None]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Keeps new jobs. One for each agent."""

    store: Store
    storage: Storage
    lay_inputs: LayInputs

    async def keep(self, record: JobRecord, folder: JobFolder, *, env: Mapping[str, str], lock: str) -> None:
        """Return once the job is durable.

        Raises
        ------
        StorageFault
            When the disk refused; nothing of the job is left.
        """

        def lay_inputs() -> None:
            self.lay_inputs(record.user, record.inputs, folder)

        try:
            await asyncio.to_thread(make_folder, folder, env, lock, lay_inputs)
        except OSError as error:
            self.storage.report(error.strerror or str(error))
            raise StorageFault(
                f"the agent's disk refused ({error.strerror}); nothing was accepted"
            ) from error
        try:
            await self.store.add(record)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, folder.path, ignore_errors=True)
            raise
