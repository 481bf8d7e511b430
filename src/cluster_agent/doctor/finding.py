"""What was found of one thing. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    level: Level
    said: str
    #: what to do; empty when all is well
    remedy: str = ""


def ok(check: str, said: str) -> Finding:
    """All is well."""
    return Finding(check=check, level="ok", said=said)


def warning(check: str, said: str, remedy: str) -> Finding:
    """It works, and could be better."""
    return Finding(check=check, level="warning", said=said, remedy=remedy)


def wrong(check: str, said: str, remedy: str) -> Finding:
    """It does not work, or not for long, or is not safe."""
    return Finding(check=check, level="wrong", said=said, remedy=remedy)
