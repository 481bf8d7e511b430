"""``%resubmit``: the cell of a job once more, as a new job, shown as the cell would be."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from functools import lru_cache
from typing import Any

from mlmagics.display.place import place_of, waiting_s
from mlmagics.job.handle import Job
from mlmagics.job.references import find
from mlmagics.job.repeating import submit_again
from mlmagics.job.submitting import sending
from mlmagics.magics.cells import show, watched_in
from mlmagics.magics.options import CELL_IS_SEEN, CellOptions, add_job_options, add_result_options, chosen
from mlmagics.magics.words import LineParser


@lru_cache
def resubmit_parser(magic: str = "%resubmit") -> LineParser:
    """The options of ``%resubmit``, and of ``mlmagics resubmit``."""
    parser = LineParser(
        magic,
        "Run the cell of a job again, as a new job. What is not said is as it was.",
        examples=(f"{magic} gpu-box/42 --memory 64G", f"{magic} gpu-box/42 --on big-box"),
    )
    parser.add_argument("job", metavar="JOB", help="gpu-box/42")
    parser.add_argument("--on", metavar="NAME", help="another cluster than before")
    add_job_options(parser)
    add_result_options(parser)
    return parser


def resubmit(shell: Any, line: str) -> None:
    """What the magic ``%resubmit`` does.

    Raises
    ------
    UserError
        When nothing was submitted, the job failed while the cell waited, or the waiting was interrupted.
    """
    found = resubmit_parser().read(line)
    options = chosen(found, os.environ, CELL_IS_SEEN)
    wait_s = waiting_s(options.wait_s, place_of(shell))
    old = find(found.job)
    with sending():
        job, options = sent_again(old, found, options)
    show(watched_in(shell), job, options, wait_s, brings=job.info.fetch, repeats=old.ref)


def sent_again(old: Job, found: argparse.Namespace, options: CellOptions) -> tuple[Job, CellOptions]:
    """The new job with the cell of ``old``, and the options that hold for it.

    ``found`` is what :func:`resubmit_parser` read, and ``options`` what was chosen in it.
    """
    asked = {
        "on": found.on,
        "name": found.name,
        "project": options.project,
        "gpus": options.gpus,
        "cpus": options.cpus,
        "memory": options.memory_bytes,
        "timeout": options.timeout_s,
        "grace": options.grace_s,
        "priority": found.priority,
        "packages": options.packages or None,
        "runtime": options.runtime,
        "env": options.env or None,
        "fetch": options.fetch,
        "send": options.send,
        "params": options.params or None,
    }
    changes = {name: value for name, value in asked.items() if value is not None}
    job = submit_again(old, {**changes, "check": options.check})
    info = job.info
    # nothing of it is the agent's choice: it was as it was, or was said here
    return job, replace(
        options, gpus=info.gpus, cpus=info.cpus, memory_bytes=info.memory_bytes, timeout_s=info.timeout_s
    )
