"""What a job may write into its log; beyond it output is counted and its last part kept. Pure."""

from __future__ import annotations

#: Bytes of frames of each type.
_FRAME_LIMITS = {"display": 256 * 2**20, "metric": 64 * 2**20, "error": 16 * 2**20, "clear": 16 * 2**20}
#: This much of the end of each stream is kept when the log is full.
TAIL_BYTES = 2**20


class Quota:
    """Counts what is recorded, by kind."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._output_left = limit_bytes
        self._frames_left = dict(_FRAME_LIMITS)
        #: frames beyond their limit, by type
        self.dropped_frames: dict[str, int] = {}

    def admit_output(self, count: int) -> int:
        """How many of the next ``count`` bytes of output go into the log."""
        admitted = min(count, self._output_left)
        self._output_left -= admitted
        return admitted

    def admit_frame(self, type: str, size: int) -> bool:  # noqa: A002
        """Whether a frame of ``size`` bytes goes into the log; once one did not, no later one of its type does."""
        left = self._frames_left.get(type, 0)
        self._frames_left[type] = left - size if size <= left else 0
        if size > left:
            self.dropped_frames[type] = self.dropped_frames.get(type, 0) + 1
        return size <= left


class Tail:
    """The last part of a stream whose log is full."""

    def __init__(self) -> None:
        self.kept = bytearray()

    def add(self, data: bytes) -> bytes:
        """Keep ``data``; return the bytes that have no room any more, oldest first."""
        self.kept += data
        surplus = len(self.kept) - TAIL_BYTES
        if surplus <= 0:
            return b""
        pushed_out = bytes(self.kept[:surplus])
        del self.kept[:surplus]
        return pushed_out
