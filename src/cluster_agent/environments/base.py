"""The interpreter that an environment is laid upon, and what is asked of uv for a job; sent with its order."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class CannotProvide(Exception):
    """A job cannot get its environment; the message is one line for people."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """An interpreter, as far as an environment on top of it depends on it."""

    python: str
    #: such as ``3.11.9``
    version: str
    #: folders of its packages, which the environment sees behind its own
    folders: tuple[str, ...]
    #: of names and versions of what is installed in them
    fingerprint: str

    @property
    def minor(self) -> str:
        """Such as ``3.11``."""
        return ".".join(self.version.split(".")[:2])


def fingerprint(distributions: Mapping[str, str]) -> str:
    """A short hash of what is installed."""
    lines = "\n".join(f"{name}=={version}" for name, version in sorted(distributions.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:8]


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvironmentOrder:
    """What a supervisor needs to make the environment of a job ready."""

    base: Base
    #: requirements as in ``pyproject.toml``
    packages: tuple[str, ...]
    #: the lock that is repeated; empty: one is made
    lock: str = ""
    #: holds the environments of this agent
    shelf: Path
    #: path of uv, and all its variables
    uv: str
    uv_variables: dict[str, str] = field(repr=False)
    timeout_s: float
    #: whether the job has a PATH of its own, which then stays as it is
    own_path: bool = False
