"""How people are told that a job does what they have just asked for. Pure."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cluster_agent.units import format_clock

if TYPE_CHECKING:
    from mlmagics.job.handle import Job


def told_same(job: Job) -> str:
    """Which job does the same, since when, and whose it is where it is somebody else's."""
    info, now = job.info, time.time()
    if info.ended_at is not None:
        when = f"{job.word.lower()} at {format_clock(info.ended_at, now)}"
    else:
        when = f"submitted at {format_clock(info.submitted_at, now)} and not ended"
    return f"{job.ref}, {when}, does the same"
