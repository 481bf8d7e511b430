"""Calls on jobs: submit, list, one, cancel, extend, and the code that opens a job's history page."""

from __future__ import annotations

import asyncio

import msgspec

from cluster_agent.errors import BadRequest, Conflict, Gone, NotFound
from cluster_agent.harmless import harmless
from cluster_agent.jobs.records import JobRecord, tell
from cluster_agent.jobs.store import Filter
from cluster_agent.protocol import (
    Job,
    JobList,
    MoveRequest,
    State,
    Submit,
    ViewCode,
    ViewRequest,
    ViewToken,
    parse_states,
)
from cluster_agent.server.auth import CODE_S, VIEW_TOKEN_S, Caller
from cluster_agent.server.call import Call, Reply
from cluster_agent.units import format_duration, format_size

_MAX_PAGE = 1000


class CancelRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST .../cancel``."""

    reason: str = ""


class ExtendRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST .../extend``."""

    extra_s: float


async def job_of(call: Call) -> JobRecord:
    """The job that the path names, if the caller may see it.

    Raises
    ------
    NotFound
        When there is none, or it is somebody else's: the same answer.
    Gone
        When it was deleted; whose it was is not known any more.
    """
    record = await call.agent.store.get(call.job_id)
    caller = call.caller
    if record is None and call.agent.ids.given(call.job_id):
        raise Gone(f"job {call.job_id} has been deleted: {_terms(call)}", field="job_id")
    if record is None or not _may_see(caller, record):
        raise NotFound(f"there is no job {call.job_id} of yours here", field="job_id")
    return record


def _terms(call: Call) -> str:
    config = call.agent.config
    keep, size = format_duration(config.keep), format_size(config.keep_size)
    return f"jobs are kept for {keep} after their end, and the oldest only while all take less than {size}"


def _may_see(caller: Caller, record: JobRecord) -> bool:
    if caller.job_id is not None:
        return caller.job_id == record.job_id
    return caller.role in {"viewer", "admin"} or caller.user == record.user


def told(call: Call, record: JobRecord, *, with_source: bool = False) -> Job:
    """The job as it is told to this caller."""
    agent = call.agent
    return tell(
        record,
        base_url=agent.base_url(call.headers.get("Host", "")),
        agent_id=agent.agent_id,
        place=agent.dispatcher.place(record.job_id) if record.state is State.QUEUED else None,
        deadline_at=agent.dispatcher.deadline(record.job_id),
        with_source=with_source,
    )


async def submit(call: Call) -> Reply:
    """Take a job in: 201 for a new one, 200 for the one that this key made before, or that does the same."""
    body = call.json(Submit)
    if call.agent.isolation.people is not None:
        await asyncio.to_thread(
            call.agent.isolation.ids, call.caller.user
        )  # whom no job can run as is told now
    key = call.headers.get("Idempotency-Key")
    taken = await call.agent.intake.submit(body, user=call.caller.user, role=call.caller.role, key=key)
    job = msgspec.structs.replace(told(call, taken.record), same_as=taken.same_as)
    call.note(job_id=job.job_id, new=taken.new)
    return Reply(value=job, status=201 if taken.new else 200, headers={"Location": f"/v1/jobs/{job.job_id}"})


async def list_jobs(call: Call) -> JobList:
    """Jobs that the caller may see, newest first."""
    limit = int(call.number("limit", least=1) or 100)
    below = call.number("after", least=1)
    which = Filter(
        states=_states(call.query("state")),
        user=_whose(call),
        project=call.query("project"),
        name=call.query("name"),
        notebook=call.query("notebook"),
        since=call.number("since"),
        below=int(below) if below else None,
        limit=min(limit, _MAX_PAGE),
    )
    records = await call.agent.store.listed(which)
    more = str(records[-1].job_id) if len(records) == which.limit else None
    return JobList(jobs=[told(call, record) for record in records], next=more)


def _states(text: str | None) -> frozenset[State] | None:
    try:
        return parse_states(text) if text else None
    except ValueError as error:
        raise BadRequest(str(error), field="state") from None


def _whose(call: Call) -> str | None:
    asked = call.query("user")
    if asked == "me" or call.caller.role == "user":
        return call.caller.user
    return asked


async def get_job(call: Call) -> Job:
    """One job, with its cell."""
    return told(call, await job_of(call), with_source=True)


async def cancel(call: Call) -> Job:
    """Make a job end; the job as it is now, also when it has ended already."""
    record = await job_of(call)
    reason = harmless(call.json(CancelRequest).reason, 500)
    changed = await call.agent.dispatcher.changes.cancel(record, by=call.caller.user, reason=reason)
    return told(call, changed)


async def extend(call: Call) -> Job:
    """Give a job more time."""
    record = await job_of(call)
    extra_s = call.json(ExtendRequest).extra_s
    if not 0 < extra_s < 1e9:
        raise BadRequest("extra_s is above zero", field="extra_s")
    if not record.active:
        raise Conflict(f"job {record.job_id} has ended")
    return told(call, await call.agent.dispatcher.changes.extend(record, extra_s))


async def move(call: Call) -> Job:
    """Put a waiting job before all others, or back."""
    record = await job_of(call)
    return told(call, await call.agent.dispatcher.changes.move(record, first=call.json(MoveRequest).first))


async def make_view_code(call: Call) -> ViewCode:
    """A link that opens the job's history page once, within a minute."""
    record = await job_of(call)
    code = call.agent.keyring.make_code(call.caller, record.job_id)
    return ViewCode(code=code, url=f"{told(call, record).history_url}#code={code}", expires_s=CODE_S)


async def redeem_view_code(call: Call) -> ViewToken:
    """A token that reads the one job that the code was made for."""
    token, job_id = call.agent.keyring.redeem(call.json(ViewRequest).code)
    return ViewToken(token=token, job_id=job_id, expires_s=VIEW_TOKEN_S)
