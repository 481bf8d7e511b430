"""How what ops type behind a command is read: durations, moments, jobs, states."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import TypeVar

from cluster_agent.protocol import parse_states
from cluster_agent.units import parse_duration, parse_moment

_T = TypeVar("_T")


def _checked(parse: Callable[[str], _T]) -> Callable[[str], _T]:
    """``parse`` for an argument: its ValueError becomes a message of the parser."""

    def read(text: str) -> _T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _job_id(text: str) -> int:
    number = text.rpartition("/")[2]
    if not number.isdecimal():
        raise ValueError(f"{text!r} is not a job: write 42 or gpu-box/42")
    return int(number)


def _moment_ago(text: str) -> float:
    now = time.time()
    at = parse_moment(text, now)
    return at if at <= now else now - (at - now)


job = _checked(_job_id)
states = _checked(parse_states)
ago = _checked(_moment_ago)
later = _checked(lambda text: parse_moment(text, time.time()))
duration = _checked(parse_duration)
duration_or_none = _checked(lambda text: 0.0 if text == "0" else parse_duration(text))
