"""A job's log in a terminal or a pipe: its own output on its own streams, what we say about it on stderr."""

from __future__ import annotations

import base64
import os
import sys
import time
from collections.abc import Iterable, Mapping
from typing import TextIO

from cluster_agent.protocol import Event
from cluster_agent.units import format_size
from mlmagics.cli.lines import tell, write_error
from mlmagics.display.escapes import Cleaner, one_line, plain, shown_text
from mlmagics.display.holes import hole
from mlmagics.job.feed import Feed
from mlmagics.job.handle import Job, event_text

_LOOK_S = 0.2
#: Trouble shorter than this is not worth a line.
_TROUBLE_S = 5.0


def write_events(events: Iterable[Event], cleaners: dict[str, Cleaner] | None = None) -> dict[str, int]:
    """Write what ``events`` add to their job's log; the sizes of the files that it left, by their paths.

    ``cleaners`` keep, from call to call, escape sequences of which the rest has not come yet.
    """
    sizes: dict[str, int] = {}
    cleaners = {} if cleaners is None else cleaners
    for event in events:
        if event.type == "output":
            _write_output(event, cleaners)
        elif event.type == "display":
            shown = event_text(event)
            sys.stdout.write(shown_text(shown) if colours_wanted(sys.stdout) else plain(shown))
            sys.stdout.flush()
        elif event.type == "error":
            text = event_text(event)
            write_error((shown_text(text) if colours_wanted(sys.stderr) else plain(text)).rstrip("\n"))
        elif (said := hole(event)) is not None:
            tell(f"... {said}")
        elif event.type == "dropped":
            tell(f"... {one_line(event.message or '') or _beyond(event)}")
        elif event.type == "file":
            sizes[event.path or ""] = event.size or 0
    return sizes


def _beyond(event: Event) -> str:
    return f"{format_size(event.count or 0)} of {event.stream} are in no log"


def _write_output(event: Event, cleaners: dict[str, Cleaner]) -> None:
    """A job may not steer a terminal, and a file is for text; only bytes that are no text go there as they are."""
    out = sys.stderr if event.stream == "stderr" else sys.stdout
    if event.base64 is not None and not out.isatty():
        data = base64.b64decode(event.base64)
    else:
        name = event.stream or "stdout"
        cleaner = cleaners.setdefault(name, Cleaner(colours=colours_wanted(out)))
        data = cleaner.feed(event_text(event)).encode("utf-8", "replace")
    out.flush()
    out.buffer.write(data)
    out.buffer.flush()


def follow(job: Job, *, after: str = "0", seconds: float = float("inf")) -> bool:
    """Whether ``job`` ended within ``seconds``; its log is written as it comes."""
    deadline = time.monotonic() + seconds
    troubled_at, told = None, False
    sizes: dict[str, int] = {}
    cleaners: dict[str, Cleaner] = {}
    with Feed(job, after) as feed:
        while not feed.done and time.monotonic() < deadline:
            event = feed.get(min(_LOOK_S, max(0.0, deadline - time.monotonic())))
            if event is not None:
                sizes.update(write_events([event], cleaners))
            if feed.trouble is None:
                troubled_at, told = None, False
            elif not told:
                troubled_at = troubled_at or time.monotonic()
                if time.monotonic() - troubled_at > _TROUBLE_S:
                    tell(
                        f"No contact with {job.cluster} ({feed.trouble}); the job is not affected, trying again"
                    )
                    told = True
        if feed.error:
            raise feed.error
        tell_files(job, sizes)
        return feed.done


def tell_files(job: Job, sizes: Mapping[str, int]) -> None:
    """Say what ``job`` left in its working folder, by path and size, and how to get it."""
    if sizes:
        count = "1 file" if len(sizes) == 1 else f"{len(sizes)} files"
        tell(f"{count}, {format_size(sum(sizes.values()))}: mlmagics fetch {job.ref} --files")


def colours_wanted(out: TextIO) -> bool:
    """Whether ``out`` is a terminal whose owner has not asked for plain text."""
    return out.isatty() and not os.environ.get("NO_COLOR")
