"""A training cell: submit it, show it in the way of its front end, raise when it has failed."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cluster_agent.protocol import ACTIVE, State
from cluster_agent.units import format_duration, format_size
from mlmagics.display.card import charts_bundle
from mlmagics.display.live import EndLines, LiveCard
from mlmagics.display.place import LINGER_S, Place, place_of, waiting_s
from mlmagics.display.telling import results_lines
from mlmagics.display.view import View
from mlmagics.display.watch import Watch, files_line, stoppable
from mlmagics.display.writing import Canvas, say, show_table
from mlmagics.job.feed import Feed
from mlmagics.job.handle import Job
from mlmagics.job.plans import plan_line, plan_table
from mlmagics.job.submitting import prepare, sending
from mlmagics.magics.config import defaults_of
from mlmagics.magics.logs import is_foreign
from mlmagics.magics.options import CellOptions, cell_options
from mlmagics.magics.pending import Pending
from mlmagics.magics.words import joined

_LOOK_S = 0.2


class Watched:
    """What goes on being watched after its cell has come back."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.ends = EndLines()
        self.pending = Pending(shell)
        self._cards: list[LiveCard] = []

    def load(self) -> None:
        """Look at the cells of the shell for what they wait for."""
        self.pending.load()
        _by_shell[self.shell] = self

    def add(self, card: LiveCard) -> None:
        """Keep ``card`` alive until :meth:`stop`."""
        self._cards = [*(other for other in self._cards if not other.wait(0)), card]

    def stop(self) -> None:
        """Watch no more; what is shown stays as it is."""
        self.pending.unload()
        self.ends.stop()
        for card in self._cards:
            card.stop()
        _by_shell.pop(self.shell, None)


_by_shell: weakref.WeakKeyDictionary[Any, Watched] = weakref.WeakKeyDictionary()


def watched_in(shell: Any) -> Watched:
    """What is watched in ``shell``, whose magics are loaded."""
    return _by_shell[shell]


def run_cell(shell: Any, watched: Watched, cluster: str, line: str, cell: str) -> None:
    """Run ``cell`` on ``cluster``; what the magic ``%%cluster`` does.

    Raises
    ------
    UserError
        When nothing was submitted, the job failed while the cell waited, or the waiting was interrupted.
    """
    line, source = joined(line, cell)
    options = cell_options(f"%%{cluster}", line, os.environ, defaults_of(cluster))
    wait_s = waiting_s(options.wait_s, place_of(shell))
    with sending():
        prepared = prepare(source, cluster, options.asked, check=options.check, ready=watched.pending.need)
        if options.dry_run:
            show_table(shell, plan_table(prepared))
            say(plan_line(prepared))
            for remark in prepared.remarks:
                say(f"Note: {remark}")
            return
        job = prepared.send()
    show(watched, job, options, wait_s, brings=prepared.request.fetch)


def show(
    watched: Watched,
    job: Job,
    options: CellOptions,
    wait_s: float,
    *,
    brings: Sequence[str],
    repeats: str = "",
) -> None:
    """Show ``job``, submitted just now by the cell that runs, and wait for it up to ``wait_s``.

    ``brings`` are its variables that come here, and ``repeats`` names the job whose cell it runs again.

    Raises
    ------
    UserError
        As :func:`run_cell`.
    """
    shell = watched.shell
    if options.as_var is not None:
        shell.user_ns[options.as_var] = job
    watched.pending.expect(job, brings, trust=options.trust)
    place = place_of(shell)
    canvas = Canvas(shell, place, job.blob, foreign=job.was_there and is_foreign(job))
    with stoppable(job.ref):
        canvas.heading(f"Job {job.ref}: {submitted_word(job)}")
        canvas.heading(f"History URL: {job.history_url}")
        canvas.heading(resources_line(job, options))
        if repeats:
            canvas.heading(f"Repeats {repeats}")
        for note in job.notes:
            canvas.line(f"Note: {note}")
        _Cell(shell, watched, job, canvas, place).show(wait_s)


def submitted_word(job: Job) -> str:
    """The word for a job behind its submit; programs may parse it."""
    # a submit is an entry in the queue, however soon its turn comes
    return "queued" if job.info.state in ACTIVE and not job.was_there else job.word.lower()


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
            self.watched.pending.watch(self.job)
            raise
        if done:
            feed.close()
            self._ended(view)
        else:
            self._leave(feed, watch, wait_s - LINGER_S)

    def _ended(self, view: View) -> None:
        charts = charts_bundle(view)
        if charts:
            self.canvas.own(charts)
        # what was asked for is told by those who bring it
        brought = self.watched.pending.names_of(self.job)
        for line in (files_line(view, self.job.ref), *results_lines(view, self.job.ref, brought)):
            if line:
                self.canvas.line(line)
        if view.state is not State.SUCCEEDED:
            self.watched.pending.watch(self.job)
            raise self.job.failure(view.error)
        self.watched.pending.settle(self.job)

    def _leave(self, feed: Feed, watch: Watch, more_s: float) -> None:
        ref, view, pending = self.job.ref, watch.view, self.watched.pending
        pending.watch(self.job)
        names = pending.names_of(self.job)
        if names:
            self.canvas.line(f"{ref} makes {', '.join(names)}: a cell that uses {_it(names)} waits for it")
        if self.place is Place.NOTEBOOK:
            card = LiveCard(self.shell, self.job, feed, view, age_s=watch.age_s)
            self.watched.add(card)
            card.start()
            ended = more_s > 0 and _card_done(card, more_s) and view.done
            if ended and view.state is not State.SUCCEEDED:
                raise self.job.failure(view.error)
            if ended:
                pending.settle(self.job)
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


def resources_line(job: Job, options: CellOptions) -> str:
    """Resources and limits in force; the bracket names what the agent decided and how to decide it."""
    info = job.info
    parts = [_counted(info.gpus, "GPU"), _counted(info.cpus, "CPU")]
    if info.memory_bytes:
        parts.append(format_size(info.memory_bytes))
    if info.timeout_s:
        parts.append(f"at most {format_duration(info.timeout_s)}")
    if info.runtime:
        parts.append(f"runtime {info.runtime}")
    if info.packages:
        parts.append(f"with {', '.join(info.packages)}")
    # of a job that was there already somebody else may have decided
    return ", ".join(parts) + ("" if job.was_there else options.not_written())


def _it(names: list[str]) -> str:
    return "it" if len(names) == 1 else "one of them"


def _counted(count: int, noun: str) -> str:
    return f"no {noun}" if count == 0 else f"{count} {noun}" if count == 1 else f"{count} {noun}s"
