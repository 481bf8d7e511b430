"""The wire, defined once: what requests, replies and event lines look like, and how states are named.

Values only: no I/O and no ids invented here. Both ends import this module; so may anybody. Times ending in
``_at`` are Unix seconds (float, UTC); durations end in ``_s``; sizes in ``_bytes``.
"""

from __future__ import annotations

import msgspec

from cluster_agent.protocol.box import (
    DrainRequest,
    GcReport,
    GcRequest,
    Health,
    Info,
    Limits,
    Project,
    Ready,
    Usage,
    UsageReport,
)
from cluster_agent.protocol.environments import (
    KeptEnvironments,
    LockRequest,
    MadeLock,
    Packages,
    Runtime,
)
from cluster_agent.protocol.events import (
    Cursor,
    Event,
    Stream,
    StreamCount,
    decode_event,
)
from cluster_agent.protocol.files import (
    FileEntry,
    FileList,
)
from cluster_agent.protocol.inputs import Blob, FileInput, Inputs, SourceInput, ValueInput
from cluster_agent.protocol.invites import (
    InviteCode,
    InviteCreate,
    InviteInfo,
    InviteList,
    NewInvite,
    RedeemRequest,
)
from cluster_agent.protocol.jobs import (
    PRIORITIES,
    Job,
    JobList,
    MoveRequest,
    Priority,
    ResultEntry,
    ResultList,
    Submit,
    ViewCode,
    ViewRequest,
    ViewToken,
)
from cluster_agent.protocol.media import BYTES, JSON, NDJSON
from cluster_agent.protocol.refusals import (
    ErrorBody,
    ErrorReply,
)
from cluster_agent.protocol.states import (
    ACTIVE,
    DONE,
    WORDS,
    State,
    parse_states,
    word,
)
from cluster_agent.protocol.tokens import (
    NewToken,
    Role,
    RotateRequest,
    TokenCreate,
    TokenInfo,
)

__all__ = [
    "ACTIVE",
    "BYTES",
    "DONE",
    "HEARTBEAT_S",
    "JSON",
    "MAX_BODY_BYTES",
    "MAX_LINE_BYTES",
    "MAX_SOURCE_BYTES",
    "NDJSON",
    "PRIORITIES",
    "PROTOCOL_VERSION",
    "SILENCE_S",
    "WORDS",
    "Blob",
    "Cursor",
    "DrainRequest",
    "ErrorBody",
    "ErrorReply",
    "Event",
    "FileEntry",
    "FileInput",
    "FileList",
    "GcReport",
    "GcRequest",
    "Health",
    "Info",
    "Inputs",
    "InviteCode",
    "InviteCreate",
    "InviteInfo",
    "InviteList",
    "Job",
    "JobList",
    "KeptEnvironments",
    "Limits",
    "LockRequest",
    "MadeLock",
    "MoveRequest",
    "NewInvite",
    "NewToken",
    "Packages",
    "Priority",
    "Project",
    "Ready",
    "RedeemRequest",
    "ResultEntry",
    "ResultList",
    "Role",
    "RotateRequest",
    "Runtime",
    "SourceInput",
    "State",
    "Stream",
    "StreamCount",
    "Submit",
    "TokenCreate",
    "TokenInfo",
    "Usage",
    "UsageReport",
    "ValueInput",
    "ViewCode",
    "ViewRequest",
    "ViewToken",
    "decode_event",
    "encode",
    "parse_states",
    "word",
]

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

encode = msgspec.json.Encoder().encode
