"""Calls for admins: draining, what has been used, deleting what is old, and the database for a backup."""

from __future__ import annotations

import asyncio
import os
import secrets
import time

from cluster_agent.errors import BadRequest, Forbidden
from cluster_agent.harmless import harmless
from cluster_agent.jobs.drain import Drain
from cluster_agent.jobs.usage import usage as usage_of
from cluster_agent.protocol import BYTES, DrainRequest, GcReport, GcRequest, Info, UsageReport
from cluster_agent.server.call import Call
from cluster_agent.server.info import info

_MONTH_S = 30 * 86400.0
_CHUNK = 2**20


async def drain(call: Call) -> Info:
    """Start no jobs for the time being; those that run go on, and what is submitted waits."""
    body = call.json(DrainRequest)
    if body.until_at is not None and body.until_at <= time.time():
        raise BadRequest("until_at has passed", field="until_at")
    call.note(until_at=body.until_at)
    await call.agent.dispatcher.drain(Drain(until=body.until_at, message=harmless(body.message, 500)))
    return await info(call)


async def resume(call: Call) -> Info:
    """Start jobs again."""
    await call.agent.dispatcher.drain(None)
    return await info(call)


async def usage(call: Call) -> UsageReport:
    """What each user had of the box."""
    now = time.time()
    since = call.number("since")
    since = now - _MONTH_S if since is None else min(since, now)
    past = call.agent.past
    turnouts, kept = await past.turnouts(since), await past.kept()
    complete = await past.complete_since()
    return UsageReport(
        since_at=since,
        until_at=now,
        gpu_hours=call.agent.slots.total.gpus * (now - since) / 3600,
        complete_since_at=complete if complete is not None and complete > since else None,
        users=usage_of(turnouts, kept, since, now),
    )


async def collect(call: Call) -> GcReport:
    """Delete old jobs now, as is done every hour."""
    report = await call.agent.retention.tidy(dry_run=call.json(GcRequest).dry_run)
    call.note(dry_run=report.dry_run, deleted=report.deleted)
    return report


async def backup(call: Call) -> None:
    """The database as it is now, as bytes.

    Raises
    ------
    Forbidden
        Elsewhere than on the control socket: it holds the cells of all people.
    """
    if not call.on_control_socket:
        raise Forbidden("a backup is given on the agent's own socket only: cluster-agent backup FILE")
    copy = call.agent.config.home / f"backup-{secrets.token_hex(8)}.db"
    try:
        await call.agent.store.copy_to(copy)
        with copy.open("rb") as file:
            copy.unlink()
            call.start(BYTES, {"Content-Length": str(os.fstat(file.fileno()).st_size)})
            while chunk := await asyncio.to_thread(file.read, _CHUNK):
                await call.send(chunk)
    finally:
        copy.unlink(missing_ok=True)
