"""A training cell: submit it, show it in the way of its front end, raise when it has failed."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from cluster_agent.protocol import ACTIVE, State
from cluster_agent.protocol import Job as JobInfo
from cluster_agent.units import format_duration, format_size
from mlmagics.display.live import EndLines, LiveCard
from mlmagics.display.place import LINGER_S, Place, place_of, waiting_s
from mlmagics.display.view import View
from mlmagics.display.watch import Watch, files_line, stoppable
from mlmagics.display.writing import Canvas
from mlmagics.job.feed import Feed
from mlmagics.job.handle import Job
from mlmagics.job.submitting import submit
from mlmagics.magics.options import CellOptions, cell_options
from mlmagics.magics.words import joined

_LOOK_S = 0.2


class Watched:
    """What goes on being watched after its cell has come back."""

    def __init__(self) -> None:
        self.ends = EndLines()
        self._cards: list[LiveCard] = []

    def add(self, card: LiveCard) -> None:
        """Keep ``card`` alive until :meth:`stop`."""
        self._cards = [*(other for other in self._cards if not other.wait(0)), card]

    def stop(self) -> None:
        """Watch no more; what is shown stays as it is."""
        self.ends.stop()
        for card in self._cards:
            card.stop()


def run_cell(shell: Any, watched: Watched, cluster: str, line: str, cell: str) -> None:
    """Run ``cell`` on ``cluster``; what the magic ``%%cluster`` does.

    Raises
    ------
    UserError
        When nothing was submitted, the job failed while the cell waited, or the waiting was interrupted.
    """
    line, source = joined(line, cell)
    options = cell_options(f"%%{cluster}", line, os.environ)
    place = place_of(shell)
    wait_s = waiting_s(options.wait_s, place)
    job = submit(
        source,
        cluster,
        name=options.name,
        project=options.project,
        gpus=options.gpus,
        cpus=options.cpus,
        memory=options.memory_bytes,
        timeout=options.timeout_s,
        grace=options.grace_s,
        priority=options.priority,
        env=options.env,
        check=options.check,
    )
    if options.as_var is not None:
        shell.user_ns[options.as_var] = job
    with stoppable(job.ref):
        _show(
            _Cell(shell, watched, job, Canvas(shell, place, job.blob, foreign=False), place), options, wait_s
        )


def _show(cell: _Cell, options: CellOptions, wait_s: float) -> None:
    canvas, job = cell.canvas, cell.job
    # a submit is an entry in the queue, however soon its turn comes; programs may parse this line
    canvas.heading(f"Job {job.ref}: {'queued' if job.info.state in ACTIVE else job.word.lower()}")
    canvas.heading(f"History URL: {job.history_url}")
    canvas.heading(resources_line(job.info, options))
    for note in job.notes:
        canvas.line(f"Note: {note}")
    cell.show(wait_s)


@dataclass(frozen=True)
class _Cell:
    """A submitted cell and where its output goes."""

    shell: Any
    watched: Watched
    job: Job
    canvas: Canvas
    place: Place

    def show(self, wait_s: float) -> None:
        feed, view = Feed(self.job), View(self.job.info.state)
        watch = Watch(self.job, self.canvas, feed, view, raises=True)
        live = wait_s == float("inf") or (wait_s > LINGER_S and self.place is not Place.NOTEBOOK)
        try:
            done = watch.to_the_end(wait_s) if live else watch.gather(min(wait_s, LINGER_S))
            if done:
                watch.show()
        except BaseException:
            feed.close()
            raise
        if done:
            feed.close()
            self._ended(view)
        else:
            self._leave(feed, watch, wait_s - LINGER_S)

    def _ended(self, view: View) -> None:
        left = files_line(view, self.job.ref)
        if left:
            self.canvas.line(left)
        if view.state is not State.SUCCEEDED:
            raise self.job.failure(view.error)

    def _leave(self, feed: Feed, watch: Watch, more_s: float) -> None:
        ref, view = self.job.ref, watch.view
        if self.place is Place.NOTEBOOK:
            card = LiveCard(self.shell, self.job, feed, view, age_s=watch.age_s)
            self.watched.add(card)
            card.start()
            ended = more_s > 0 and _card_done(card, more_s) and view.done
            if ended and view.state is not State.SUCCEEDED:
                raise self.job.failure(view.error)
            return
        self.canvas.line(f"{ref} goes on. To see it: %logs {ref}   To cancel it: %cancel {ref}")
        if self.place is Place.TERMINAL:
            self.watched.ends.watch(self.job, feed, view)
        else:
            feed.close()


def _card_done(card: LiveCard, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    # in short steps: a long wait on a lock cannot be interrupted on Windows
    while time.monotonic() < deadline:
        if card.wait(_LOOK_S):
            return True
    return False


def resources_line(info: JobInfo, options: CellOptions) -> str:
    """Resources and limits in force; the bracket names what the agent decided and how to decide it."""
    parts = [_counted(info.gpus, "GPU"), _counted(info.cpus, "CPU")]
    if info.memory_bytes:
        parts.append(format_size(info.memory_bytes))
    if info.timeout_s:
        parts.append(f"at most {format_duration(info.timeout_s)}")
    defaulted = options.defaulted()
    return ", ".join(parts) + (f" (defaults; {' '.join(defaulted)})" if defaulted else "")


def _counted(count: int, noun: str) -> str:
    return f"no {noun}" if count == 0 else f"{count} {noun}" if count == 1 else f"{count} {noun}s"
