"""The wire, defined once: what requests, replies and event lines look like, and how states are named.

Values only: no I/O and no ids invented here. Both ends import this module; so may anybody. Times ending in
``_at`` are Unix seconds (float, UTC); durations end in ``_s``; sizes in ``_bytes``.
"""

from __future__ import annotations

import enum
import re
from typing import Any, Literal

import msgspec

#: Version of the HTTP interface; the path prefix ``/v1`` is its major part.
PROTOCOL_VERSION = 1

#: Limits that both ends know (design, rule 11).
MAX_BODY_BYTES = 8 * 2**20
MAX_SOURCE_BYTES = 2**20
MAX_LINE_BYTES = 2**20
#: A heartbeat line is sent this often on a stream that has nothing to say.
HEARTBEAT_S = 10.0
#: A client that has seen nothing for this long reconnects.
SILENCE_S = 30.0


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


class Cursor(msgspec.Struct, frozen=True):
    """Where a reader stands in a log: everything up to event ``seq`` of the log ``tag`` was seen."""

    tag: str
    seq: int

    def __str__(self) -> str:
        return f"{self.tag}.{self.seq}" if self.seq else "0"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """The cursor written as ``TAG.SEQ``, or ``0`` for the start of any log.

        Raises
        ------
        ValueError
            When ``text`` is neither.
        """
        if text == "0":
            return cls(tag="", seq=0)
        match = re.fullmatch(r"([0-9a-f]{8})\.([0-9]{1,15})", text)
        if match is None:
            raise ValueError(f"{text[:40]!r} is not a cursor: write TAG.SEQ as a log line gave it, or 0")
        return cls(tag=match[1], seq=int(match[2]))


Priority = Literal["low", "normal", "high"]
PRIORITIES: tuple[Priority, ...] = ("low", "normal", "high")
Stream = Literal["stdout", "stderr"]
Role = Literal["viewer", "user", "admin"]


class Submit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Body of ``POST /v1/jobs``: all that a job needs. The smallest is ``{"source": "print(1)"}``.

    What is left out is decided by the agent and told in the job that it answers with.
    """

    #: the cell, at most 1 MiB of UTF-8
    source: str
    name: str = ""
    project: str = "default"
    gpus: int | None = None
    cpus: int | None = None
    memory_bytes: int | None = None
    #: counted from the start of the job's process
    timeout_s: float | None = None
    #: between interrupt and TERM when the job is stopped
    grace_s: float | None = None
    priority: Priority = "normal"
    #: variables for the job's process only; they appear nowhere else, not even in the job's record
    env: dict[str, str] = {}
    #: interpreter to run in; taken by an agent of one's own (``local``) only
    python: str | None = None
    #: opaque id of the notebook that submitted, so that it can find its own jobs again
    notebook: str = ""
    #: what people call the cluster on the submitting side; shown in the job's messages
    cluster: str = ""
    #: the job that this one repeats
    retry_of: int | None = None
    #: names of the cell's variables that are kept as results when it succeeds
    fetch: list[str] = []


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job as the agent tells it. Unknown fields of newer agents are ignored."""

    job_id: int
    name: str
    user: str
    project: str
    state: State
    history_url: str
    agent_id: str
    #: tag of its event log; cursors begin with it
    log_tag: str
    submitted_at: float
    started_at: float | None = None
    ended_at: float | None = None
    gpus: int = 0
    cpus: int = 1
    memory_bytes: int = 0
    timeout_s: float = 0.0
    grace_s: float = 0.0
    priority: Priority = "normal"
    #: a cancel is under way
    stopping: bool = False
    #: place in the queue, from 1, and why it waits
    position: int | None = None
    waiting_for: str | None = None
    #: queued jobs: when it starts at the latest, if running jobs use all their time
    starts_by: float | None = None
    #: running jobs: when the time limit ends them
    deadline_at: float | None = None
    exit_code: int | None = None
    #: name such as SIGKILL when a signal ended it
    signal: str | None = None
    #: one sentence, for every end but a plain success
    reason: str | None = None
    #: False when part of the log was lost
    complete: bool | None = None
    seconds: float | None = None
    peak_memory_bytes: int | None = None
    notebook: str = ""
    #: what the one who submitted it calls the cluster
    cluster: str = ""
    retry_of: int | None = None
    #: names of the variables given by the spec; values are told to nobody
    env_names: list[str] = []
    #: names of the variables that it was asked to keep as results
    fetch: list[str] = []
    #: the cell; only where one job is asked for
    source: str | None = None


