"""Calls on what jobs find installed."""

from __future__ import annotations

import asyncio

from cluster_agent.errors import NotFound
from cluster_agent.jobs.wanted import check_wanted
from cluster_agent.protocol import LockRequest, MadeLock, Packages, Submit
from cluster_agent.server.call import Call
from cluster_agent.server.jobs import job_of


async def packages(call: Call) -> Packages:
    """What a job finds in an interpreter of this box."""
    return await call.agent.interpreters.packages(call.query("runtime") or "", call.query("python"))


async def make_lock(call: Call) -> MadeLock:
    """The versions that a job would get now."""
    request = call.json(LockRequest)
    body = Submit(source="-", packages=request.packages, runtime=request.runtime, python=request.python)
    agent = call.agent
    check_wanted(body, runtimes=agent.policy.runtimes, builds=agent.policy.builds)
    return await agent.provision.lock(request, call.caller.user)


async def read_lock(call: Call) -> None:
    """Exactly which packages a job has got beside those of its interpreter."""
    record = await job_of(call)
    path = call.agent.dispatcher.folder_of(record.job_id).lock
    try:
        text = await asyncio.to_thread(path.read_bytes)
    except FileNotFoundError:
        why = "nothing was asked for" if not record.packages else "it has not come to that"
        raise NotFound(f"job {call.job_id} has no lock: {why}", field="job_id") from None
    call.start("text/plain; charset=utf-8")
    await call.send(text)
