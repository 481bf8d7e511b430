"""The commands of ``mlmagics`` about jobs. Each takes its words and gives its exit status."""

from __future__ import annotations

import argparse
import os
import sys
import time
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from cluster_agent.protocol import ACTIVE, DONE, State
from cluster_agent.units import format_duration, format_size
from mlmagics import api
from mlmagics.cli.terminal import follow, out, tell, write_events
from mlmagics.display.live import ended_line
from mlmagics.display.tables import files_table, jobs_table
from mlmagics.display.watch import StoppedWatching
from mlmagics.errors import BadValue
from mlmagics.job.handle import Job
from mlmagics.magics.cells import resources_line
from mlmagics.magics.logs import last_lines, save
from mlmagics.magics.options import add_job_options, chosen, duration
from mlmagics.magics.words import LineParser

#: What is typed here can be seen by others: in lists of processes and in the shell's history.
_SEEN = "others on this machine can see command lines"


def run(given: Sequence[str]) -> int:
    """``mlmagics run FILE``: a file as a job, its output as it comes."""
    parser = LineParser("mlmagics run", "Run FILE as a job, as if it were a cell; - reads standard input.")
    parser.add_argument("file", metavar="FILE", help="Python, IPython syntax allowed; - for standard input")
    parser.add_argument("--on", metavar="NAME", help="cluster; needed when several are attached")
    add_job_options(parser)
    found = parser.read(given)
    options = chosen(found, os.environ, _SEEN)
    job = api.submit(
        _source(found.file),
        found.on,
        name=options.name or ("" if found.file == "-" else Path(found.file).name[:100]),
        project=options.project,
        gpus=options.gpus,
        cpus=options.cpus,
        memory=options.memory_bytes,
        timeout=options.timeout_s,
        grace=options.grace_s,
        priority=options.priority,
        env=options.env,
        check=options.check,
    )
    tell(f"Job {job.ref}: {'queued' if job.info.state in ACTIVE else job.word.lower()}")
    tell(f"History URL: {job.history_url}")
    tell(resources_line(job.info, options))
    for note in job.notes:
        tell(f"Note: {note}")
    if options.wait_s == 0:
        out(job.ref)
        return 0
    if not _watch(job, seconds=float("inf") if options.wait_s is None else options.wait_s):
        tell(f"{job.ref} goes on. To see it: mlmagics logs {job.ref}   To stop it: mlmagics cancel {job.ref}")
        return 0
    if job.info.state is not State.SUCCEEDED:
        raise job.failure()
    return 0


def logs(given: Sequence[str]) -> int:
    """``mlmagics logs``: all of a job's log, whatever its end is."""
    parser = LineParser("mlmagics logs", "Show the whole log of a job and follow it to its end.")
    add = parser.add_argument
    add("job", nargs="?", metavar="JOB", help="gpu-box/42; without it the last one")
    add("--url", metavar="U", help="the job of this history URL")
    add(
        "-n",
        "--tail",
        type=_lines,
        metavar="N",
        help="only the last N lines that are there, then what follows",
    )
    add("-f", "--follow", action="store_true", help="follow it to its end, as is done anyway")
    add("--no-follow", action="store_true", help="come back with what is there")
    add("--save", metavar="F", help="write what is there to the file F instead")
    add("--open", action="store_true", help="open the job's page in a browser instead")
    found = parser.read(given)
    job = api.find(found.job, found.url)
    if found.open:
        return _open(job)
    if found.save is not None:
        tell(save(job, Path(found.save)))
        return 0
    name = f" {job.info.name}" if job.info.name else ""
    tell(f"Job Status: {job.word}")
    tell(
        f"{job.ref}{name}, submitted {time.strftime('%d %b %H:%M:%S', time.localtime(job.info.submitted_at))}"
    )
    was_active = job.info.state in ACTIVE
    if found.no_follow and found.tail is None:
        write_events(job.events(follow=False))
        return 0
    after = "0"
    if found.tail is not None:
        events = [
            event for event in job.events(tail=4 * found.tail + 100, follow=False) if event.seq is not None
        ]
        write_events(last_lines(events, found.tail))
        after = f"{job.info.log_tag}.{events[-1].seq}" if events else "0"
        if found.no_follow or (events and events[-1].type == "ended"):
            return 0
    if _watch(job, after=after) and was_active:
        tell(ended_line(job))
    return 0


def jobs(given: Sequence[str]) -> int:
    """``mlmagics jobs``: a table of jobs."""
    parser = LineParser("mlmagics jobs", "List your jobs on all clusters: the active ones and the last 20.")
    add = parser.add_argument
    add("--all", action="store_true", help="everybody's")
    add("--on", metavar="NAME", help="only of this cluster")
    add("--state", metavar="S", help="only these: running, failed, active, done, ... (commas)")
    add("--since", type=duration, metavar="D", help="submitted at most so long ago: 2h, 7d")
    add("--name", metavar="TEXT", help="only jobs of this name")
    found = parser.read(given)
    table = api.jobs(on=found.on, all_users=found.all, state=found.state, since=found.since, name=found.name)
    if table.jobs:
        out(jobs_table(table.jobs, users=found.all, now=time.time()).as_text())
    else:
        tell("No jobs." if not table.troubles else "No jobs on the clusters that answered.")
    for cluster, reason in table.troubles:
        tell(f"{cluster} is missing here: {reason}")
    return 0


def wait(given: Sequence[str]) -> int:
    """``mlmagics wait``: whole jobs; fails unless all of them succeed."""
    parser = LineParser("mlmagics wait", "Wait for jobs to end; fails unless all of them succeed.")
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
        "mlmagics cancel", "Stop jobs: interrupt, grace time, then the end of all their processes."
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
    parser = LineParser("mlmagics extend", "Give a job more time before its limit ends it.")
    parser.add_argument("job", metavar="JOB", help="gpu-box/42")
    parser.add_argument("more", type=duration, metavar="D", help="so much more: 30m, 2h")
    found = parser.read(given)
    job = api.find(found.job).extend(found.more)
    out(f"{job.ref}: at most {format_duration(job.info.timeout_s)} in all")
    return 0


def fetch(given: Sequence[str]) -> int:
    """``mlmagics fetch``: what a job left in its working folder."""
    parser = LineParser("mlmagics fetch", "List what a job left in its working folder, or copy it here.")
    parser.add_argument("job", metavar="JOB", help="gpu-box/42")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="only these files and folders")
    parser.add_argument("--files", metavar="DIR", help="copy them to DIR")
    found = parser.read(given)
    job = api.find(found.job)
    if found.files is not None:
        for path in job.fetch_files(found.files, found.paths or None):
            out(f"{format_size(path.stat().st_size):>10}  {path}")
        return 0
    left = [entry for entry in job.files() if entry.type == "file"]
    if left:
        out(files_table(left).as_text())
        tell(f"To copy them: mlmagics fetch {job.ref} --files DIR")
    else:
        tell(
            f"{job.ref} left no files in its working folder" + (" so far" if job.info.state in ACTIVE else "")
        )
    return 0


def open_page(given: Sequence[str]) -> int:
    """``mlmagics open``: a job's page in a browser, let in by a code that works once."""
    parser = LineParser("mlmagics open", "Open a job's page in a browser.")
    parser.add_argument("job", nargs="?", metavar="JOB", help="gpu-box/42; without it the last one")
    return _open(api.find(parser.read(given).job))


def _open(job: Job) -> int:
    code = job.view_code()
    if not webbrowser.open(code.url):
        tell(f"No browser starts here. Open this in one within {code.expires_s:.0f} s; it works once:")
        out(code.url)
    return 0


def _watch(job: Job, *, after: str = "0", seconds: float = float("inf")) -> bool:
    try:
        return follow(job, after=after, seconds=seconds)
    except KeyboardInterrupt:
        raise StoppedWatching(job.ref) from None


def _source(file: str) -> str:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise BadValue(f"{file} cannot be read: {error.strerror}", field="file") from None
    except UnicodeDecodeError as error:
        raise BadValue(f"{file} is not UTF-8 text (byte {error.start})", field="file") from None


def _lines(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of lines above zero")
    return int(text)
