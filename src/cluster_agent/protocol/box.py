"""The box: what it has, how much of it one may have, and what its admins ask for."""

from __future__ import annotations

import msgspec

from cluster_agent.protocol.environments import KeptEnvironments, Runtime
from cluster_agent.protocol.jobs import Priority
from cluster_agent.protocol.tokens import Role


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """Shared storage as ``/v1/info`` tells it.

    A notebook on a machine that mounts the same folder recognises it by ``marker``, the content of
    ``.mlmagics-project`` in its root, and then reads and writes it directly.
    """

    name: str
    url: str
    marker: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the box one person may have; None is no limit but the box's own."""

    #: GPUs that the person's jobs hold at once
    gpus: int | None = None
    #: jobs that run at once
    jobs: int | None = None
    #: jobs that wait
    queued: int = 200
    #: longest time limit of a job
    timeout_s: float
    #: the highest that a job may have
    priority: Priority = "normal"


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``GET /v1/info``."""

    agent_id: str
    version: str
    protocol: int
    public_url: str
    #: who the caller is
    user: str
    role: Role
    gpus: int
    gpus_free: int
    gpu_names: list[str]
    cpus: int
    cpus_free: int
    memory_bytes: int
    memory_free_bytes: int
    default_gpus: int
    default_timeout_s: float
    max_timeout_s: float
    running: int
    queued: int
    python: str
    python_version: str
    #: interpreters that a job may ask for by name
    runtimes: list[Runtime] = []
    projects: list[Project]
    #: names of optional abilities that this agent has
    capabilities: list[str]
    durability: str
    #: whose jobs run together: ``process`` means one trust domain, ``user`` a unix user for each person
    isolation: str
    #: all levels in force, that one first; an older agent tells none
    isolation_levels: list[str] = []
    #: several people have tokens, so what ``isolation`` says concerns them
    shared: bool = False
    #: whether jobs outlive a restart of the agent as it was started here
    survives_restart: bool
    local: bool = False
    #: no job is started for the time being; what is submitted waits
    draining: bool = False
    #: when that ends by itself, None when it does not; and what people are told
    drain_until: float | None = None
    drain_message: str = ""
    #: of the caller; an older agent tells none
    limits: Limits | None = None
    #: what the jobs that have ended take on disk, as far as it was measured, and what is free there
    kept_bytes: int = 0
    disk_free_bytes: int = 0
    #: folder of this machine in which the caller's own files can become blobs; told on the agent's Unix socket only
    blob_folder: str = ""
    #: one sentence when something is wrong, such as a disk that refuses
    remark: str = ""
    contact: str = ""
    uptime_s: float = 0.0


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``GET /healthz``, which needs no token: tells nothing that is not for everybody."""

    status: str
    #: random, so it says nothing but which agent this is
    agent_id: str = ""


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Content of ``<home>/ready.json`` while an agent serves."""

    url: str
    socket: str
    pid: int
    version: str
    protocol: int
    agent_id: str


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What one user had of the box in the time of a report."""

    user: str
    #: jobs that were submitted, ran or waited in that time
    jobs: int
    #: those of them that ended other than well
    failed: int
    gpu_hours: float
    cpu_hours: float
    #: from submit to start, of those that started
    median_wait_s: float | None
    longest_wait_s: float | None
    #: what the user's ended jobs take on disk
    kept_bytes: int = 0


class UsageReport(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``GET /v1/usage``."""

    since_at: float
    until_at: float
    #: of the box in that time
    gpu_hours: float
    #: before this time jobs have been deleted, and count no longer
    complete_since_at: float | None
    #: by GPU-hours, the most first
    users: list[Usage]


class GcRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/gc``."""

    #: only tell what would be deleted
    dry_run: bool = False


class GcReport(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``POST /v1/gc``: old jobs that were deleted, or would be."""

    dry_run: bool
    deleted: int
    freed_bytes: int
    #: jobs that have ended and stay, and what they take on disk
    kept: int
    kept_bytes: int
    #: of what is deleted, the first thousand
    job_ids: list[int]
    #: the same of environments
    environments: KeptEnvironments = KeptEnvironments()


class DrainRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/drain``."""

    #: when it ends by itself, Unix seconds
    until_at: float | None = None
    #: told to those who wait
    message: str = ""
