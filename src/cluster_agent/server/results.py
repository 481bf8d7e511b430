"""Calls on results: the variables of a cell that were kept when it had succeeded."""

from __future__ import annotations

import asyncio

from cluster_agent.errors import NotFound
from cluster_agent.log.follow import events_of
from cluster_agent.protocol import Event, ResultEntry, ResultList
from cluster_agent.server.call import Call
from cluster_agent.server.files import open_left, send_file
from cluster_agent.server.jobs import job_of

_CONTENT_TYPES = {"json": "application/json"}


async def list_results(call: Call) -> ResultList:
    """The variables that the job was asked to keep, as far as it has come to them."""
    record = await job_of(call)
    events = await asyncio.to_thread(events_of, call.agent.dispatcher.folder_of(record.job_id).log, "result")
    return ResultList(results=[_entry_of(event) for event in events])


async def read_result(call: Call) -> None:
    """The value of one of them."""
    entries = (await list_results(call)).results
    name = call.args["name"]
    found = next((entry for entry in entries if entry.name == name), None)
    if found is None or found.sha256 is None:
        raise NotFound(f"job {call.job_id}: {_absence(name, found, entries)}", field="name")
    folder = call.agent.dispatcher.folder_of(call.job_id).results
    file, info = await asyncio.to_thread(open_left, folder, found.sha256)
    await send_file(call, file, info, _CONTENT_TYPES[found.format])


def _absence(name: str, found: ResultEntry | None, entries: list[ResultEntry]) -> str:
    if found is not None:
        return f"{name} could not be kept: {found.reason}"
    kept = ", ".join(entry.name for entry in entries if entry.sha256)
    return f"there is no result {name[:100]!r}; " + (f"there is {kept}" if kept else "it has kept none")


def _entry_of(event: Event) -> ResultEntry:
    return ResultEntry(
        name=event.name or "",
        kind=event.kind or "",
        format=event.format or "",
        size=event.size or 0,
        sha256=event.sha256,
        reason=event.reason,
    )
