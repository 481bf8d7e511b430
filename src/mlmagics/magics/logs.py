"""``%logs``: a job's whole log in a cell, followed to its end, whatever its end is."""

from __future__ import annotations

import argparse
import base64
import os
import tempfile
import time
import webbrowser
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from cluster_agent.protocol import DONE, Cursor, Event, State
from cluster_agent.units import format_size
from mlmagics.cluster.names import LOCAL
from mlmagics.cluster.session import current, told
from mlmagics.display.card import charts_bundle
from mlmagics.display.drawing import Drawing
from mlmagics.display.escapes import one_line
from mlmagics.display.live import told_end
from mlmagics.display.place import Place, place_of
from mlmagics.display.tables import day_and_time
from mlmagics.display.telling import results_lines
from mlmagics.display.view import View
from mlmagics.display.watch import Watch, files_line, stoppable
from mlmagics.display.writing import Canvas
from mlmagics.errors import UserError
from mlmagics.job.feed import Feed
from mlmagics.job.handle import Job, event_text
from mlmagics.job.references import find
from mlmagics.magics.words import LineParser, WrongUse


@lru_cache
def logs_parser() -> LineParser:
    """The options of ``%logs``."""
    parser = LineParser(
        "%logs",
        "Show the whole log of a job, plots included, and follow it to its end.",
        examples=("%logs gpu-box/42", "%logs gpu-box/42 -n 20", "%logs gpu-box/42 --save out.txt"),
    )
    add = parser.add_argument
    add("job", nargs="?", metavar="JOB", help="gpu-box/42; without it the last one")
    add("--url", metavar="U", help="the job of this history URL")
    add("-n", "--tail", type=_lines, metavar="N", help="only the last N lines")
    add("-f", "--follow", action="store_true", help="follow it to its end, as is done anyway")
    add("--no-follow", action="store_true", help="come back with what is there")
    add("--save", metavar="F", help="write what is there to the file F instead")
    add("--open", action="store_true", help="open the job's page in a browser instead")
    return parser


def show_logs(shell: Any, line: str) -> None:
    """What the magic ``%logs`` does. Raises only when there is no log to show, or when interrupted."""
    options = logs_parser().read(line)
    if options.job is not None and options.url is not None:
        raise WrongUse("%logs: give a JOB or --url, not both")
    try:
        job = find(options.job, options.url)
    except KeyboardInterrupt:
        raise UserError("interrupted before there was anything to show; no job is affected") from None
    with stoppable(job.ref, job):
        _show(shell, job, options)


def _show(shell: Any, job: Job, options: argparse.Namespace) -> None:
    place = place_of(shell)
    if options.open:
        open_page(shell, job, place)
        return
    canvas = Canvas(shell, place, job.blob, foreign=is_foreign(job))
    canvas.heading(f"Job Status: {job.word}")
    if options.job is None:
        name = f" {one_line(job.info.name)}" if job.info.name else ""
        canvas.heading(f"{job.ref}{name}, submitted {day_and_time(job.info.submitted_at, time.time())}")
    if options.save is not None:
        canvas.line(save(job, Path(options.save)))
        return
    was_done = job.info.state in DONE
    view = _draw(job, canvas, tail=options.tail, follow=not options.no_follow)
    if view.done:
        # of a part of the log there would be a part of the metrics
        charts = charts_bundle(view) if options.tail is None else None
        if charts:
            canvas.own(charts)
        _show_end(job, view, canvas, above=was_done)


def _show_end(job: Job, view: View, canvas: Canvas, *, above: bool) -> None:
    """What an ended job left behind, and how it ended, if that does not stand ``above``."""
    for line in (files_line(view, job.ref), *results_lines(view, job.ref)):
        if line:
            canvas.line(line)
    ended = told_end(job)
    if not above:
        canvas.line(ended)
    if view.state is not State.SUCCEEDED:
        canvas.line(job.ending(view.error))


