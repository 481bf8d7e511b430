"""What each user has had of the box lately: the measure of whose turn it is. Pure but for what it is told.

A user's share is the largest part of GPUs, CPUs or memory that the user's jobs hold or have held, where use
counts half after a day. Whoever holds a fraction ``f`` of the box for ever has the past share ``f``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cluster_agent.jobs.need import Need

HALF_LIFE_S = 86400.0
#: Use that is older counts for less than one percent, so nobody need read about it after a restart.
MEMORY_S = 7 * HALF_LIFE_S
_NOTHING = 1e-6


@dataclass(slots=True)
class _Use:
    """Of one user: what is held, and the past, faded up to the time ``at``."""

    at: float
    held: Need = field(default_factory=Need)
    gpus: float = 0.0
    cpus: float = 0.0
    memory: float = 0.0


class Shares:
    """Shares of all users of a box that has ``total``. Times are Unix seconds."""

    def __init__(self, total: Need) -> None:
        self._total = total
        self._uses: dict[str, _Use] = {}

    def take(self, user: str, need: Need, now: float) -> None:
        """Note that ``user`` holds ``need`` from ``now`` on."""
        use = self._faded(user, now)
        use.held = use.held + need

    def give_back(self, user: str, need: Need, now: float) -> None:
        """Note that ``user`` holds ``need`` no longer."""
        use = self._faded(user, now)
        use.held = use.held - need
        if use.held == Need() and max(use.gpus, use.cpus, use.memory) < _NOTHING:
            del self._uses[user]

    def remember(self, user: str, need: Need, started_at: float, ended_at: float, now: float) -> None:
        """Note what ``user`` held in the past."""
        weight = _left(now - ended_at) - _left(now - started_at)
        if weight > 0:
            self._add(self._faded(user, now), need, weight)

    def of(self, user: str, now: float) -> float:
        """The share of ``user``: the past, faded, and what is held."""
        if user not in self._uses:
            return 0.0
        use, total = self._faded(user, now), self._total
        return max(
            use.gpus + use.held.gpus / (total.gpus or 1),
            use.cpus + use.held.cpus / (total.cpus or 1),
            use.memory + use.held.memory_bytes / (total.memory_bytes or 1),
        )

    def step(self, step_s: float) -> None:
        """The clock was set by so much."""
        for use in self._uses.values():
            use.at += step_s

    def _faded(self, user: str, now: float) -> _Use:
        use = self._uses.setdefault(user, _Use(at=now))
        if now > use.at:
            left = _left(now - use.at)
            use.gpus, use.cpus, use.memory = use.gpus * left, use.cpus * left, use.memory * left
            self._add(use, use.held, 1.0 - left)
            use.at = now
        return use

    def _add(self, use: _Use, need: Need, weight: float) -> None:
        use.gpus += weight * need.gpus / (self._total.gpus or 1)
        use.cpus += weight * need.cpus / (self._total.cpus or 1)
        use.memory += weight * need.memory_bytes / (self._total.memory_bytes or 1)


def _left(age_s: float) -> float:
    """How much of something is left after ``age_s``, from 1 to 0."""
    return float(0.5 ** (max(0.0, age_s) / HALF_LIFE_S))
