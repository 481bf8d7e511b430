"""The commands of ``mlmagics`` about jobs. Each takes its words and gives its exit status."""

from __future__ import annotations

import time
import webbrowser
from collections.abc import Sequence

import msgspec

from cluster_agent.protocol import ACTIVE, DONE, ResultEntry
from cluster_agent.units import format_duration
from mlmagics import api
from mlmagics.cli.lines import out, out_json, out_table, tell
from mlmagics.cluster.session import current
from mlmagics.display.kept import kept_table, no_files, nothing_kept
from mlmagics.display.live import ended_line
from mlmagics.display.tables import jobs_table
from mlmagics.job.download import copy_files, save_result
from mlmagics.job.handle import Job
from mlmagics.job.results import entry_of
from mlmagics.magics.listing import asked_for, jobs_parser, nothing
from mlmagics.magics.options import duration
from mlmagics.magics.words import LineParser


def jobs(given: Sequence[str]) -> int:
    """``mlmagics jobs``: a table of jobs."""
    parser = jobs_parser("mlmagics jobs")
    found = parser.read(given)
    table = asked_for(found)
    if found.json:
        jobs = [
            {"ref": job.ref, "cluster": job.cluster, **msgspec.to_builtins(job.info)} for job in table.jobs
        ]
        missing = [{"cluster": cluster, "reason": reason} for cluster, reason in table.troubles]
        out_json({"jobs": jobs, "missing": missing})
        return 0
    if table.jobs:
        out_table(jobs_table(table.jobs, users=found.all, now=time.time()))
    else:
        tell(nothing(found, table, "mlmagics jobs", [*current().store.all()]))
    for cluster, reason in table.troubles:
        tell(f"{cluster} is missing here: {reason}")
    return 0


def wait(given: Sequence[str]) -> int:
    """``mlmagics wait``: whole jobs; fails unless all of them succeed."""
    parser = LineParser(
        "mlmagics wait",
        "Wait for jobs to end; fails unless all of them succeed.",
        examples=("mlmagics wait gpu-box/42 gpu-box/43 --timeout 2h",),
    )
    parser.add_argument("jobs", nargs="*", metavar="JOB", help="gpu-box/42; without any the last one")
    parser.add_argument("--timeout", type=duration, metavar="D", help="wait at most so long: 30m, 2h")
    found = parser.read(given)
    waited_for = [api.find(ref) for ref in found.jobs] or [api.find()]
    for job in waited_for:
        tell(f"Waiting for {job.ref} ({job.word})" if job.info.state in ACTIVE else ended_line(job))
    api.wait(waited_for, found.timeout)
    return 0


def cancel(given: Sequence[str]) -> int:
    """``mlmagics cancel``: all jobs are found before the first one is stopped."""
    parser = LineParser(
        "mlmagics cancel",
        "Stop jobs: interrupt, grace time, then the end of all their processes.",
        examples=("mlmagics cancel gpu-box/42 gpu-box/43",),
    )
    parser.add_argument("jobs", nargs="+", metavar="JOB", help="gpu-box/42")
    found = [api.find(ref) for ref in parser.read(given).jobs]
    for job in found:
        had_ended = job.info.state in DONE
        job.cancel()
        name = f" {job.info.name}" if job.info.name else ""
        out(f"{job.ref}{name}: {'had ended already: ' if had_ended else ''}{job.word}")
    return 0


def extend(given: Sequence[str]) -> int:
    """``mlmagics extend``: more time before the limit ends a job."""
    parser = LineParser(
        "mlmagics extend",
        "Give a job more time before its limit ends it.",
        examples=("mlmagics extend gpu-box/42 2h",),
    )
    parser.add_argument("job", metavar="JOB", help="gpu-box/42")
    parser.add_argument("more", type=duration, metavar="D", help="so much more: 30m, 2h")
    found = parser.read(given)
    job = api.find(found.job).extend(found.more)
    out(f"{job.ref}: at most {format_duration(job.info.timeout_s)} in all")
    return 0


def fetch(given: Sequence[str]) -> int:
    """``mlmagics fetch``: what a job has kept, and the files that it left."""
    parser = LineParser(
        "mlmagics fetch",
        "List what a job has kept, print or save results, or copy files of its working folder here.",
        examples=(
            "mlmagics fetch gpu-box/42                       what there is",
            "mlmagics fetch gpu-box/42 rmse model            JSON is printed, others saved",
            "mlmagics fetch gpu-box/42 --files               all files, to here",
            "mlmagics fetch gpu-box/42 report.txt --files d  one of them, to d",
        ),
    )
    parser.add_argument("job", metavar="JOB", help="gpu-box/42")
    parser.add_argument("paths", nargs="*", metavar="NAME", help="results, or files and folders")
    parser.add_argument("--files", nargs="?", const=".", metavar="DIR", help="copy files to DIR, or here")
    parser.add_argument("--overwrite", action="store_true", help="replace other files of the same names")
    found = parser.read(given)
    folder = found.files or ("." if found.paths or found.overwrite else None)
    job = api.find(found.job)
    if found.paths:
        kept = {entry.name: entry for entry in job.results()}
        for name in [name for name in found.paths if name in kept]:
            _show_or_save(
                job, entry_of([kept[name]], name, job.ref), folder or ".", overwrite=found.overwrite
            )
        found.paths = [name for name in found.paths if name not in kept]
        if not found.paths:
            return 0
    if folder is not None:
        copied = copy_files(job, folder, found.paths or None, overwrite=found.overwrite)
        for file in copied:
            out(file.line)
        if not copied:
            tell(no_files(job))
        return 0
    results, files = job.results(), [entry for entry in job.files() if entry.type == "file"]
    if results or files:
        out_table(kept_table(results, files))
    else:
        tell(f"{nothing_kept(job)}; {no_files(job)}")
    if files:
        tell(f"To copy the files here: mlmagics fetch {job.ref} --files")
    return 0


def _show_or_save(job: Job, entry: ResultEntry, folder: str, *, overwrite: bool) -> None:
    if entry.format in ("json", "tagged"):
        out(job.result_bytes(entry.name).decode())
        return
    out(save_result(job, entry, folder, overwrite=overwrite).line)


def open_page(given: Sequence[str]) -> int:
    """``mlmagics open``: a job's page in a browser, let in by a code that works once."""
    parser = LineParser(
        "mlmagics open", "Open a job's page in a browser.", examples=("mlmagics open gpu-box/42",)
    )
    parser.add_argument("job", nargs="?", metavar="JOB", help="gpu-box/42; without it the last one")
    return open_in_browser(api.find(parser.read(given).job))


def open_in_browser(job: Job) -> int:
    """Open the page of ``job`` with a code that works once; where no browser starts its address is told."""
    code = job.view_code()
    if not webbrowser.open(code.url):
        tell(f"No browser starts here. Open this in one within {code.expires_s:.0f} s; it works once:")
        out(code.url)
    return 0
