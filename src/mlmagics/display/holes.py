"""What an event says of a log that is not, or may not be, all that the job has said: one phrase each. Pure."""

from __future__ import annotations

from cluster_agent.protocol import Event
from mlmagics.display.escapes import one_line

_MAX_CHARS = 300


def hole(event: Event) -> str | None:
    """The phrase for ``event``; None where it says nothing of the kind, or only counts bytes of a stream."""
    if event.type == "storage":
        said = one_line(event.message or "")
        return said[:_MAX_CHARS] or "the disk of the box refused to keep what was written before this"
    if event.type == "recovered":
        return "the box was restarted here; lines that were not on its disk are lost"
    if event.type == "dropped" and event.stream is None:
        said = one_line(event.message or "")
        return f"not in the log: {said[:_MAX_CHARS]}" if said else "some events are not in the log"
    return None