class JobList(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``GET /v1/jobs``, newest first. ``next`` is to be sent back as ``after=`` for more."""

    jobs: list[Job]
    next: str | None = None


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """Shared storage as ``/v1/info`` tells it.

    A notebook on a machine that mounts the same folder recognises it by ``marker``, the content of
    ``.mlmagics-project`` in its root, and then reads and writes it directly.
    """

    name: str
    url: str
    marker: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the box one person may have; None is no limit but the box's own."""

    #: GPUs that the person's jobs hold at once
    gpus: int | None = None
    #: jobs that run at once
    jobs: int | None = None
    #: jobs that wait
    queued: int = 200
    #: longest time limit of a job
    timeout_s: float
    #: the highest that a job may have
    priority: Priority = "normal"


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``GET /v1/info``."""

    agent_id: str
    version: str
    protocol: int
    public_url: str
    #: who the caller is
    user: str
    role: Role
    gpus: int
    gpus_free: int
    gpu_names: list[str]
    cpus: int
    cpus_free: int
    memory_bytes: int
    memory_free_bytes: int
    default_gpus: int
    default_timeout_s: float
    max_timeout_s: float
    running: int
    queued: int
    python: str
    python_version: str
    projects: list[Project]
    #: names of optional abilities that this agent has
    capabilities: list[str]
    durability: str
    #: confinement in force between jobs: ``process`` means one trust domain
    isolation: str
    #: several people have tokens, so what ``isolation`` says concerns them
    shared: bool = False
    #: whether jobs outlive a restart of the agent as it was started here
    survives_restart: bool
    local: bool = False
    #: no job is started for the time being; what is submitted waits
    draining: bool = False
    #: when that ends by itself, None when it does not; and what people are told
    drain_until: float | None = None
    drain_message: str = ""
    #: of the caller; an older agent tells none
    limits: Limits | None = None
    #: what the jobs that have ended take on disk, as far as it was measured, and what is free there
    kept_bytes: int = 0
    disk_free_bytes: int = 0
    #: one sentence when something is wrong, such as a disk that refuses
    remark: str = ""
    contact: str = ""
    uptime_s: float = 0.0


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What one user had of the box in the time of a report."""

    user: str
    #: jobs that were submitted, ran or waited in that time
    jobs: int
    #: those of them that ended other than well
    failed: int
    gpu_hours: float
    cpu_hours: float
    #: from submit to start, of those that started
    median_wait_s: float | None
    longest_wait_s: float | None
    #: what the user's ended jobs take on disk
    kept_bytes: int = 0


class UsageReport(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``GET /v1/usage``."""

    since_at: float
    until_at: float
    #: of the box in that time
    gpu_hours: float
    #: before this time jobs have been deleted, and count no longer
    complete_since_at: float | None
    #: by GPU-hours, the most first
    users: list[Usage]


class GcRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/gc``."""

    #: only tell what would be deleted
    dry_run: bool = False


class GcReport(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``POST /v1/gc``: old jobs that were deleted, or would be."""

    dry_run: bool
    deleted: int
    freed_bytes: int
    #: jobs that have ended and stay, and what they take on disk
    kept: int
    kept_bytes: int
    #: of what is deleted, the first thousand
    job_ids: list[int]


class DrainRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/drain``."""

    #: when it ends by itself, Unix seconds
    until_at: float | None = None
    #: told to those who wait
    message: str = ""


class MoveRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/jobs/{id}/move``."""

    #: to the front of the queue; false: back to where it belongs
    first: bool


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``GET /healthz``, which needs no token: tells nothing that is not for everybody."""

    status: str
    #: random, so it says nothing but which agent this is
    agent_id: str = ""


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Content of ``<home>/ready.json`` while an agent serves."""

    url: str
    socket: str
    pid: int
    version: str
    protocol: int
    agent_id: str


class TokenInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is listed; the token itself is told once, at its creation."""

    token_id: str
    user: str
    role: Role
    created_at: float
    label: str = ""
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None


class TokenCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/tokens``."""

    user: str
    role: Role = "user"
    label: str = ""
    expires_s: float | None = None


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``POST /v1/tokens``."""

    token: str
    info: TokenInfo


class ViewCode(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``POST /v1/jobs/{id}/view-code``: opens the history page once, within ``expires_s``."""

    code: str
    url: str
    expires_s: float


class ViewRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/view-token``: a one-time code."""

    code: str


class ViewToken(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``POST /v1/view-token``: reads one job, nothing else."""

    token: str
    job_id: int
    expires_s: float


class FileEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file or folder of a project, or of a job's working folder. ``path`` is relative to the root."""

    path: str
    type: Literal["file", "directory"]
    size: int = 0
    mtime: float = 0.0
    etag: str = ""
    sha256: str | None = None


class FileList(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of a GET on a folder."""

    files: list[FileEntry]


class ResultEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A variable that a job was asked to keep: how it can be had, or the ``reason`` why it cannot."""

    name: str
    #: name of its Python type
    kind: str = ""
    format: str = ""
    size: int = 0
    sha256: str | None = None
    reason: str | None = None


class ResultList(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``GET /v1/jobs/{id}/results``."""

    results: list[ResultEntry]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of an event log, or an unstored line of a stream (``seq`` is None).

    One wide record; which fields an event has goes by its ``type``. Types and fields that are not known here
    are ignored, so that an older reader can follow a newer agent.

    ========== ==========================================================================================
    type       fields beside ``seq at t``
    ========== ==========================================================================================
    preparing  ``message``
    started    ``pid pid_started boot_id nonce confinement``; ``tag`` and ``version`` when it is the first line
    output     ``stream`` and ``text``, or ``base64`` where the bytes are not UTF-8
    display    ``data metadata display_id update result``; ``blobs`` (MIME type -> sha256) where data is big
    clear      ``wait``
    error      ``ename evalue traceback`` (lines, coloured); ``name`` of a NameError, ``path`` of an OSError
    metric     ``values step``
    sample     ``values`` (measured by the supervisor): ``cpus memory_bytes gpus``
    result     ``name format kind size sha256``: a variable that was kept; or ``name kind reason``: why not
    file       ``path size sha256``: left in the job's working folder
    cancel     ``by reason``
    dropped    ``stream count``: bytes that are in no event, by the log's quota
    storage    ``message``: the disk refused to keep what was written before; some of it may be lost
    recovered  ``old_tag kept_seq``
    ended      ``state exit_code signal reason complete streams events seconds peak_memory_bytes left_behind
               left_behind_started``
    heartbeat  (no seq) ``state`` and ``message`` when there is something to say
    queue      (no seq) ``state position waiting_for starts_by``
    ========== ==========================================================================================
    """

    type: str
    seq: int | None = None
    #: wall clock, may step
    at: float = 0.0
    #: seconds on the monotonic clock since the log's first line
    t: float = 0.0
    tag: str | None = None
    version: int | None = None
    message: str | None = None
    pid: int | None = None
    pid_started: float | None = None
    boot_id: str | None = None
    nonce: str | None = None
    confinement: dict[str, str] | None = None
    stream: Stream | None = None
    text: str | None = None
    base64: str | None = None
    data: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    blobs: dict[str, str] | None = None
    display_id: str | None = None
    update: bool = False
    result: bool = False
    wait: bool = False
    ename: str | None = None
    evalue: str | None = None
    traceback: list[str] | None = None
    values: dict[str, Any] | None = None
    name: str | None = None
    format: str | None = None
    kind: str | None = None
    step: float | None = None
    path: str | None = None
    size: int | None = None
    sha256: str | None = None
    by: str | None = None
    reason: str | None = None
    count: int | None = None
    old_tag: str | None = None
    kept_seq: int | None = None
    state: State | None = None
    position: int | None = None
    waiting_for: str | None = None
    starts_by: float | None = None
    exit_code: int | None = None
    signal: str | None = None
    complete: bool | None = None
    streams: dict[str, StreamCount] | None = None
    events: dict[str, int] | None = None
    seconds: float | None = None
    peak_memory_bytes: int | None = None
    left_behind: list[int] | None = None
    left_behind_started: list[float] | None = None


class StreamCount(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream carried in all, so that a reader can prove that it has everything."""

    bytes: int
    lines: int
    sha256: str


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, inside ``{"error": ...}``."""

    code: str
    message: str
    field: str | None = None
    nearest: str | None = None


class ErrorReply(msgspec.Struct, frozen=True, kw_only=True):
    """Body of every reply from 400 up."""

    error: ErrorBody


encode = msgspec.json.Encoder().encode
decode_event = msgspec.json.Decoder(Event).decode
