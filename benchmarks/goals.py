"""What each figure should be, and what stands in the way where it is not: the one is decided, the other filled by hand."""

from __future__ import annotations

from benchmarks.figures import Figure, Goal

_START = (
    "Until the job is accepted it is as with a warm start, see *Where the time goes*. Then come a fork, an interpreter's own start,"
    " which is all that `python -c` does, and the job's side, which it imports: 3 to 6 ms of processor time."
)
_WARM_START = (
    "Half of it passes until the job is kept (HTTP, its folder and record synced to the disk), see *Where the time goes*; then come"
    " the hand-over to a supervisor, from there to the interpreter, and the way of the line. Each takes between a half and 2 ms, and"
    " client, agent, supervisor and interpreter take turns on two cores."
)
_BATCH = (
    "A job is a record in three commits, a supervisor of its own and an interpreter with the job's side; *Where the time goes* has"
    " who works how much. Only interpreters that are forked would save much of it, and these share their hash seed and are no"
    " children of the supervisor with which they are to die."
)
_HASH = (
    "The value is hashed on both sides (SHA-256, 1 to 2 GB/s), here before it is sent: its name is its hash."
)
_DISK = (
    "A result is on the box's disk before the job has ended, and hashed on both sides (SHA-256, 1 to 2 GB/s); alone, the disk of"
    " the machine that this was written on takes 0.4 GB/s."
)
_CROWD = (
    "Clients, agent and jobs share two cores here. A submit takes some ten steps of the agent, and before each a few followers have"
    " their turn; it takes longest at the beginning, when a thousand connections come at once."
)
_IMPORTS = (
    "Nearly all of it are imports, so that it is as long as the machine is slow at these: 144 ms in an hour in which `python -c`"
    " took 10 ms."
)
_CROWD_SPEED = "Each submit meanwhile is a job too, which has its share of the two cores."

#: by row, and by what the figure's name holds; the first that fits counts
_GOALS: tuple[tuple[str, str, Goal], ...] = (
    ("P1", "", Goal(text="ratio at most 0.6", limit=0.6, obstacle=_WARM_START)),
    ("P1c", "", Goal(text="ratio at most 1.5", limit=1.5, obstacle=_START)),
    ("P2", "", Goal(text="ratio at most 0.02", limit=0.02, obstacle="")),
    ("P3", "", Goal(text="ratio at least 0.65, none lost", limit=0.65, at_least=True, obstacle="")),
    ("P4", ", flushed, p50", Goal(text="1 ms", limit=1, of_value=True, obstacle="")),
    ("P4", ", flushed, p99", Goal(text="5 ms", limit=5, of_value=True, obstacle="")),
    ("P4", "not flushed, p50", Goal(text="5 ms", limit=5, of_value=True, obstacle="")),
    ("P4", "adaptive flush", Goal(text="ratio at least 0.6", limit=0.6, at_least=True, obstacle="")),
    ("P5", "", Goal(text="ratio at most 1.3", limit=1.3, obstacle=_BATCH)),
    ("P6", "there, HTTP", Goal(text="0.7 GB/s", limit=0.7, of_value=True, at_least=True, obstacle=_HASH)),
    ("P6", "back, HTTP", Goal(text="1.2 GB/s", limit=1.2, of_value=True, at_least=True, obstacle=_DISK)),
    ("P6", "same machine", Goal(text="speed of a file", limit=1, at_least=True, obstacle=_HASH)),
    ("P7", "", Goal(text="ratio at most 1.02", limit=1.02, obstacle="")),
    ("P8", "ready", Goal(text="1 s", limit=1, of_value=True, obstacle="")),
    ("P8", "agent's memory", Goal(text="60 MB", limit=60, of_value=True, obstacle="")),
    ("P8", "idle", Goal(text="0.2 %", limit=0.2, of_value=True, obstacle="")),
    (
        "P8",
        "private memory",
        Goal(
            text="80 MB",
            limit=80,
            of_value=True,
            obstacle="A plain process that has imported the same takes as much, see the ratio.",
        ),
    ),
    (
        "P9",
        "all together",
        Goal(text="500 MB/s", limit=500, of_value=True, at_least=True, obstacle=_CROWD_SPEED),
    ),
    ("P9", "submit", Goal(text="100 ms", limit=100, of_value=True, obstacle=_CROWD)),
    ("P9", "memory", Goal(text="200 MB", limit=200, of_value=True, obstacle="")),
    ("P10", "", Goal(text="ratio at most 1.2", limit=1.2, obstacle="")),
    ("notebook", "%load_ext", Goal(text="150 ms", limit=150, of_value=True, obstacle=_IMPORTS)),
    ("notebook", "kernel's work", Goal(text="ratio at most 1.2", limit=1.2, obstacle="")),
)


def goal_of(figure: Figure) -> Goal | None:
    """What ``figure`` should be; None where nothing was asked."""
    return next((goal for row, part, goal in _GOALS if row == figure.row and part in figure.name), None)
