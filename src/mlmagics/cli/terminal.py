"""A job's log in a terminal or a pipe: its own output as it is, what we say about it on stderr."""

from __future__ import annotations

import base64
import os
import sys
import time
from collections.abc import Iterable

from cluster_agent.protocol import Event
from mlmagics.display.lines import plain
from mlmagics.job.feed import Feed
from mlmagics.job.handle import Job, event_text

_LOOK_S = 0.2
#: Trouble shorter than this is not worth a line.
_TROUBLE_S = 5.0


def out(line: str) -> None:
    """One line of a command's result on stdout."""
    sys.stdout.write(f"{line}\n")


def tell(line: str) -> None:
    """One line of ours on stderr."""
    sys.stdout.flush()
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def write_events(events: Iterable[Event]) -> None:
    """Write what ``events`` add to their job's log."""
    for event in events:
        if event.type == "output":
            stream = sys.stderr if event.stream == "stderr" else sys.stdout
            data = base64.b64decode(event.base64) if event.base64 is not None else (event.text or "").encode()
            stream.flush()
            stream.buffer.write(data)
            stream.buffer.flush()
        elif event.type == "display":
            sys.stdout.write(event_text(event))
            sys.stdout.flush()
        elif event.type == "error":
            text = event_text(event)
            tell((text if colours_wanted() else plain(text)).rstrip("\n"))


def follow(job: Job, *, after: str = "0", seconds: float = float("inf")) -> bool:
    """Whether ``job`` ended within ``seconds``; its log is written as it comes."""
    deadline = time.monotonic() + seconds
    troubled_at, told = None, False
    with Feed(job, after) as feed:
        while not feed.done and time.monotonic() < deadline:
            event = feed.get(min(_LOOK_S, max(0.0, deadline - time.monotonic())))
            if event is not None:
                write_events([event])
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
        return feed.done


def colours_wanted() -> bool:
    """Whether stderr is a terminal whose owner has not asked for plain text."""
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ
