"""How a job is made to end, as a pure state machine: now and two facts in, the next signal out.

::

    NONE --begin--> INTERRUPT --grace--> TERMINATE --10 s--> KILL (repeated) --10 s--> GIVEN_UP
      '--the runner has exited, children are left: 0.2 s-----^   5 s then
      '--it takes more than its share: KILL at once
"""

from __future__ import annotations

import enum
import math
import signal
from dataclasses import dataclass, replace

#: A cancel waits this long at most between interrupt and TERM, whatever the job's own grace.
CANCEL_GRACE_S = 10.0
TERM_S = 10.0
#: Children that outlive the runner may finish by themselves this long, and have this long after TERM.
LINGER_S = 0.2
LEFTOVER_TERM_S = 5.0
#: A tree that forks faster than it is listed is killed again and again, until this long after the first time.
KILL_AGAIN_S = 0.2
KILL_S = 10.0


class Stage(enum.IntEnum):
    """How far the stopping of a job has come."""

    NONE = 0
    INTERRUPT = 1
    TERMINATE = 2
    KILL = 3
    GIVEN_UP = 4


@dataclass(frozen=True, slots=True)
class Act:
    """A signal that is to be sent now."""

    signal: signal.Signals
    #: to the runner's process group, as Ctrl-C would; else to every process of the tree
    to_group: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """Where the stopping of a job stands. Times are monotonic seconds."""

    stage: Stage = Stage.NONE
    #: when the next step is due
    until: float = math.inf
    #: when nothing more is tried
    give_up_at: float = math.inf


def begin(stop: Stop, now: float, grace_s: float) -> tuple[Stop, Act | None]:
    """Start stopping, or shorten the grace of a stop that has begun."""
    if stop.stage is Stage.NONE:
        return Stop(Stage.INTERRUPT, now + grace_s), Act(signal.SIGINT, to_group=True)
    if stop.stage is Stage.INTERRUPT:
        return replace(stop, until=min(stop.until, now + grace_s)), None
    return stop, None


def kill(now: float) -> tuple[Stop, Act]:
    """Stop at once a job that harms others as long as it lives."""
    return Stop(Stage.KILL, now + KILL_AGAIN_S, now + KILL_S), Act(signal.SIGKILL)


def advance(stop: Stop, now: float, *, runner_alive: bool, tree_alive: bool) -> tuple[Stop, Act | None]:
    """The stop as it stands at ``now``, and the signal that is due."""
    if not tree_alive:
        return replace(stop, until=math.inf), None
    if not runner_alive:
        left_s = LINGER_S if stop.stage < Stage.TERMINATE else LEFTOVER_TERM_S
        stop = replace(stop, until=min(stop.until, now + left_s))
    if now < stop.until:
        return stop, None
    if stop.stage < Stage.TERMINATE:
        term_s = TERM_S if runner_alive else LEFTOVER_TERM_S
        return Stop(Stage.TERMINATE, now + term_s), Act(signal.SIGTERM)
    if stop.stage is Stage.TERMINATE:
        return kill(now)
    if stop.stage is Stage.KILL and now < stop.give_up_at:
        return replace(stop, until=now + KILL_AGAIN_S), Act(signal.SIGKILL)
    return Stop(Stage.GIVEN_UP), None