def _draw(job: Job, canvas: Canvas, *, tail: int | None, follow: bool) -> View:
    view = View(job.info.state)
    view.position, view.waiting_for = job.info.position, job.info.waiting_for
    view.starts_by = job.info.starts_by
    after = "0"
    if tail is not None:
        events = last_part(job, tail)
        after = _cursor(events, job.info.log_tag)
        for event in last_lines(events, tail):
            view.feed(event)
    elif not follow and job.info.state not in DONE:
        for event in job.events(follow=False):
            view.feed(event)
    if view.done or (not follow and (tail is not None or job.info.state not in DONE)):
        view.close()
        Drawing(canvas, view, job.ref, raises=False).all()
        return view
    with Feed(job, after) as feed:
        Watch(job, canvas, feed, view, raises=False).to_the_end()
    return view


def last_part(job: Job, lines: int) -> list[Event]:
    """The end of the job's log with at least its last ``lines`` lines of text, or all of it."""
    # a line may have come in several pieces, and not every event is text
    count = 2 * lines + 100
    while True:
        events = list(job.events(tail=count, follow=False))
        whole = len(events) < count or events[0].seq == 1
        if whole or sum(event_text(event).count("\n") for event in events if event.type == "output") > lines:
            return events
        count *= 4


def last_lines(events: Sequence[Event], count: int) -> list[Event]:
    """The end of ``events`` that holds the last ``count`` lines of text, and all that comes with them."""
    kept: list[Event] = []
    newlines: int | None = None
    for event in reversed(events):
        if event.type == "output":
            text = event_text(event)
            if newlines is None:
                # the newline at the very end ends a line, each one before it begins another
                newlines = count + text.endswith("\n")
            here = text.count("\n")
            if here >= newlines:
                rest = "\n".join(text.rsplit("\n", newlines)[1:])
                kept.append(msgspec.structs.replace(event, text=rest, base64=None))
                break
            newlines -= here
        kept.append(event)
    return kept[::-1]


def save(job: Job, path: Path) -> str:
    """Write all text of ``job`` so far to ``path``, bytes as the job wrote them; tells what was written."""
    path = path.expanduser()
    if path.is_dir():
        raise WrongUse(f"--save: {path} is a folder: name a file")
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent or ".", prefix=f".{path.name[:100]}.")
        new, size = Path(name), 0
        try:
            with os.fdopen(descriptor, "wb") as file:
                for piece in _bytes(job.events(follow=False)):
                    size += file.write(piece)
            new.chmod(0o644)
            new.replace(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from None
    return f"{format_size(size)} written to {path}"


def _bytes(events: Iterable[Event]) -> Iterable[bytes]:
    for event in events:
        if event.type == "output" and event.base64 is not None:
            yield base64.b64decode(event.base64)
        else:
            yield event_text(event).encode()


def open_page(shell: Any, job: Job, place: Place) -> None:
    """Open the job's page with a code that works once and for a minute."""
    code = job.view_code()
    if place is not Place.NOTEBOOK and webbrowser.open(code.url):
        return
    # The kernel may be on another machine than the browser; the code is worthless once used or after a minute.
    shell.display_pub.publish(
        {
            "text/plain": f"Open within {code.expires_s:.0f} s, once: {code.url}",
            "text/html": f'<a href="{code.url}" target="_blank" rel="noopener noreferrer">Open {job.ref}</a> '
            f"(within {code.expires_s:.0f} s, once)",
        }
    )


def is_foreign(job: Job) -> bool:
    """Whether ``job`` is somebody else's."""
    if job.cluster == LOCAL:
        return False
    with told(job.cluster):
        return current().client(job.cluster).info().user != job.info.user


def _cursor(events: Sequence[Event], tag: str) -> str:
    last = max((event.seq or 0 for event in events), default=0)
    return str(Cursor(tag=tag, seq=last))


def _lines(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of lines above zero")
    return int(text)
