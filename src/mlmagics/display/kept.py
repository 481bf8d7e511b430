"""What a job has kept, as people read it: a table of results and files, and a line where there is nothing."""

from __future__ import annotations

from collections.abc import Sequence

from cluster_agent.protocol import ACTIVE, FileEntry, ResultEntry
from cluster_agent.units import format_size
from mlmagics.display.tables import Table
from mlmagics.job.handle import Job
from mlmagics.job.results import needs_trust


def kept_table(entries: Sequence[ResultEntry], files: Sequence[FileEntry]) -> Table:
    """The results and files of a job; a result that was not kept has its reason in place of a size."""
    rows = [
        [entry.name, entry.kind, format_size(entry.size) if entry.size else "", f"not kept: {entry.reason}"]
        if entry.reason is not None
        else [
            entry.name,
            entry.kind,
            format_size(entry.size),
            "result" + ", with --trust" * needs_trust(entry),
        ]
        for entry in entries
    ]
    rows += [[file.path, "", format_size(file.size), "file"] for file in files]
    return Table(["name", "type", "size", "note"], rows)


def nothing_kept(job: Job) -> str:
    """The line for a job that has no results."""
    if job.info.state in ACTIVE and job.info.fetch:
        return f"{job.ref} is {job.word}: results are there at its end"
    return f"{job.ref} kept no results" + ("" if job.info.fetch else " (--fetch NAME asks for them)")


def no_files(job: Job) -> str:
    """The line for a job that has no files."""
    return f"{job.ref} left no files in its working folder" + (" so far" if job.info.state in ACTIVE else "")
