"""A job: what it needs, how it is told, and what it keeps."""

from __future__ import annotations

from typing import Literal

import msgspec

from cluster_agent.protocol.inputs import FileInput, SourceInput, ValueInput
from cluster_agent.protocol.states import State

Priority = Literal["low", "normal", "high"]
PRIORITIES: tuple[Priority, ...] = ("low", "normal", "high")


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
    #: requirements, as in ``pyproject.toml``, that it needs beside what its Python has
    packages: list[str] = []
    #: an interpreter that ops have given this name, in place of the agent's default
    runtime: str = ""
    #: text of a lock, as a job before this one has left it: exactly these packages are used
    lock: str = ""
    #: opaque id of the notebook that submitted, so that it can find its own jobs again
    notebook: str = ""
    #: what people call the cluster on the submitting side; shown in the job's messages
    cluster: str = ""
    #: the job that this one repeats
    retry_of: int | None = None
    #: names of the cell's variables that are kept as results when it succeeds
    fetch: list[str] = []
    #: variables that are set before the first line: name to a Python literal, as text
    params: dict[str, str] = {}
    #: definitions that run before the cell, in this order
    sources: list[SourceInput] = []
    #: modules that it can import
    files: list[FileInput] = []
    #: variables that it finds with their values
    values: list[ValueInput] = []
    #: answer with a job that does the same and has succeeded, or has not ended, where there is one
    once: bool = False


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
    #: variables that were set before its first line: name to a Python literal, as text
    params: dict[str, str] = {}
    #: requirements that it was given beside what its Python has
    packages: list[str] = []
    #: the interpreter that it asked for by name
    runtime: str = ""
    #: what it runs in: a runtime, or a short hash of what was installed for it; empty: the agent's default Python
    environment: str = ""
    #: what kept it apart from other jobs, once it has started: process or user, cgroup, bwrap
    isolation: list[str] = []
    #: in the answer to a submit only: another job that does the same and has not ended; with ``once`` this one's own
    #: number when it was there before, so that nothing was started
    same_as: int | None = None
    #: the cell; only where one job is asked for, as all that follows
    source: str | None = None
    #: what travelled with it
    sources: list[SourceInput] = []
    files: list[FileInput] = []
    values: list[ValueInput] = []


class JobList(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``GET /v1/jobs``, newest first. ``next`` is to be sent back as ``after=`` for more."""

    jobs: list[Job]
    next: str | None = None


class MoveRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/jobs/{id}/move``."""

    #: to the front of the queue; false: back to where it belongs
    first: bool


class ResultEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A variable of a job: how it can be had, or the ``reason`` why it cannot.

    Beside those that a job was asked for there are small ones, which it keeps unasked.
    """

    name: str
    #: name of its Python type
    kind: str = ""
    #: of its bytes; ``pickle`` is the one whose reading may run code
    format: str = ""
    #: of what was kept; of what was not about how much it would have been, 0 where nobody knows
    size: int = 0
    sha256: str | None = None
    reason: str | None = None
    #: where its bytes lie, for the user of an agent of one's own on the same machine
    path: str | None = None


class ResultList(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``GET /v1/jobs/{id}/results``."""

    results: list[ResultEntry]


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
