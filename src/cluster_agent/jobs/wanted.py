"""Checks of what a job needs installed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cluster_agent.environments.locking import check_packages, parse_lock
from cluster_agent.errors import BadRequest, NotFound, TooLarge
from cluster_agent.protocol import Submit
from cluster_agent.units import format_size

_MAX_PACKAGES = 200
_MAX_LENGTH = 1000
_MAX_LOCK_BYTES = 2**20
#: What whoever runs a box without uv has to type.
NO_UV = (
    "this box cannot install packages for a job, as it has no uv: whoever runs it types"
    " pip install 'mlmagics[env]' in the agent's own environment"
)


def check_wanted(body: Submit, *, runtimes: Mapping[str, str], builds: Callable[[], bool]) -> None:
    """Refuse what this agent does not have or cannot build, naming the field.

    Parameters
    ----------
    runtimes
        The interpreters by the name that a spec may give.
    builds
        Whether environments can be built at this moment.

    Raises
    ------
    BadRequest, NotFound, TooLarge
        With ``field`` set.
    """
    if body.runtime and body.runtime not in runtimes:
        known = ", ".join(runtimes)
        there = f"there is {known}" if known else "none has been defined"
        raise NotFound(f"there is no runtime {body.runtime[:50]!r} here; {there}", field="runtime")
    if body.runtime and body.python:
        raise BadRequest("runtime and python each name an interpreter: only one of them", field="runtime")
    if len(body.packages) > _MAX_PACKAGES or any(len(text) > _MAX_LENGTH for text in body.packages):
        raise BadRequest(
            f"at most {_MAX_PACKAGES} packages of at most {_MAX_LENGTH} characters each", field="packages"
        )
    try:
        check_packages(body.packages)
    except ValueError as error:
        raise BadRequest(str(error), field="packages") from None
    _check_lock(body)
    if body.packages and not builds():
        raise BadRequest(NO_UV, field="packages")


def _check_lock(body: Submit) -> None:
    if not body.lock:
        return
    if not body.packages:
        raise BadRequest("a lock goes with the packages that it was made for", field="lock")
    size = len(body.lock.encode("utf-8", "surrogatepass"))
    if size > _MAX_LOCK_BYTES:
        raise TooLarge(
            f"the lock has {format_size(size)}; at most {format_size(_MAX_LOCK_BYTES)}", field="lock"
        )
    try:
        parse_lock(body.lock)
    except ValueError as error:
        raise BadRequest(str(error), field="lock") from None
