"""What jobs find installed: the interpreters of the box, and what each of them can import."""

from __future__ import annotations

import msgspec


class Runtime(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An interpreter that ops have given a name, as ``/v1/info`` tells it."""

    name: str
    python: str
    #: such as ``3.11.9``; empty while it is not known
    python_version: str = ""
    description: str = ""
    #: one sentence when no job can use it at present
    remark: str = ""


class KeptEnvironments(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the environments that were built for jobs, in a report of what was deleted."""

    deleted: int = 0
    freed_bytes: int = 0
    kept: int = 0
    #: with what uv has downloaded, files that they share counted once
    kept_bytes: int = 0
    #: of those that were deleted, the first thousand
    keys: list[str] = []


class LockRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/locks``: what a job is going to ask for."""

    packages: list[str]
    runtime: str = ""
    #: taken by an agent of one's own only
    python: str | None = None


class MadeLock(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``POST /v1/locks``: the versions that would be installed at this moment."""

    #: to be sent with the submit; empty when only the job can find out, since it takes long or something must be built
    lock: str = ""
    #: such as ``seaborn==0.13.2``, without what is there already
    packages: list[str] = []
    #: to download, where the index tells
    size: int | None = None
    #: whether an environment with exactly these is there
    built: bool = False


class Packages(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of ``GET /v1/packages``: what a job finds in one interpreter before anything is added."""

    #: path of the interpreter
    python: str
    #: such as ``3.11.9``
    version: str
    implementation: str = "cpython"
    #: each name that can be imported, with the distribution that it comes from; empty for the standard library and
    #: for what no distribution claims
    modules: dict[str, str]
    #: version by name, as names are compared: lower case, with ``-``
    distributions: dict[str, str]
    #: version of the cloudpickle with which a job there loads values: its own, else the agent's; empty without one
    cloudpickle: str = ""
