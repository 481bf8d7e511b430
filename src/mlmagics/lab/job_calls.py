"""Calls on jobs: list, look, cancel, run again, give more time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from cluster_agent.protocol import Priority
from mlmagics.errors import BadValue
from mlmagics.job.handle import Job
from mlmagics.lab.handling import Handler


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body without anything in it."""


class Changes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to be other than it was; None is as it was."""

    on: str | None = None
    name: str | None = None
    gpus: int | None = None
    cpus: int | None = None
    memory: str | int | None = None
    timeout: str | float | None = None
    grace: str | float | None = None
    priority: Priority | None = None
    env: dict[str, str] | None = None


class Again(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``.../resubmit``."""

    changes: Changes = Changes()


class MoreTime(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``.../extend``."""

    extra_s: float


class AllJobs(Handler):
    """The jobs of all clusters."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """The rows of ``%jobs``; with ``all=1`` everybody's."""
        everyone = self.get_query_argument("all", "0") == "1"
        await self.answer(lambda: self.back.looking.jobs(everyone))


class OneJob(Handler):
    """One job."""

    @authenticated
    @authorized
    async def get(self, cluster: str, job_id: str) -> None:
        """It as it is now, with its source."""
        await self.act(cluster, job_id, lambda job: job)

    async def act(self, cluster: str, job_id: str, what: Callable[[Job], Job], status: int = 200) -> None:
        """Reply with what ``what`` makes of the job."""
        looking = self.back.looking
        await self.answer(lambda: looking.view(what(looking.job(cluster, int(job_id)))), status)


class Cancel(OneJob):
    """The end of a job, asked for."""

    @authenticated
    @authorized
    async def post(self, cluster: str, job_id: str) -> None:
        """Ask for it. A job that has ended stays as it is."""
        self.body(Nothing)
        await self.act(cluster, job_id, lambda job: job.cancel())
        self.back.board.look_soon()


class Extend(OneJob):
    """More time for a job."""

    @authenticated
    @authorized
    async def post(self, cluster: str, job_id: str) -> None:
        """Give it."""
        extra_s = self.body(MoreTime).extra_s
        if not 0 < extra_s < math.inf:
            raise BadValue(f"extra_s is a number of seconds above zero, not {extra_s:g}", field="extra_s")
        await self.act(cluster, job_id, lambda job: job.extend(extra_s))
        self.back.board.look_soon()


class Resubmit(OneJob):
    """The cell of a job once more."""

    @authenticated
    @authorized
    async def post(self, cluster: str, job_id: str) -> None:
        """Submit it; the reply is the new job."""
        changes = msgspec.to_builtins(self.body(Again).changes)
        await self.act(cluster, job_id, lambda job: _again(job, changes), status=201)
        self.back.board.look_soon()


def _again(job: Job, changes: dict[str, Any]) -> Job:
    missing = [name for name in job.info.env_names if name not in changes.get("env", {})]
    if missing:
        # whatever this server has under such a name is not what the job had, and nobody has sent it there
        raise BadValue(
            f"{job.ref} was given {', '.join(missing)}, and values are kept nowhere: "
            f"run %resubmit {job.ref} in a notebook where {'it is' if len(missing) == 1 else 'they are'} set",
            field="env",
        )
    return job.resubmit(**changes)
