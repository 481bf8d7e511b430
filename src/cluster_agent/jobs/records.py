"""The agent's own record of a job: one row of the database, and how it is told to the outside."""

from __future__ import annotations

from typing import Any

import msgspec

from cluster_agent.jobs.places import Place
from cluster_agent.protocol import ACTIVE, Inputs, Job, Priority, Role, State


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All that the agent knows of a job outside its log; the fields are the columns of the table ``jobs``."""

    job_id: int
    name: str
    user: str
    project: str
    state: State
    submitted_at: float
    started_at: float | None = None
    ended_at: float | None = None
    key: str
    body_sha256: str
    gpus: int
    cpus: int
    memory_bytes: int
    timeout_s: float
    grace_s: float
    priority: Priority
    python: str
    cluster: str
    notebook: str
    retry_of: int | None = None
    env_names: list[str]
    log_tag: str
    #: of the start that was intended; None while it waits
    nonce: str | None = None
    #: of the boot in which it was intended
    boot_id: str | None = None
    #: what was put into CUDA_VISIBLE_DEVICES
    gpu_ids: list[str] = []
    cancel_by: str | None = None
    exit_code: int | None = None
    signal: str | None = None
    reason: str | None = None
    complete: bool | None = None
    seconds: float | None = None
    peak_memory_bytes: int | None = None
    #: of the token that it was submitted with
    role: Role = "user"
    #: when an admin put it first
    moved_at: float | None = None
    #: process ids and start times of what could not be killed, while it is there
    left_behind: list[tuple[int, float]] = []
    #: of its folder; None until it has ended and been measured
    disk_bytes: int | None = None
    #: names of the variables that it was asked to keep
    fetch: list[str] = []
    #: variables that are set before its first line: name to a Python literal, as text
    params: dict[str, str] = {}
    #: requirements beside what its Python has, and how long getting them may take
    packages: list[str] = []
    prepare_s: float = 0.0
    #: the interpreter that it asked for by name
    runtime: str = ""
    #: that runtime, or the environment that was made for it
    environment: str = ""
    #: levels that were in force, once it has started
    isolation: list[str] = []
    #: what it does; empty for jobs of before this was noted
    work_sha256: str = ""
    #: empty where only the list of jobs was asked for, as all that follows
    source: str = ""
    inputs: Inputs = Inputs()

    @property
    def active(self) -> bool:
        """Whether the job has not ended."""
        return self.state in ACTIVE

    @property
    def title(self) -> str:
        """How people name the job."""
        return f"{self.cluster or 'job'}/{self.job_id}"


#: Fields that a Job has in common with its record, told as they are.
_SAME = (set(JobRecord.__struct_fields__) & set(Job.__struct_fields__)) - {"source"}


def tell(
    record: JobRecord,
    *,
    base_url: str,
    agent_id: str,
    place: Place | None = None,
    deadline_at: float | None = None,
    with_source: bool = False,
) -> Job:
    """The job as the outside sees it; ``base_url`` makes its history URL."""
    return Job(
        **{name: getattr(record, name) for name in _SAME},
        agent_id=agent_id,
        history_url=f"{base_url}/history/{record.job_id}",
        stopping=record.active and record.cancel_by is not None,
        deadline_at=deadline_at,
        position=place.position if place else None,
        waiting_for=place.reason if place else None,
        starts_by=place.starts_by if place else None,
        **_cell(record) if with_source else {},
    )


def _cell(record: JobRecord) -> dict[str, Any]:
    inputs = record.inputs
    return {
        "source": record.source,
        "sources": inputs.sources,
        "files": inputs.files,
        "values": inputs.values,
    }
