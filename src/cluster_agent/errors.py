"""What can go wrong between a notebook and an agent. A leaf: imports nothing of ours.

::

    AgentError
    ├── BadRequest 400          bad_request   the body or a parameter is wrong; `field` names it
    │   └── BadCursor 400       bad_cursor    not a cursor
    ├── Unauthorized 401        unauthorized  no token, or one that is not (or no longer) valid
    ├── Forbidden 403           forbidden     a valid token whose role or project does not suffice
    ├── NotFound 404            not_found     absent, or somebody else's: told the same way
    ├── WrongMethod 405         wrong_method
    ├── Conflict 409            conflict      same key with another body; a state that does not allow it
    │   └── BlobMissing 409     blob_missing  a submit names blobs that are not here; the message lists them
    ├── Gone 410                gone          deleted for ever, or a cursor before a cut (`nearest`)
    ├── StaleWrite 412          stale_write   If-Match did not match
    ├── TooLarge 413            too_large     a body beyond its route's limit
    ├── BadType 415             bad_type      not the content type that the route takes
    ├── BeyondEnd 416           beyond_end    a cursor or range beyond the end (`nearest`)
    ├── QueueFull 429           queue_full
    ├── TooManyTries 429        too_many_tries
    ├── ServerFault 500         server_fault  a fault of the agent; its log has the traceback
    ├── TooBusy 503             too_busy      more connections than the agent takes
    ├── StorageFault 507        storage_fault the disk refused; nothing was accepted
    └── Unreachable             unreachable   raised by the client only: no answer, or not an agent's

The server maps an error to ``{"error": {"code", "message", "field"}}`` in one place; the client raises the
same class again. Users see the message, programs the code.
"""

from __future__ import annotations

from typing import ClassVar


class AgentError(Exception):
    """The agent could not do that."""

    code: ClassVar[str] = "agent_error"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str = "", *, field: str | None = None, nearest: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").splitlines()[0]
        self.field = field
        self.nearest = nearest
        super().__init__(self.message)


class BadRequest(AgentError):
    """The request is not well formed."""

    code = "bad_request"
    http_status = 400


class BadCursor(BadRequest):
    """That is not a cursor of an event log."""

    code = "bad_cursor"


class Unauthorized(AgentError):
    """A valid token is needed: Authorization: Bearer TOKEN."""

    code = "unauthorized"
    http_status = 401


class Forbidden(AgentError):
    """This token may not do that."""

    code = "forbidden"
    http_status = 403


class NotFound(AgentError):
    """There is nothing of yours at this address."""

    code = "not_found"
    http_status = 404


class WrongMethod(AgentError):
    """This address does not take that method."""

    code = "wrong_method"
    http_status = 405


class Conflict(AgentError):
    """This contradicts what is already there."""

    code = "conflict"
    http_status = 409


class BlobMissing(Conflict):
    """What the job needs was not sent, or is not kept any more."""

    code = "blob_missing"


class Gone(AgentError):
    """This was here once and has been deleted."""

    code = "gone"
    http_status = 410


class StaleWrite(AgentError):
    """The file has changed since it was read; nothing was written."""

    code = "stale_write"
    http_status = 412


class TooLarge(AgentError):
    """The request is larger than this address takes."""

    code = "too_large"
    http_status = 413


class BadType(AgentError):
    """This address takes another content type."""

    code = "bad_type"
    http_status = 415


class BeyondEnd(AgentError):
    """That is beyond the end."""

    code = "beyond_end"
    http_status = 416


class QueueFull(AgentError):
    """The queue is full; try again when some jobs have ended."""

    code = "queue_full"
    http_status = 429


class TooManyTries(AgentError):
    """Too many failed tries; wait a minute."""

    code = "too_many_tries"
    http_status = 429


class ServerFault(AgentError):
    """The agent has a fault; its log has the details."""

    code = "server_fault"


class TooBusy(AgentError):
    """The agent has as many connections as it takes; try again in a moment."""

    code = "too_busy"
    http_status = 503


class StorageFault(AgentError):
    """The agent's disk refused to write; nothing was accepted."""

    code = "storage_fault"
    http_status = 507


class Unreachable(AgentError):
    """The agent does not answer."""

    code = "unreachable"
    http_status = 0


def _subclasses(cls: type[AgentError]) -> list[type[AgentError]]:
    return [cls, *(leaf for sub in cls.__subclasses__() for leaf in _subclasses(sub))]


#: Error class by wire code, so that the client raises what the server raised.
BY_CODE: dict[str, type[AgentError]] = {cls.code: cls for cls in _subclasses(AgentError)}


class Unconfirmed(Unreachable):
    """The request was sent and no answer came, so it may have been carried out."""


class NoTunnel(ConnectionError):
    """There is no way to the agent; the message says why, and what to do. Told as ``Unreachable``."""
