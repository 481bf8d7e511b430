"""From what was asked to a job record: checks and defaults. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from dataclasses import field as record_field

import msgspec

from cluster_agent.errors import BadRequest, NotFound, TooLarge
from cluster_agent.jobs.need import Need
from cluster_agent.jobs.records import JobRecord
from cluster_agent.jobs.same import work_digest
from cluster_agent.jobs.travel import check_inputs
from cluster_agent.jobs.wanted import check_wanted
from cluster_agent.protocol import MAX_SOURCE_BYTES, PRIORITIES, Inputs, Limits, Role, State, Submit
from cluster_agent.units import format_duration, format_size

_MAX_NAME = 200
_MAX_ENV = 200
_MAX_FETCH = 100
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Set by the agent for every job; a spec cannot change them.
OWN_VARIABLES = frozenset(
    {"PROJECT_URL", "MLMAGICS_JOB_ID", "MLMAGICS_CONTROL_FD", "CUDA_VISIBLE_DEVICES", "PYTHONPATH"}
)
_MIN_MEMORY = 2 * 2**30


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What this agent gives and allows."""

    total: Need
    default_gpus: int
    default_timeout_s: float
    default_grace_s: float = 60.0
    max_grace_s: float
    projects: Collection[str]
    python: str
    #: whether a spec may name its interpreter
    any_python: bool
    #: interpreters by the name that a spec may give
    runtimes: Mapping[str, str] = record_field(default_factory=dict)
    #: whether environments can be built at this moment, and how long that may take
    builds: Callable[[], bool] = lambda: False
    prepare_s: float = 0.0


def body_digest(body: Submit) -> str:
    """What tells two submits apart: equal bodies have equal digests."""
    return hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()


def make_record(
    body: Submit,
    policy: Policy,
    limits: Limits,
    *,
    user: str,
    role: Role,
    key: str,
    log_tag: str,
    now: float,
) -> JobRecord:
    """The job that ``body`` asks for, with everything decided that it left open but its id."""
    need = resolve_need(body, policy, limits)
    python = body.python or policy.runtimes.get(body.runtime, policy.python)
    return JobRecord(
        job_id=0,
        name=body.name,
        user=user,
        role=role,
        project=body.project,
        state=State.QUEUED,
        submitted_at=now,
        key=key,
        body_sha256=body_digest(body),
        gpus=need.gpus,
        cpus=need.cpus,
        memory_bytes=need.memory_bytes,
        timeout_s=body.timeout_s or min(policy.default_timeout_s, limits.timeout_s),
        grace_s=policy.default_grace_s if body.grace_s is None else body.grace_s,
        priority=body.priority,
        python=python,
        packages=list(dict.fromkeys(body.packages)),
        prepare_s=policy.prepare_s if body.packages else 0.0,
        runtime=body.runtime,
        environment=body.runtime,
        work_sha256=work_digest(body, python),
        cluster=body.cluster,
        notebook=body.notebook,
        retry_of=body.retry_of,
        env_names=sorted(body.env),
        log_tag=log_tag,
        fetch=list(dict.fromkeys(body.fetch)),
        params=body.params,
        source=body.source,
        inputs=Inputs(sources=body.sources, files=body.files, values=body.values),
    )


def check(body: Submit, policy: Policy, limits: Limits) -> None:
    """Refuse what this agent cannot or will not run, naming the field.

    Raises
    ------
    BadRequest, TooLarge, NotFound
        With ``field`` set; nothing has happened then.
    """
    size = len(body.source.encode("utf-8", "surrogatepass"))
    if size > MAX_SOURCE_BYTES:
        raise TooLarge(
            f"the cell has {format_size(size)}; at most {format_size(MAX_SOURCE_BYTES)}", field="source"
        )
    try:
        body.source.encode("utf-8")
    except UnicodeEncodeError:
        raise BadRequest("the cell holds characters that are not valid Unicode", field="source") from None
    if not body.source.strip():
        raise BadRequest("the cell is empty", field="source")
    if "\0" in body.source:
        raise BadRequest("the cell holds a NUL character", field="source")
    for field in ("name", "notebook", "cluster"):
        if len(getattr(body, field)) > _MAX_NAME:
            raise BadRequest(f"{field} is longer than {_MAX_NAME} characters", field=field)
        if not getattr(body, field).isprintable():
            raise BadRequest(f"{field} holds characters that cannot be printed", field=field)
    if body.project not in policy.projects:
        known = ", ".join(sorted(policy.projects))
        raise NotFound(f"there is no project {body.project!r} here; there is {known}", field="project")
    if body.retry_of is not None and not 0 < body.retry_of < 2**53:
        raise BadRequest(f"{body.retry_of} is not a job id", field="retry_of")
    if body.python is not None and not policy.any_python:
        raise BadRequest("this agent decides which Python its jobs use", field="python")
    check_wanted(body, runtimes=policy.runtimes, builds=policy.builds)
    _check_env(body.env)
    _check_fetch(body.fetch)
    check_inputs(body)
    _check_times(body, policy, limits)
    _check_limits(body, policy, limits)


