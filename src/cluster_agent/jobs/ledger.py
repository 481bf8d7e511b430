"""What a job's log says, and what only the agent may add to it. All blocking; called in threads.

The agent writes to a log only while no supervisor does: it must get the lock first.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from cluster_agent.executors.base import Handle
from cluster_agent.folder import JobFolder, write_durably
from cluster_agent.log.append import LogTaken, LogWriter
from cluster_agent.log.follow import LogReader
from cluster_agent.protocol import Event, State, decode_event

#: Of a log, in which `started` stands: behind what was told while the environment was made ready.
_BEGINNING_BYTES = 65536


@dataclass(frozen=True, kw_only=True, slots=True)
class LogFacts:
    """What a look at a log tells."""

    started: Event | None = None
    ended: Event | None = None
    #: another process holds its lock
    locked: bool = False

    @property
    def handle(self) -> Handle | None:
        """The supervisor that `started` names."""
        if self.started is None or self.started.pid is None or self.started.pid_started is None:
            return None
        return Handle(
            pid=self.started.pid, pid_started=self.started.pid_started, boot_id=self.started.boot_id or ""
        )


def newest_format(folder: JobFolder) -> int:
    """The highest version that a file of the folder says of itself; 0 when none does, or none can be read."""
    found = 0
    try:
        found = folder.read_wish().version
    except (OSError, msgspec.MsgspecError):
        pass
    try:
        with LogReader(folder.log) as reader:
            first = reader.read(0, limit=16384).partition(b"\n")[0]
            return max(found, (decode_event(first).version or 0) if first else 0)
    except (OSError, msgspec.MsgspecError):
        return found


def look(folder: JobFolder, tag: str) -> LogFacts:
    """What stands in the log; a torn tail that nobody writes any more is cut off."""
    if not folder.log.exists():
        return LogFacts()
    try:
        writer = LogWriter.take(folder.log, tag=tag)
    except LogTaken:
        with LogReader(folder.log) as reader:
            return LogFacts(started=find_started(reader), locked=True)
    try:
        return LogFacts(started=writer.started, ended=writer.ended)
    finally:
        writer.close()


def find_started(reader: LogReader) -> Event | None:
    """The `started` event of a log that may be written at this moment, or None."""
    lines = reader.read(0, limit=_BEGINNING_BYTES).splitlines()
    return next((event for event in map(decode_event, lines) if event.type == "started"), None)


def end(folder: JobFolder, tag: str, *, state: State, reason: str, complete: bool) -> Event:
    """Write the `ended` event that nobody else will write, unless there is one; return it.

    Raises
    ------
    LogTaken
        When a supervisor writes the log after all.
    """
    writer = LogWriter.take(folder.log, tag=tag)
    try:
        if writer.ended is None:
            writer.end(state=state.value, reason=reason, complete=complete)
        assert writer.ended is not None
        return writer.ended
    finally:
        writer.close()


def close_nonce(folder: JobFolder, tag: str, nonce: str) -> bool:
    """Make sure that the start ``nonce`` never happens; False when it has happened already.

    Raises
    ------
    LogTaken
        When a supervisor holds the log.
    """
    writer = LogWriter.take(folder.log, tag=tag)
    try:
        if writer.started is not None or writer.ended is not None:
            return False
        write_durably(folder.closed(nonce), b"")
        return True
    finally:
        writer.close()


def lose(folder: JobFolder, tag: str) -> None:
    """Write that the job is lost: its supervisor is gone and nobody saw how it ended."""
    folder.reserve.unlink(missing_ok=True)
    reason = "its supervisor ended before the job did; nobody can say what the job did after the last line"
    end(folder, tag, state=State.LOST, reason=reason, complete=False)
