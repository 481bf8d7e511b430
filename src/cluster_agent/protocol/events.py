"""An event log: its lines, and where a reader stands in it."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from cluster_agent.protocol.states import State

Stream = Literal["stdout", "stderr"]


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


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of an event log, or an unstored line of a stream (``seq`` is None).

    One wide record; which fields an event has goes by its ``type``. Types and fields that are not known here
    are ignored, so that an older reader can follow a newer agent.

    ========== ==========================================================================================
    type       fields beside ``seq at t``
    ========== ==========================================================================================
    preparing  ``message``
    started    ``pid pid_started boot_id monotonic nonce confinement isolation``, ``environment`` where one was
               made for it;
               ``tag`` and ``version`` when it is the first line
    output     ``stream`` and ``text``, or ``base64`` where the bytes are not UTF-8
    display    ``data metadata display_id update result``; ``blobs`` (MIME type -> sha256) where data is big
    clear      ``wait``
    error      ``ename evalue traceback`` (lines, coloured); ``name`` of a NameError, ``path`` of an OSError
    metric     ``values step``
    sample     ``values`` (measured by the supervisor): ``cpus memory_bytes gpus``
    result     ``name format kind size sha256``: a variable that was kept, with its ``text`` when that is short JSON;
               or ``name kind size reason``: why not
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
    #: seconds on the machine's own monotonic clock
    monotonic: float | None = None
    nonce: str | None = None
    confinement: dict[str, str] | None = None
    isolation: list[str] | None = None
    environment: str | None = None
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


decode_event = msgspec.json.Decoder(Event).decode
