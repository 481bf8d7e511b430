"""Who holds what of the box at this moment: the runs, their slots, their users' shares, and who is outside."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping

import msgspec

from cluster_agent.jobs.clock import Clock
from cluster_agent.jobs.gpu_use import GpuWatch, waiting_for
from cluster_agent.jobs.life import Run
from cluster_agent.jobs.need import Need
from cluster_agent.jobs.queue import ending_s, need_of, starting_s
from cluster_agent.jobs.records import JobRecord
from cluster_agent.jobs.scheduling import Box, Holding
from cluster_agent.jobs.shares import Shares
from cluster_agent.jobs.slots import Slots
from cluster_agent.protocol import State


class Board:
    """The runs of one agent. A run is here from the decision to start it until nothing of it is left."""

    def __init__(self, *, slots: Slots, shares: Shares, watch: GpuWatch, boot_id: str, clock: Clock) -> None:
        self._slots, self._shares, self._watch = slots, shares, watch
        self._boot_id, self._clock = boot_id, clock
        self._runs: dict[int, Run] = {}
        #: GPUs that somebody outside uses, with one phrase each
        self._busy: Mapping[str, str] = {}

    def __contains__(self, job_id: int) -> bool:
        return job_id in self._runs

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs.values())

    def get(self, job_id: int) -> Run | None:
        """The run of a job, if there is one."""
        return self._runs.get(job_id)

    @property
    def free(self) -> Need:
        """What can be handed out."""
        return self._slots.free_beside(self._busy)

    @property
    def busy(self) -> bool:
        """Whether somebody outside uses a GPU."""
        return bool(self._busy)

    async def look_outside(self) -> bool:
        """Learn which GPUs somebody outside uses; True when others than before."""
        before = self._busy
        self._busy = await self._watch.busy_outside(self._slots.held)
        return before != self._busy

    def box(self, instead: Run | None = None) -> Box:
        """What there is and who holds it; with ``instead`` in place of the run of the same job."""
        runs = self._runs if instead is None else {**self._runs, instead.record.job_id: instead}
        holdings = [_holding(run, self._clock.at(run.begun)) for run in runs.values()]
        if self._busy:
            holdings.append(Holding(need=Need(gpus=len(self._busy)), title=waiting_for(self._busy)))
        return Box(total=self._slots.total, holdings=holdings)

    def intend(self, record: JobRecord) -> Run:
        """A run that holds its slots and is about to start."""
        need = need_of(record)
        gpu_ids = self._slots.take(record.job_id, need, avoid=self._busy)
        self._shares.take(record.user, need, self._clock.now())
        intent = msgspec.structs.replace(
            record,
            state=State.PREPARING,
            nonce=secrets.token_hex(8),
            boot_id=self._boot_id,
            gpu_ids=gpu_ids,
        )
        return self.put(intent)

    def hold(self, record: JobRecord, now: float) -> Run:
        """A run of an earlier agent, which holds what it has held."""
        need = need_of(record)
        self._slots.hold(record.job_id, need, record.gpu_ids)
        self._shares.take(record.user, need, now)
        if record.active and record.started_at is not None:
            self._shares.remember(record.user, need, record.started_at, now, now)
        run = self.put(record)
        if record.started_at is not None:
            run.begun -= max(0.0, now - record.started_at)
        return run

    def put(self, record: JobRecord) -> Run:
        """A run that holds nothing."""
        run = self._runs[record.job_id] = Run(record)
        return run

    def deadline(self, job_id: int) -> float | None:
        """When the time of a job is up that runs, Unix seconds."""
        run = self._runs.get(job_id)
        if run is None or run.record.state is not State.RUNNING:
            return None
        return self._clock.at(run.begun) + run.record.timeout_s

    def let_go(self, run: Run) -> None:
        """Free what the run holds."""
        record = run.record
        if self._slots.give_back(record.job_id):
            self._shares.give_back(record.user, need_of(record), self._clock.now())
        self._runs.pop(record.job_id, None)


def _holding(run: Run, begun_at: float) -> Holding:
    record = run.record
    if not record.active:
        # It has ended, and what it left behind ends when it likes.
        return Holding(
            need=need_of(record), job_id=record.job_id, title=record.title, user=record.user, left_behind=True
        )
    until_start_s = starting_s(record) if record.started_at is None else 0.0
    return Holding(
        need=need_of(record),
        ends_by=begun_at + until_start_s + record.timeout_s + ending_s(record),
        job_id=record.job_id,
        title=record.title,
        user=record.user,
    )
