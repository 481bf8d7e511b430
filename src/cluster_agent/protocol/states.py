"""What a job did so far, how that is called, and how its states are named in a filter."""

from __future__ import annotations

import enum


class State(str, enum.Enum):
    """What a job did so far. Wire form is the value, people see :data:`WORDS`."""

    #: accepted and on disk, waiting for its turn
    QUEUED = "queued"
    #: its turn has come; environment and inputs are being made ready
    PREPARING = "preparing"
    #: its processes run
    RUNNING = "running"
    #: ended with exit code 0
    SUCCEEDED = "succeeded"
    #: ended by itself in any other way
    FAILED = "failed"
    #: ended because somebody asked
    CANCELLED = "cancelled"
    #: ended because its time was up
    TIMED_OUT = "timed_out"
    #: nobody can say how it ended; never run again by itself
    LOST = "lost"


WORDS: dict[State, str] = {
    State.QUEUED: "Queued",
    State.PREPARING: "Preparing",
    State.RUNNING: "Running",
    State.SUCCEEDED: "Finished",
    State.FAILED: "Failed",
    State.CANCELLED: "Cancelled",
    State.TIMED_OUT: "Timed out",
    State.LOST: "Lost",
}
ACTIVE = frozenset({State.QUEUED, State.PREPARING, State.RUNNING})
DONE = frozenset(State) - ACTIVE


def word(state: State, *, stopping: bool = False) -> str:
    """The word that people see for ``state``; ``Stopping`` while a cancel is under way."""
    return "Stopping" if stopping and state in ACTIVE else WORDS[state]


def parse_states(text: str) -> frozenset[State]:
    """States named in ``text``: comma-separated wire values or words in any case, ``active``, ``done``.

    Raises
    ------
    ValueError
        When a name is none of these.
    """
    names = {"active": ACTIVE, "done": DONE}
    for state, shown in WORDS.items():
        names[state.value] = names[shown.lower()] = frozenset({state})
    found: frozenset[State] = frozenset()
    for part in text.split(","):
        key = part.strip().lower()
        if key not in names:
            raise ValueError(f"{part.strip()!r} is not a state: choose from {', '.join(sorted(names))}")
        found |= names[key]
    return found
