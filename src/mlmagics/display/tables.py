"""Small tables, as text and as HTML. Pure."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from dataclasses import dataclass

from cluster_agent.protocol import ACTIVE, Info, State
from cluster_agent.protocol import Job as JobInfo
from cluster_agent.units import format_duration, format_size
from mlmagics.cluster.overview import AttachmentRow
from mlmagics.display.clock import until
from mlmagics.display.lines import plain
from mlmagics.job.handle import Job

_MAX_CELL = 100
#: From here on, and in the last quarter only, the end of a job's time is worth a word.
_SOON_S = 900.0


@dataclass(frozen=True)
class Table:
    """Column titles and rows of text."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]

    def as_text(self) -> str:
        """The table with its columns aligned."""
        rows = [self.titles, *(tuple(_short(cell) for cell in row) for row in self.rows)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(self.titles))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )

    def as_html(self) -> str:
        """The table for a notebook; only the last column, a remark or note, is broken into lines."""
        head = "".join(f'<th style="text-align:left">{html.escape(title)}</th>' for title in self.titles)
        body = "".join(f"<tr>{_html_cells(row)}</tr>" for row in self.rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def bundle(self) -> dict[str, str]:
        """Both, as a MIME bundle."""
        return {"text/plain": self.as_text(), "text/html": self.as_html()}


def _short(cell: str) -> str:
    cell = plain(cell).replace("\n", " ")
    return cell if len(cell) <= _MAX_CELL else cell[: _MAX_CELL - 3] + "..."


def _html_cells(row: Sequence[str]) -> str:
    styles = ["text-align:left;white-space:nowrap"] * (len(row) - 1) + ["text-align:left"]
    return "".join(
        f'<td style="{style}">{html.escape(_short(cell))}</td>'
        for style, cell in zip(styles, row, strict=True)
    )


def attachments_table(rows: Sequence[AttachmentRow]) -> Table:
    """What ``%attachments`` shows; remarks only where there is one."""
    titles = ["name", "state", "GPUs free", "running/queued", "round trip", "address"]
    shown = [
        [
            row.name,
            row.state,
            f"{row.gpus_free}/{row.gpus}" if row.gpus is not None else "",
            f"{row.running}/{row.queued}" if row.running is not None else "",
            f"{row.round_trip_ms:.0f} ms" if row.round_trip_ms is not None else "",
            row.address,
        ]
        for row in rows
    ]
    if any(row.remark for row in rows):
        titles.append("remark")
        shown = [[*cells, row.remark] for cells, row in zip(shown, rows, strict=True)]
    return Table(titles, shown)


def cluster_table(row: AttachmentRow, info: Info) -> Table:
    """What ``%NAME`` shows of a cluster that has answered with ``info``."""
    round_trip = f", {row.round_trip_ms:.0f} ms" if row.round_trip_ms is not None else ""
    names = ", ".join(dict.fromkeys(info.gpu_names))
    gpus = f"{info.gpus_free} of {info.gpus} free" + (f": {names}" if names else "")
    default = f"{_counted(info.default_gpus, 'GPU')}, {format_duration(info.default_timeout_s)}"
    rows = [
        ["GPUs", gpus if info.gpus else "none"],
        ["CPUs", f"{info.cpus_free} of {info.cpus} free"],
        ["memory", f"{format_size(info.memory_free_bytes)} of {format_size(info.memory_bytes)} free"],
        ["queue", f"{info.running} running, {info.queued} waiting"],
        ["a job gets", f"{default}, where it asks for nothing else"],
        ["you may", f"{_allowed(info)} ({info.user}, {info.role})"],
    ]
    if row.remark:
        rows.append(["remark", row.remark])
    return Table([row.name, f"{row.state}, {row.address}{round_trip}"], rows)


def _allowed(info: Info) -> str:
    limits = info.limits
    longest = format_duration(limits.timeout_s if limits else info.max_timeout_s)
    at_once = []
    if limits is not None and limits.gpus is not None:
        at_once.append(_counted(limits.gpus, "GPU"))
    if limits is not None and limits.jobs is not None:
        at_once.append(_counted(limits.jobs, "job"))
    return ", ".join([f"{longest} a job at most", *([f"{' and '.join(at_once)} at once"] if at_once else [])])


def _counted(count: int, noun: str) -> str:
    return f"no {noun}" if count == 0 else f"1 {noun}" if count == 1 else f"{count} {noun}s"


def jobs_table(jobs: Sequence[Job], *, users: bool, now: float) -> Table:
    """What ``%jobs`` shows, with the reason of waiting or of a bad end."""
    titles = ["job", "name", "state", "GPUs", "submitted", "waited", "ran", "note"]
    shown = [_job_row(job, now) for job in jobs]
    if users:
        titles.insert(1, "user")
        shown = [[cells[0], job.info.user, *cells[1:]] for cells, job in zip(shown, jobs, strict=True)]
    return Table(titles, shown)


def _job_row(job: Job, now: float) -> list[str]:
    info = job.info
    begun = info.started_at or info.ended_at or now
    ran = ""
    if info.started_at is not None:
        # the supervisor's own measure, as everywhere else, once there is one
        seconds = info.seconds if info.seconds is not None else (info.ended_at or now) - info.started_at
        ran = format_duration(max(0.0, round(seconds, 1)))
    return [
        job.ref,
        info.name,
        job.word,
        str(info.gpus),
        day_and_time(info.submitted_at, now),
        format_duration(max(0, round(begun - info.submitted_at))),
        ran,
        note(job.ref, info, now),
    ]


def note(ref: str, info: JobInfo, now: float) -> str:
    """What there is to say about a job besides its state: why it waits and how long at most, what will end it or did."""
    if info.state is State.QUEUED:
        place = f"place {info.position}" if info.position else ""
        starts = f"starts by {until(info.starts_by, now)}" if info.starts_by else ""
        return ", ".join(part for part in (place, info.waiting_for, starts) if part)
    if info.state in ACTIVE:
        left = (info.deadline_at or float("inf")) - now
        if 0 < left < min(_SOON_S, info.timeout_s / 4) and not info.stopping:
            return f"its time is up in {format_duration(max(60, round(left / 60) * 60))}: %extend {ref} 2h"
        return info.waiting_for or ""
    if info.state is State.SUCCEEDED:
        return f"environment {info.environment}" if info.environment else ""
    return info.reason or ""


def day_and_time(at: float, now: float) -> str:
    """The time of day at ``at``, with its date where that is not today's."""
    then, today = time.localtime(at), time.localtime(now)
    return time.strftime("%H:%M:%S" if then[:3] == today[:3] else "%d %b %H:%M", then)
