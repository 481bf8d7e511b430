"""What people see when something cannot be done: one line, with a code for programs. A leaf: imports nothing of ours.

::

    UserError                user_error     what happened, to which value, what to do next
    ├── BadValue             bad_value      an option, name or address is wrong; `field` names it
    │   ├── UnknownCluster   unknown_cluster
    │   ├── AmbiguousJob     ambiguous_job  which job is meant cannot be told; nothing was done
    │   └── BadCell          bad_cell       the cell cannot run; told before anything is sent
    ├── ClusterError         (the agent's)  what an agent answered, or that it does not answer
    ├── LocalAgentError      local_agent    the agent of one's own cannot be started or stopped
    ├── WaitTimeout          wait_timeout   the waiting is over, the job goes on
    ├── Interrupted          interrupted    a person has stopped the waiting; what was begun goes on
    └── JobFailed            job_failed     a job ended in another way than with success

The magics show these without a traceback of ours; a failed job brings the traceback of its own process.
"""

from __future__ import annotations

import os
import re
from typing import ClassVar

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")


class UserError(Exception):
    """That cannot be done."""

    code: ClassVar[str] = "user_error"

    def __init__(self, message: str = "", *, field: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").splitlines()[0]
        self.field = field
        super().__init__(self.message)

    def _render_traceback_(self, *_ignored: object) -> list[str]:
        """What IPython shows in place of a traceback."""
        label = "Error:" if "NO_COLOR" in os.environ else "\x1b[31mError:\x1b[0m"
        first, *rest = self.message.splitlines() or [""]
        return [f"{label} {first}", *rest]


class BadValue(UserError):
    """A value is wrong."""

    code = "bad_value"


class UnknownCluster(BadValue):
    """No cluster of this name is attached."""

    code = "unknown_cluster"


class AmbiguousJob(BadValue):
    """Which job is meant cannot be told."""

    code = "ambiguous_job"


class BadCell(BadValue):
    """The cell cannot run."""

    code = "bad_cell"


class ClusterError(UserError):
    """A cluster refused, or does not answer. ``code`` is the agent's."""

    def __init__(
        self, message: str, *, cluster: str, code: str, field: str | None = None, nearest: str | None = None
    ) -> None:
        super().__init__(message, field=field)
        self.cluster = cluster
        self.code = code  # type: ignore[misc]
        #: the valid cursor that is nearest to one that is not
        self.nearest = nearest


class LocalAgentError(UserError):
    """The agent of your own on this machine cannot be used."""

    code = "local_agent"


class WaitTimeout(UserError):
    """The waiting is over; the job goes on."""

    code = "wait_timeout"


class Interrupted(UserError):
    """The waiting was interrupted; what was begun goes on."""

    code = "interrupted"


class JobFailed(UserError):
    """A job ended in another way than with success.

    ``ref`` names it (``gpu-box/42``), ``state`` is the wire value of its last state, and ``remote_traceback``
    holds the lines of the traceback from the job's own process, coloured as IPython does, when there is one.
    """

    code = "job_failed"

    def __init__(
        self, message: str, *, ref: str = "", state: str = "", remote_traceback: list[str] | None = None
    ) -> None:
        super().__init__(message)
        self.ref = ref
        self.state = state
        self.remote_traceback = remote_traceback or []

    def _render_traceback_(self, *ignored: object) -> list[str]:
        """The remote traceback, then the line that says which job it was."""
        remote = self.remote_traceback
        if os.environ.get("NO_COLOR"):
            remote = [_COLOUR.sub("", line) for line in remote]
        return [*remote, *super()._render_traceback_(*ignored)]
