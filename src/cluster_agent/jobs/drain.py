"""That a box starts no more jobs for a while, kept in the agent's home so that it outlives the agent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from cluster_agent.errors import StorageFault
from cluster_agent.folder import write_durably
from cluster_agent.units import format_clock


class Drain(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs that run go on, others wait."""

    #: when it ends by itself, Unix seconds; None: when somebody says so
    until: float | None = None
    #: for those who wait
    message: str = ""

    def over(self, now: float) -> bool:
        """Whether it has ended by itself."""
        return self.until is not None and self.until <= now

    def words(self, now: float) -> str:
        """What those are told who wait."""
        until = f" until {format_clock(self.until, now)}" if self.until is not None else ""
        return f"the box is draining{until}" + (f": {self.message}" if self.message else "")


def read_drain(path: Path) -> Drain | None:
    """The drain in force according to the file at ``path``, or None."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Drain)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError:
        return Drain(message="drain.json in the agent's home is damaged")  # somebody wanted no starts


def write_drain(path: Path, drain: Drain | None) -> None:
    """Keep ``drain`` in the file at ``path``, durably; None takes it away."""
    if drain is None:
        path.unlink(missing_ok=True)
    else:
        write_durably(path, msgspec.json.encode(drain))


class Drains:
    """The drain in force, kept in the file at ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._drain = read_drain(path)

    def at(self, now: float) -> Drain | None:
        """The drain at a time, if there is one then."""
        return None if self._drain is None or self._drain.over(now) else self._drain

    async def set(self, drain: Drain | None) -> None:
        """Keep another one, durably; None ends it.

        Raises
        ------
        StorageFault
            When the disk refused; nothing has changed.
        """
        try:
            await asyncio.to_thread(write_drain, self._path, drain)
        except OSError as error:
            raise StorageFault(f"the agent's disk refused ({error.strerror}); nothing has changed") from error
        self._drain = drain