def _check_limits(body: Submit, policy: Policy, limits: Limits) -> None:
    if PRIORITIES.index(body.priority) > PRIORITIES.index(limits.priority):
        raise BadRequest(
            f"priority {body.priority} is above your limit, which is {limits.priority}", field="priority"
        )
    need = resolve_need(body, policy, limits)
    if limits.gpus is not None and need.gpus > limits.gpus:
        raise BadRequest(f"{_gpus(need.gpus)}: your limit is {limits.gpus} at once", field="gpus")


def _check_env(env: dict[str, str]) -> None:
    if len(env) > _MAX_ENV:
        raise BadRequest(f"{len(env)} variables; at most {_MAX_ENV}", field="env")
    for name, value in env.items():
        if not _ENV_NAME.fullmatch(name):
            raise BadRequest(f"{name!r} is not the name of a variable", field="env")
        if name in OWN_VARIABLES:
            raise BadRequest(f"{name} is set by the agent", field="env")
        if "\0" in value:
            raise BadRequest(f"the value of {name} holds a NUL character", field="env")


def _check_fetch(names: list[str]) -> None:
    if len(names) > _MAX_FETCH:
        raise BadRequest(f"{len(names)} results; at most {_MAX_FETCH}", field="fetch")
    for name in names:
        if len(name) > _MAX_NAME or not name.isidentifier():
            raise BadRequest(f"{name[:_MAX_NAME]!r} is not the name of a variable", field="fetch")


def _check_times(body: Submit, policy: Policy, limits: Limits) -> None:
    if body.timeout_s is not None and not 0 < body.timeout_s <= limits.timeout_s:
        longest = format_duration(limits.timeout_s)
        raise BadRequest(f"a time limit is above zero and at most {longest} for you here", field="timeout_s")
    if body.grace_s is not None and not 0 <= body.grace_s <= policy.max_grace_s:
        limit = format_duration(policy.max_grace_s)
        raise BadRequest(f"the grace time is at most {limit} here", field="grace_s")


def resolve_need(body: Submit, policy: Policy, limits: Limits) -> Need:
    """GPUs, CPUs and memory of the job: what it asks for, else a fair share of the box per GPU.

    Raises
    ------
    BadRequest
        When the box never has that much, or it asks for less than one CPU or 1 MiB.
    """
    total = policy.total
    gpus = body.gpus
    if gpus is None:
        gpus = min(policy.default_gpus, total.gpus, total.gpus if limits.gpus is None else limits.gpus)
    share = gpus / total.gpus if total.gpus else 0
    need = Need(
        gpus=gpus,
        cpus=max(1, int(total.cpus * share)) if body.cpus is None else body.cpus,
        memory_bytes=max(min(_MIN_MEMORY, total.memory_bytes), int(total.memory_bytes * share))
        if body.memory_bytes is None
        else body.memory_bytes,
    )
    if need.gpus < 0 or need.gpus > total.gpus:
        has = _gpus(total.gpus) if total.gpus else "no GPU"
        raise BadRequest(f"{_gpus(need.gpus)}: this box has {has}", field="gpus")
    if not 1 <= need.cpus <= total.cpus:
        raise BadRequest(f"{need.cpus} CPUs: this box has {total.cpus}", field="cpus")
    if not 2**20 <= need.memory_bytes <= total.memory_bytes:
        asked, has = format_size(need.memory_bytes), format_size(total.memory_bytes)
        raise BadRequest(f"{asked} of memory: this box has {has}", field="memory_bytes")
    return need


def _gpus(count: int) -> str:
    return f"{count} GPU{'s' * (count != 1)}"
