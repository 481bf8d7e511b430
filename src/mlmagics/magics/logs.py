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

from cluster_agent.protocol import DONE, Cursor, Event
from cluster_agent.units import format_size
from mlmagics.cluster.names import LOCAL
from mlmagics.cluster.session import current, told
from mlmagics.display.live import ended_line
from mlmagics.display.place import Place, place_of
from mlmagics.display.tables import day_and_time
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
    parser = LineParser("%logs", "Show the whole log of a job, plots included, and follow it to its end.")
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
    job = find(options.job, options.url)
    place = place_of(shell)
    if options.open:
        open_page(shell, job, place)
        return
    canvas = Canvas(shell, place, job.blob, foreign=is_foreign(job))
    canvas.heading(f"Job Status: {job.word}")
    if options.job is None:
        name = f" {job.info.name}" if job.info.name else ""
        canvas.heading(f"{job.ref}{name}, submitted {day_and_time(job.info.submitted_at, time.time())}")
    if options.save is not None:
        canvas.line(save(job, Path(options.save)))
        return
    with stoppable(job.ref):
        _show(job, canvas, tail=options.tail, follow=not options.no_follow)


def _show(job: Job, canvas: Canvas, *, tail: int | None, follow: bool) -> None:
    view = View(job.info.state)
    view.position, view.waiting_for = job.info.position, job.info.waiting_for
    was_done = job.info.state in DONE
    after = "0"
    if tail is not None or not follow:
        # a line may have come in several pieces, and not every event is text
        events = list(job.events(tail=None if tail is None else 4 * tail + 100, follow=False))
        after = _cursor(events, job.info.log_tag)
        for event in events if tail is None else last_lines(events, tail):
            view.feed(event)
    with Feed(job, after) as feed:
        watch = Watch(job, canvas, feed, view, raises=False)
        if follow:
            watch.to_the_end()
        else:
            view.close()
            watch.show()
    if view.done:
        left = files_line(view, job.ref)
        if left:
            canvas.line(left)
        if not was_done:
            canvas.line(ended_line(job))


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
