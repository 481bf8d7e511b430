"""Amounts of what a box hands out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """What a job needs, or what a box has: counted together, all or nothing."""

    gpus: int = 0
    cpus: int = 0
    memory_bytes: int = 0

    def fits(self, free: Need) -> bool:
        """Whether all of it is free."""
        return self.gpus <= free.gpus and self.cpus <= free.cpus and self.memory_bytes <= free.memory_bytes

    def share(self, total: Need) -> float:
        """The largest of its parts of ``total``, from 0 to 1: its dominant share."""
        return max(
            _part(self.gpus, total.gpus),
            _part(self.cpus, total.cpus),
            _part(self.memory_bytes, total.memory_bytes),
        )

    def __add__(self, other: Need) -> Need:
        return Need(
            gpus=self.gpus + other.gpus,
            cpus=self.cpus + other.cpus,
            memory_bytes=self.memory_bytes + other.memory_bytes,
        )

    def __sub__(self, other: Need) -> Need:
        return Need(
            gpus=self.gpus - other.gpus,
            cpus=self.cpus - other.cpus,
            memory_bytes=self.memory_bytes - other.memory_bytes,
        )


def _part(amount: int, total: int) -> float:
    return amount / total if total else 0.0
