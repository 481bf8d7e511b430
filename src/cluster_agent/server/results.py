"""Calls on results: the variables of a cell that were kept when it had succeeded."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import BinaryIO

from cluster_agent.errors import NotFound
from cluster_agent.log.follow import events_of
from cluster_agent.protocol import BYTES, JSON, Event, FileEntry, ResultEntry, ResultList
from cluster_agent.server.call import Call
from cluster_agent.server.files import open_left, send_file
from cluster_agent.server.jobs import job_of

#: Formats of text; what else there is goes as bytes, so that no browser takes it for a page.
_TEXTS = frozenset({"json", "tagged"})


async def list_results(call: Call) -> ResultList:
    """The variables that the job has kept, as far as it has come to them, and why some are not."""
    folder = call.agent.dispatcher.folder_of(call.job_id).results
    paths = folder if call.on_control_socket else None
    return ResultList(results=[_entry_of(event, paths) for event in await _events(call)])


async def _events(call: Call) -> list[Event]:
    record = await job_of(call)
    log = call.agent.dispatcher.folder_of(record.job_id).log
    return [*await asyncio.to_thread(events_of, log, "result")]


async def read_result(call: Call) -> None:
    """The value of one of them."""
    events, name = await _events(call), call.args["name"]
    entries = [_entry_of(event, None) for event in events]
    event, found = next(
        (pair for pair in zip(events, entries, strict=True) if pair[1].name == name), (None, None)
    )
    if event is None or found is None or found.sha256 is None:
        raise NotFound(f"job {call.job_id}: {_absence(name, found, entries)}", field="name")
    kind = JSON if found.format in _TEXTS else BYTES
    if event.text is not None:
        file: BinaryIO = io.BytesIO(event.text.encode())
        info = FileEntry(path=name, type="file", size=found.size, etag=found.sha256)
    else:
        folder = call.agent.dispatcher.folder_of(call.job_id).results
        file, info = await asyncio.to_thread(open_left, folder, found.sha256)
    await send_file(call, file, info, kind)


def _absence(name: str, found: ResultEntry | None, entries: list[ResultEntry]) -> str:
    if found is not None:
        return f"{name} could not be kept: {found.reason}"
    kept = ", ".join(entry.name for entry in entries if entry.sha256)
    return f"there is no result {name[:100]!r}; " + (f"there is {kept}" if kept else "it has kept none")


def _entry_of(event: Event, paths: Path | None) -> ResultEntry:
    in_file = paths is not None and event.sha256 is not None and event.text is None
    return ResultEntry(
        name=event.name or "",
        kind=event.kind or "",
        format=event.format or "",
        size=event.size or 0,
        sha256=event.sha256,
        reason=event.reason,
        path=str(paths / event.sha256) if in_file and paths and event.sha256 else None,
    )
