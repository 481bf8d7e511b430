"""What a job tells in numbers: progress, metrics, use of the box. Pure."""

from __future__ import annotations

from cluster_agent.protocol import Event, Stream
from mlmagics.display.progress import Progress, ProgressReader
from mlmagics.display.sampling import Samples
from mlmagics.display.series import Metrics, tells_metrics

#: a line that is still being written is kept up to this length
_MAX_TAIL = 4000


class Figures:
    """The numbers of one job, grown one event at a time."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.samples = Samples()
        self._readers: dict[Stream, ProgressReader] = {"stdout": ProgressReader(), "stderr": ProgressReader()}
        self._tails: dict[Stream, str] = {"stdout": "", "stderr": ""}
        self._latest: ProgressReader | None = None

    @property
    def progress(self) -> Progress | None:
        """How far the job said last that it is; None when it never did."""
        return self._latest.current if self._latest is not None else None

    def feed(self, event: Event) -> None:
        """Take one more event."""
        if event.type == "output":
            self._read(event.stream or "stdout", event.text or "")
        elif event.type == "metric":
            self.metrics.add(event.values or {}, event.step)
        elif event.type == "sample":
            self.samples.add(event.values or {}, event.t)

    def _read(self, stream: Stream, text: str) -> None:
        reader = self._readers[stream]
        if reader.feed(text):
            self._latest = reader
        tail = self._tails[stream]
        cut = text.rfind("\n") + 1
        if cut and (tells_metrics(text) or tells_metrics(tail)):
            for line in (tail + text[:cut]).splitlines():
                self.metrics.read_line(line)
        self._tails[stream] = text[cut:][-_MAX_TAIL:] if cut else (tail + text)[-_MAX_TAIL:]
