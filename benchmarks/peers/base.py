"""What the benchmarks ask of another system. The standard library only."""

from __future__ import annotations

from pathlib import Path

from benchmarks.runs import Sink


class Missing(Exception):
    """A program that the system needs is not on this machine; nothing was started."""


class Peer:
    """A system that is open until it is closed; each job is some Python source."""

    name = ""
    #: whether each job has a process of its own, so that none finds what another one left behind
    isolated = "yes"
    #: what of it can be measured
    rows: tuple[str, ...] = ("P1", "P2", "P3", "P4", "P5")
    #: kept small where a system is slow
    lines = 200_000
    batch = 20
    most_rounds = 5

    def open(self, folder: Path) -> None:
        """Start it, with all that it keeps in ``folder``."""

    def close(self) -> None:
        """End what :meth:`open` has started."""

    def run(self, source: str, sink: Sink) -> None:
        """Run ``source`` to its end; ``sink`` gets its output as a person would see it come."""
        raise NotImplementedError

    def run_many(self, source: str, count: int) -> None:
        """Run ``source`` as often, as many at a time as there are processors."""
        raise NotImplementedError

    def array(self, size: int) -> tuple[float, float]:
        """Seconds that an array of ``size`` bytes takes there and back."""
        raise NotImplementedError

    def processes(self) -> list[int]:
        """Ids of the processes that it has when nothing runs."""
        return []
