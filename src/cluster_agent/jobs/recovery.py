"""What an agent that is started finds, and what follows from it. The decision is pure.

::

    log has `ended`                              -> project it: the log is the truth
    no start was intended                        -> it waits, as before
    `started`, supervisor lives                  -> adopt
    `started`, supervisor gone                   -> lost: nobody saw how it ended
    start intended before a reboot, no `started` -> lost: the line may have been on its way to the disk
    start intended, log locked, no `started` yet -> adopt later: a supervisor is on its way
    start intended, log free, no `started`       -> close the nonce and queue again: it never ran
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Finding(enum.Enum):
    """What to do with a job that was active when the last agent went away."""

    PROJECT = "project"
    WAIT = "wait"
    ADOPT = "adopt"
    LOSE = "lose"
    LOOK_AGAIN = "look again"
    QUEUE_AGAIN = "queue again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What is known of such a job."""

    #: its log holds `ended`
    ended: bool
    #: its log holds `started`, or the database knows that it did
    started: bool
    #: the database holds the intent to start it
    intended: bool
    #: the supervisor that `started` names lives
    alive: bool
    #: another process holds the log's lock
    locked: bool
    #: the machine went down after the start was intended
    rebooted: bool = False


def decide(facts: Facts) -> Finding:
    """What follows from the facts, as the table above says."""
    if facts.ended and not facts.locked:
        return Finding.PROJECT
    if facts.started:
        if facts.alive:
            return Finding.ADOPT
        return Finding.LOOK_AGAIN if facts.locked else Finding.LOSE
    if not facts.intended:
        return Finding.WAIT
    if facts.rebooted and not facts.locked:
        return Finding.LOSE
    return Finding.LOOK_AGAIN if facts.locked else Finding.QUEUE_AGAIN
