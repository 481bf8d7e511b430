"""From a cell and its options to a job: everything is checked before anything is sent."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from cluster_agent.protocol import Job as JobInfo
from cluster_agent.protocol import Priority, Submit
from cluster_agent.units import parse_duration, parse_size
from mlmagics.cluster.names import LOCAL
from mlmagics.cluster.session import Session, current, told
from mlmagics.cluster.store import Attachment
from mlmagics.errors import BadValue, UserError
from mlmagics.job.functions import source_of
from mlmagics.job.handle import Job
from mlmagics.job.preflight import check_source, newer_python
from mlmagics.job.variables import variable_name


class SubmitInterrupted(UserError):
    """The sending of a cell was interrupted; its job may exist."""

    code = "submit_interrupted"


@contextlib.contextmanager
def sending() -> Iterator[None]:
    """Turn an interrupt before the answer to a submit into the line that says where its job is, if there is one."""
    try:
        yield
    except KeyboardInterrupt:
        raise SubmitInterrupted(
            "interrupted before the cluster had answered: %jobs shows the job if it was accepted. The same cell, run "
            "again, is taken for it and does not run twice"
        ) from None


def submit(
    source: str | Callable[..., Any],
    on: str | None = None,
    *,
    name: str = "",
    project: str | None = None,
    gpus: int | None = None,
    cpus: int | None = None,
    memory: str | int | None = None,
    timeout: str | float | None = None,
    grace: str | float | None = None,
    priority: Priority = "normal",
    env: Mapping[str, str | None] | None = None,
    fetch: str | Iterable[str] = (),
    check: bool = True,
    retry_of: int | None = None,
    session: Session | None = None,
) -> Job:
    """The job that runs ``source`` on a cluster; it is on that cluster's disk when this returns.

    Parameters
    ----------
    source
        The cell, at most 1 MiB; or a function that uses nothing from here, which is called without arguments.
    on
        Name of the cluster; needed when several are attached.
    memory
        Bytes, or text such as ``"16G"``.
    timeout, grace
        Seconds, or text such as ``"8h"``: the time limit, and the time between interrupt and TERM.
    env
        Variables for the job's process only; None as a value takes this process's own.
    fetch
        Names of the cell's variables that are kept when it succeeds, for :meth:`Job.result`.
    check
        False sends a cell whose syntax cannot be understood here, and never takes it for an earlier submit
        whose answer was lost.

    Raises
    ------
    BadValue
        When an option or the cell is wrong; nothing was sent.
    ClusterError
        When the cluster refused or does not answer.
    """
    session = session or current()
    if callable(source):
        source, name = source_of(source), name or str(getattr(source, "__name__", ""))
    cluster = session.choose(on)
    attachment = session.attachment(cluster)
    check_source(source, syntax=check and not newer_python(attachment.python_version, sys.version_info[:2]))
    request = Submit(
        source=source,
        name=name,
        project=project or "default",
        gpus=_count(gpus, "gpus", least=0),
        cpus=_count(cpus, "cpus", least=1),
        memory_bytes=_size(memory),
        timeout_s=_duration(timeout, "timeout"),
        grace_s=_duration(grace, "grace"),
        priority=_priority(priority),
        env=_variables(env or {}),
        python=sys.executable if cluster == LOCAL else None,
        notebook=session.notebook,
        cluster=cluster,
        retry_of=retry_of,
        fetch=result_names(fetch),
    )
    client = session.client(cluster)
    body = msgspec.json.encode(request)
    with told(cluster), session.journal.submitting(cluster, body, again=check) as submitting:
        info = client.submit(request, submitting.key)
    notes = _notes(info, attachment, submitting.earlier_at)
    return session.remember(Job(session, cluster, info, notes), submitted=True)


def submit_again(old: Job, changes: Mapping[str, Any]) -> Job:
    """A new job with the cell and resources of ``old``, with other options where ``changes`` has them."""
    unknown = set(changes) - _AGAIN
    if unknown:
        raise BadValue(
            f"{min(unknown)!r} is not an option of a submit: choose from {', '.join(sorted(_AGAIN))}"
        )
    info = old.refresh().info
    env = dict(changes.get("env") or {})
    # values were told to nobody, so those that are not given anew come from this process
    env = {**{name: None for name in info.env_names if name not in env}, **env}
    missing = [name for name in info.env_names if env[name] is None and name not in os.environ]
    if missing:
        them, are = ("it", "is") if len(missing) == 1 else ("them", "are")
        raise BadValue(
            f"{', '.join(missing)} {are} not set here: {old.ref} had {them}, and values are kept nowhere. Set {them} "
            f"first (os.environ[{missing[0]!r}] = ...)",
            field="env",
        )
    options: dict[str, Any] = {
        "on": old.cluster,
        "name": info.name,
        "project": info.project,
        "gpus": info.gpus,
        "cpus": info.cpus,
        "memory": info.memory_bytes or None,
        "timeout": info.timeout_s or None,
        "grace": info.grace_s or None,
        "priority": info.priority,
        "fetch": info.fetch,
        **changes,
        "env": env,
    }
    source = options.pop("source", info.source or "")
    retry_of = info.job_id if options["on"] == old.cluster else None
    return submit(source, session=old.session, retry_of=retry_of, **options)


_AGAIN = frozenset(
    {
        "source",
        "on",
        "name",
        "project",
        "gpus",
        "cpus",
        "memory",
        "timeout",
        "grace",
        "priority",
        "env",
        "fetch",
        "check",
    }
)


def result_names(names: str | Iterable[str]) -> list[str]:
    """``names`` as a list, each once: names of variables, or one text with commas between them.

    Raises
    ------
    BadValue
        When one cannot be the name of a variable.
    """
    found: dict[str, None] = {}
    for part in names.split(",") if isinstance(names, str) else names:
        name = variable_name(part.strip())
        if name is None:
            raise BadValue(f"--fetch: {part.strip()!r} cannot be the name of a variable", field="fetch")
        found[name] = None
    return list(found)


def _notes(job: JobInfo, attachment: Attachment, earlier_at: float | None) -> tuple[str, ...]:
    notes = []
    if attachment.agent_id and attachment.agent_id != job.agent_id:
        notes.append(new_agent(attachment.name))
    if earlier_at is not None:
        at = time.strftime("%H:%M:%S", time.localtime(earlier_at))
        notes.append(
            f"the same cell was sent at {at} and its answer was lost: this is that job, which runs once "
            "(--no-check sends the cell again)"
        )
    return tuple(notes)


def new_agent(cluster: str) -> str:
    """The remark for a cluster whose agent is not the one that was attached."""
    return (
        f"another agent answers behind the name {cluster} than the one that was attached: its job numbers start "
        f"anew. If that is right: %attachments remove {cluster}, then add it again"
    )


def _count(value: int | None, field: str, *, least: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise BadValue(f"--{field} takes a whole number from {least}, not {value!r}", field=field)
    return value


def _size(value: str | int | None) -> int | None:
    if isinstance(value, str):
        try:
            return parse_size(value)
        except ValueError as error:
            raise BadValue(f"--memory: {error}", field="memory") from None
    return _count(value, "memory", least=1)


def _duration(value: str | float | None, field: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError as error:
            raise BadValue(f"--{field}: {error}", field=field) from None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise BadValue(f"--{field} takes seconds above zero or text such as '8h', not {value!r}", field=field)
    return float(value)


def _priority(value: Priority) -> Priority:
    if value not in ("low", "normal"):
        raise BadValue(f"--priority is low or normal, not {value!r}", field="priority")
    return value


def _variables(env: Mapping[str, str | None]) -> dict[str, str]:
    values = {}
    for name, value in env.items():
        if not name or "=" in name or "\0" in name:
            raise BadValue(f"--env: {name!r} cannot be a variable's name", field="env")
        taken = os.environ.get(name) if value is None else value
        if taken is None:
            raise BadValue(
                f"--env {name}: {name} is not set in this process; set it first (os.environ[{name!r}] = ...)",
                field="env",
            )
        values[name] = taken
    return values
