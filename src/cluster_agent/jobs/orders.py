"""From a job's record to the order that its supervisor gets. Blocking; called in threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import msgspec

from cluster_agent.environments.base import CannotProvide, EnvironmentOrder
from cluster_agent.errors import Forbidden
from cluster_agent.executors.base import Order
from cluster_agent.folder import JobFolder
from cluster_agent.isolation.box import Box
from cluster_agent.isolation.ids import Ids
from cluster_agent.jobs.folders import hand_over
from cluster_agent.jobs.records import JobRecord

#: Builds a job's whole environment from its record and the values of ``--env``.
MakeVariables = Callable[[JobRecord, Mapping[str, str]], dict[str, str]]
#: Whose job it is, where that is not the agent's own user, and the system that it gets of its own.
Confine = Callable[[JobRecord], tuple[Ids | None, Box | None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Orders:
    """Makes the orders of one agent."""

    variables: MakeVariables
    #: says what keeps a job apart
    confine: Confine
    #: all jobs run as the agent's own user
    alone: bool
    log_limit_bytes: int
    #: of variables that are kept unasked, each and all
    keep_each_bytes: int
    keep_all_bytes: int

    def quick(self, record: JobRecord) -> bool:
        """Whether :meth:`make` has nothing to wait for: nobody to look up and nothing to read."""
        return self.alone and not record.env_names

    def make(self, record: JobRecord, folder: JobFolder, environment: EnvironmentOrder | None) -> Order:
        """The order of a job that is about to start; its folder belongs from now on to whom it has to.

        Raises
        ------
        CannotProvide
            When it cannot run as the person whose it is.
        OSError
            When its folder is not as it has to be.
        """
        env: dict[str, str] = {}
        if record.env_names and folder.env.exists():
            env = msgspec.json.decode(folder.env.read_bytes(), type=dict[str, str])
        try:
            ids, box = self.confine(record)
        except Forbidden as error:
            raise CannotProvide(f"it cannot be started: {error.message}") from None
        if ids is not None:
            hand_over(folder, ids)
        return Order(
            job_id=record.job_id,
            folder=folder.path,
            nonce=record.nonce or "",
            tag=record.log_tag,
            source=record.source,
            python=record.python,
            variables=self.variables(record, env),
            timeout_s=record.timeout_s,
            grace_s=record.grace_s,
            title=record.title,
            log_limit_bytes=self.log_limit_bytes,
            fetch=tuple(record.fetch),
            keep_each_bytes=self.keep_each_bytes,
            keep_all_bytes=self.keep_all_bytes,
            params=record.params,
            inputs=record.inputs,
            environment=replace(environment, own_path="PATH" in env) if environment else None,
            common=not env and environment is None,
            gpu_ids=tuple(record.gpu_ids),
            memory_bytes=record.memory_bytes,
            ids=ids,
            box=box,
        )
