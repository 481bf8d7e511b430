"""The magics in a real IPython kernel, watched as JupyterLab does: loading them, a first line, a repaint."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.box import Box, serving
from benchmarks.figures import Figure
from benchmarks.runs import (
    LINE_BYTES,
    MARK,
    TRIVIAL,
    Sink,
    bare,
    first_line_ms,
    flood_of,
    line_latencies_ms,
    p99,
    pairs,
    seconds,
)
from mlmagics.cluster.store import Attachment, AttachmentStore

sys.path.insert(0, "tests/notebook")
from front_end import FrontEnd

#: lines of a short log, and how many times as many a long one has
SHORT, LONGER = 50_000, 10


def loading(rounds: int) -> Iterator[Figure]:
    """``%load_ext mlmagics`` in a kernel that has imported none of it, beside an empty cell."""
    values, bases = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder, _front_end(_variables(Path(folder))) as front_end:
            front_end.run("pass")
            bases.append(1000 * seconds(lambda: front_end.run("pass")))
            values.append(1000 * seconds(lambda: front_end.run("%load_ext mlmagics")))
    yield Figure(
        row="notebook", name="%load_ext mlmagics", unit="ms", values=values, bases=bases, base="an empty cell"
    )


def notebooks(rounds: int) -> Iterator[Figure]:
    """A cell's first line, and what is printed while the cell is followed."""
    with serving() as box, _attached(box) as front_end:
        notebook = Notebook(front_end)
        box.settle(TRIVIAL)
        notebook.run(TRIVIAL, lambda _: None)
        values, bases = pairs(
            rounds, lambda: first_line_ms(notebook.run), lambda: first_line_ms(bare), box.rest
        )
        yield Figure(
            row="notebook", name="first line of a trivial cell", unit="ms", values=values, bases=bases
        )
        found = [line_latencies_ms(notebook.run, flush=True) for _ in range(min(rounds, 5))]
        for name, part in (("p50", statistics.median), ("p99", p99)):
            values = [part(one) for one in found]
            name = f"repaint: a printed line until it is in the notebook, {name}"
            yield Figure(row="notebook", name=name, unit="ms", values=values)
        values, bases = pairs(
            min(rounds, 5),
            lambda: notebook.work_of(SHORT * LONGER),
            lambda: notebook.work_of(SHORT),
            box.rest,
        )
        yield Figure(
            row="notebook",
            name=f"the kernel's work for each MB of a log of {SHORT * LONGER * LINE_BYTES // 10**6} MB",
            unit="ms",
            values=values,
            bases=bases,
            base=f"a log of {SHORT * LINE_BYTES // 10**6} MB",
        )


class Notebook:
    """Runs cells as jobs and hands over the text that comes to the front end."""

    def __init__(self, front_end: FrontEnd) -> None:
        self._front_end = front_end
        self._show: Callable[[dict[str, Any]], None] = front_end._show
        self._sink: Sink = lambda _: None
        front_end._show = self._note
        self._kernel = psutil.Process(int(front_end.run("import os; print(os.getpid())").text))

    def run(self, source: str, sink: Sink) -> None:
        """Send ``source`` as a job's cell."""
        self._sink = sink
        cell = self._front_end.run(f"%%box --wait\n{source}", within_s=300)
        if cell.status != "ok":
            raise RuntimeError(cell.text[-1000:])

    def work_of(self, lines: int) -> float:
        """Milliseconds of the kernel's processor time for each MB of a log with that many lines."""
        before = sum(self._kernel.cpu_times()[:2])
        self.run(flood_of(lines) + f"\nprint({MARK!r})", lambda _: None)
        return (sum(self._kernel.cpu_times()[:2]) - before) * 1000 / (lines * LINE_BYTES / 1e6)

    def _note(self, message: dict[str, Any]) -> None:
        if message["header"]["msg_type"] == "stream":
            self._sink(message["content"]["text"])
        self._show(message)


def _variables(folder: Path) -> dict[str, str]:
    return {
        "MLMAGICS_CONFIG_DIR": str(folder / "config"),
        "MLMAGICS_LOCAL_HOME": str(folder / "local"),
        "IPYTHONDIR": str(folder / "ipython"),
        "JPY_SESSION_NAME": "bench.ipynb",
    }


@contextmanager
def _front_end(variables: dict[str, str]) -> Iterator[FrontEnd]:
    front_end = FrontEnd(variables, hosted=False)
    try:
        yield front_end
    finally:
        front_end.close()


@contextmanager
def _attached(box: Box) -> Iterator[FrontEnd]:
    """A notebook whose person has attached the agent as ``box``."""
    with tempfile.TemporaryDirectory() as folder:
        variables = _variables(Path(folder))
        token = str(box.agent.home / "token")
        AttachmentStore(Path(folder) / "config").put(
            Attachment(name="box", url=box.agent.url, credential="file", credential_from=token)
        )
        with _front_end(variables) as front_end:
            loaded = front_end.run("%load_ext mlmagics")
            if loaded.status != "ok":
                raise RuntimeError(loaded.text)
            # what the kernel does once, after its first cells, is no part of the next
            time.sleep(0.5)
            yield front_end
