"""The table of the line magics: what reads the line of each, and what it does. Registration and completion read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlmagics.magics import again, commands, fetching, listing, logs
from mlmagics.magics.words import LineParser


@dataclass(frozen=True, slots=True)
class Verb:
    """One line magic."""

    parser: Callable[[], LineParser]
    #: gets the shell and the line
    run: Callable[[Any, str], None]


LINE_MAGICS: dict[str, Verb] = {
    "logs": Verb(logs.logs_parser, logs.show_logs),
    "wait": Verb(commands.wait_parser, lambda _shell, line: commands.wait_for(line)),
    "jobs": Verb(listing.jobs_parser, listing.list_jobs),
    "cancel": Verb(commands.cancel_parser, lambda _shell, line: commands.cancel_jobs(line)),
    "extend": Verb(commands.extend_parser, lambda _shell, line: commands.extend_job(line)),
    "fetch": Verb(fetching.fetch_parser, fetching.fetch),
    "resubmit": Verb(again.resubmit_parser, again.resubmit),
}
