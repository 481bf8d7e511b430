"""The commands of ``mlmagics`` that show a job's log as it comes: ``run``, ``resubmit`` and ``logs``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cluster_agent.protocol import ACTIVE, DONE, State
from mlmagics import api
from mlmagics.cli.cluster_commands import SEEN
from mlmagics.cli.job_commands import open_in_browser
from mlmagics.cli.lines import out, tell
from mlmagics.cli.terminal import follow, tell_files, write_events
from mlmagics.cluster.session import current
from mlmagics.display.live import ended_line
from mlmagics.display.watch import StoppedWatching
from mlmagics.errors import BadValue
from mlmagics.job.handle import Job
from mlmagics.job.submitting import prepare, sending
from mlmagics.magics.again import resubmit_parser, sent_again
from mlmagics.magics.cells import resources_line, submitted_word
from mlmagics.magics.config import defaults_of
from mlmagics.magics.logs import last_lines, save
from mlmagics.magics.options import CellOptions, add_job_options, add_once_options, chosen, options_of
from mlmagics.magics.words import LineParser
from mlmagics.preflight.syntax import check_source, newer_python


def run(given: Sequence[str]) -> int:
    """``mlmagics run FILE``: a file as a job, its output as it comes."""
    parser = LineParser(
        "mlmagics run",
        "Run FILE as a job, as if it were a cell; - reads standard input.",
        hint="what FILE shall know goes by --env KEY=VALUE",
        examples=(
            "mlmagics run train.py --on gpu-box --gpus 2 --timeout 8h",
            "mlmagics run train.py --no-wait",
        ),
    )
    parser.add_argument("file", metavar="FILE", help="Python, IPython syntax allowed; - for standard input")
    parser.add_argument("--on", metavar="NAME", help="cluster; needed when several are attached")
    add_job_options(parser)
    add_once_options(parser)
    found = parser.read(given)
    session = current()
    cluster = session.choose(found.on)
    options = options_of(parser, given, os.environ, SEEN, defaults_of(cluster))
    source = _source(found.file)
    syntax = options.check and not newer_python(
        session.attachment(cluster).python_version, sys.version_info[:2]
    )
    check_source(source, syntax=syntax, what="standard input" if found.file == "-" else found.file)
    name = options.name or ("" if found.file == "-" else Path(found.file).name[:100])
    with sending():
        job = prepare(source, cluster, replace(options.asked, name=name), check=options.check).send()
    return _show(job, options)


def resubmit(given: Sequence[str]) -> int:
    """``mlmagics resubmit JOB``: its cell once more, as a new job."""
    parser = resubmit_parser("mlmagics resubmit")
    found = parser.read(given)
    old = api.find(found.job)
    with sending():
        job, options = sent_again(old, found, chosen(found, os.environ, SEEN))
    tell(f"The cell of {old.ref} again")
    return _show(job, options)


def _show(job: Job, options: CellOptions) -> int:
    tell(f"Job {job.ref}: {submitted_word(job)}")
    tell(f"History URL: {job.history_url}")
    tell(resources_line(job, options))
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
    parser = LineParser(
        "mlmagics logs",
        "Show the whole log of a job and follow it to its end.",
        examples=("mlmagics logs gpu-box/42", "mlmagics logs gpu-box/42 --save out.txt"),
    )
    add = parser.add_argument
    add("job", nargs="?", metavar="JOB", help="gpu-box/42; without it the last one")
    add("--url", metavar="U", help="the job of this history URL")
    add("-n", "--tail", type=_lines, metavar="N", help="only the last N lines, then what follows")
    add("-f", "--follow", action="store_true", help="follow it to its end, as is done anyway")
    add("--no-follow", action="store_true", help="come back with what is there")
    add("--save", metavar="F", help="write what is there to the file F instead")
    add("--open", action="store_true", help="open the job's page in a browser instead")
    found = parser.read(given)
    job = api.find(found.job, found.url)
    if found.open:
        return open_in_browser(job)
    if found.save is not None:
        tell(save(job, Path(found.save)))
        return 0
    name = f" {job.info.name}" if job.info.name else ""
    tell(f"Job Status: {job.word}")
    tell(
        f"{job.ref}{name}, submitted {time.strftime('%d %b %H:%M:%S', time.localtime(job.info.submitted_at))}"
    )
    was_active = job.info.state in ACTIVE
    if _write_log(job, tail=found.tail, follow=not found.no_follow) and was_active:
        tell(ended_line(job))
    if job.info.state in DONE - {State.SUCCEEDED}:
        tell(job.ending())
    return 0


def _write_log(job: Job, *, tail: int | None, follow: bool) -> bool:
    """Whether the log was followed to its end."""
    after = "0"
    if tail is not None:
        events = [event for event in job.events(tail=4 * tail + 100, follow=False) if event.seq is not None]
        tell_files(job, write_events(last_lines(events, tail)))
        after = f"{job.info.log_tag}.{events[-1].seq}" if events else "0"
        follow = follow and not (events and events[-1].type == "ended")
    elif not follow:
        tell_files(job, write_events(job.events(follow=False)))
    return follow and _watch(job, after=after)


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
