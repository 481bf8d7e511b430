"""Tables across clusters: what is attached and how it does, and the jobs there."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from cluster_agent import __version__
from cluster_agent.client import AgentClient
from cluster_agent.protocol import ACTIVE, PROTOCOL_VERSION, Info, JobList, State, parse_states
from cluster_agent.units import format_clock, parse_duration
from mlmagics.cluster.asking import Answer, ask_all
from mlmagics.cluster.names import LOCAL
from mlmagics.cluster.session import Session, current
from mlmagics.cluster.store import Attachment
from mlmagics.errors import BadValue, UserError
from mlmagics.job.handle import Job

#: More active jobs than this are not asked of one cluster.
_MAX_ACTIVE = 200
_LAST = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class AttachmentRow:
    """One cluster at this moment."""

    name: str
    #: ``Ready``, ``Draining``, ``Idle (starts on first use)``, ``Refused``, ``Outdated`` or ``Unreachable``
    state: str
    address: str
    gpus: int | None = None
    gpus_free: int | None = None
    running: int | None = None
    queued: int | None = None
    round_trip_ms: float | None = None
    #: empty when there is nothing to say
    remark: str = ""
    info: Info | None = None

    @property
    def usable(self) -> bool:
        """Whether a cell can be sent there now."""
        return self.state in ("Ready", "Idle (starts on first use)")


def attachments(*, on: str | None = None, session: Session | None = None) -> list[AttachmentRow]:
    """All attached clusters, asked at once; ``local`` too where there is no other or its agent runs.

    An agent that does not answer within 2 s is a row with its reason. With ``on`` only this cluster is asked.
    """
    session = session or current()
    known = session.store.all()
    answers = ask_all(session, _info, only=None if on is None else [on])
    rows = [_row(known.get(answer.cluster) or session.local.attachment(), answer) for answer in answers]
    if not rows and (on == LOCAL or not known):
        rows.append(AttachmentRow(name=LOCAL, state="Idle (starts on first use)", address="this machine"))
    return rows


def row(attachment: Attachment, info: Info, seconds: float) -> AttachmentRow:
    """The row of an agent that has answered ``info`` after ``seconds``."""
    remarks = _remarks(attachment, info)
    state = "Draining" if info.draining else "Ready"
    return AttachmentRow(
        name=attachment.name,
        state="Outdated" if info.protocol != PROTOCOL_VERSION else state,
        address=attachment.url,
        gpus=info.gpus,
        gpus_free=info.gpus_free,
        running=info.running,
        queued=info.queued,
        round_trip_ms=seconds * 1000,
        remark="; ".join(remarks),
        info=info,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class JobTable:
    """Jobs of several clusters, newest first, and what kept a cluster from answering."""

    jobs: list[Job]
    #: cluster and reason
    troubles: list[tuple[str, str]]


def jobs(
    *,
    on: str | None = None,
    all_users: bool = False,
    state: str | None = None,
    project: str | None = None,
    name: str | None = None,
    since: str | float | None = None,
    this_notebook: bool = False,
    limit: int = _LAST,
    session: Session | None = None,
) -> JobTable:
    """Jobs of all attached clusters: the active ones and the last ``limit`` others.

    Parameters
    ----------
    on
        One cluster only.
    all_users
        Everybody's, not only one's own.
    state
        Comma-separated states or words in any case, ``active``, ``done``; the last ``limit`` of these are listed.
    name, project
        Only jobs of this name or project.
    since
        How long ago at most they were submitted: seconds, or text such as ``"7d"``.
    this_notebook
        Only what was submitted from this notebook.
    """
    session = session or current()
    if on is not None:
        session.attachment(on)
    states = _states(state)
    asked_since = None if since is None else time.time() - _seconds(since)
    notebook = session.notebook if this_notebook else None

    def question(client: AgentClient) -> list[JobList]:
        def ask(of: frozenset[State] | None, most: int) -> JobList:
            return client.jobs(
                states=of, user=None if all_users else "me", project=project, name=name, since=asked_since,
                notebook=notebook, limit=most,
            )  # fmt: skip

        return [ask(states, limit)] if states is not None else [ask(ACTIVE, _MAX_ACTIVE), ask(None, limit)]

    answers = ask_all(session, question, only=None if on is None else [on])
    found = {
        (answer.cluster, info.job_id): Job(session, answer.cluster, info)
        for answer in answers
        for page in answer.value or []
        for info in page.jobs
    }
    return JobTable(
        jobs=_newest(found.values(), limit, states is not None),
        troubles=[(answer.cluster, answer.problem.message) for answer in answers if answer.problem],
    )


def _newest(found: Iterable[Job], limit: int, exactly: bool) -> list[Job]:
    ordered = sorted(found, key=lambda job: job.info.submitted_at, reverse=True)
    if exactly:
        return ordered[:limit]
    last = set(ordered[:limit])
    return [job for job in ordered if job in last or job.info.state in ACTIVE]


def _states(text: str | None) -> frozenset[State] | None:
    if text is None:
        return None
    try:
        return parse_states(text)
    except ValueError as error:
        raise BadValue(f"--state: {error}", field="state") from None


def _seconds(since: str | float) -> float:
    if not isinstance(since, str):
        return since
    try:
        return parse_duration(since)
    except ValueError as error:
        raise BadValue(f"--since: {error}", field="since") from None


def _info(client: AgentClient) -> tuple[Info, float]:
    client.info()
    # the second one tells the round trip: the first may have had to connect
    began = time.monotonic()
    info = client.info()
    return info, time.monotonic() - began


def _row(attachment: Attachment, answer: Answer[tuple[Info, float]]) -> AttachmentRow:
    if answer.value is not None:
        return row(attachment, *answer.value)
    problem = answer.problem or UserError("no answer")
    return AttachmentRow(
        name=attachment.name,
        state="Refused" if problem.code in ("unauthorized", "forbidden", "user_error") else "Unreachable",
        address=attachment.url,
        remark=problem.message.removeprefix(f"{attachment.name}: "),
    )


def _remarks(attachment: Attachment, info: Info) -> list[str]:
    remarks = []
    if version := other_version(info):
        remarks.append(version)
    if attachment.agent_id and attachment.agent_id != info.agent_id:
        remarks.append("new agent behind this name: its job numbers start anew")
    if info.draining:
        until = f" until {format_clock(info.drain_until, time.time())}" if info.drain_until else ""
        message = f": {info.drain_message}" if info.drain_message else ""
        remarks.append(f"starts no jobs{until}{message}")
    if len(info.isolation_levels) > 1 or info.isolation != "process":
        remarks.append(f"isolation: {' + '.join(info.isolation_levels or [info.isolation])}")
    if info.isolation == "process" and info.shared:
        remarks.append("shared: the jobs of all people run as one unix user")
    if info.runtimes:
        remarks.append(f"runtimes: {', '.join(runtime.name for runtime in info.runtimes)}")
    if info.remark:
        remarks.append(info.remark)
    return remarks


def other_version(info: Info) -> str:
    """What there is to say of an agent that is older or newer than mlmagics here; nothing, mostly."""
    if info.protocol != PROTOCOL_VERSION:
        older = "the agent" if info.protocol < PROTOCOL_VERSION else "mlmagics here"
        return f"protocol {info.protocol}, this mlmagics speaks {PROTOCOL_VERSION}: upgrade {older}"
    if _minor(info.version) != _minor(__version__):
        return f"agent {info.version}, mlmagics here {__version__}"
    return ""


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]
