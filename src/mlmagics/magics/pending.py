"""Results on their way into a notebook: ``--fetch m`` makes ``m`` pending, and a cell that reads it waits first.

::

    submitted --> pending --(the job succeeds)--> here: m has its value, between two cells
                     |------(it does not, or kept no m)--> missing: a cell that reads m stops with the reason
                     '------(m is assigned or deleted)--> dropped, with a line

Meanwhile a placeholder stands in the namespace, so an older value is never read. IPython's AST transformers tell
which names a cell is about to read, the code inside ``%%time`` and its like included. A value goes in before the
cell that needs it begins, or after a cell, never while one runs.
"""

from __future__ import annotations

import ast
import contextlib
import signal
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from IPython.core.error import InputRejected

from mlmagics.display.writing import say
from mlmagics.errors import UserError
from mlmagics.job.handle import Job
from mlmagics.job.results import described
from mlmagics.magics.awaited import Awaited, Placeholder
from mlmagics.magics.contact import Contact
from mlmagics.magics.reading import names_deleted, names_read

_LOOK_S = 0.2
_NOTHING = object()


class CellStopped(UserError, InputRejected):  # type: ignore[misc]
    """The cell was not run: a value that it reads is not here."""

    code = "cell_stopped"


@dataclass(frozen=True, eq=False)
class _Pending:
    """One name that waits for its value."""

    awaited: Awaited
    placeholder: Placeholder
    #: what the name meant before; ``_NOTHING`` when nothing
    former: Any


class Pending:
    """The pending names of one shell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._names: dict[str, _Pending] = {}
        #: cells that run now, one within the other
        self._cells: list[str] = []
        #: names that the running cells delete by themselves
        self._deleted: set[str] = set()

    def load(self) -> None:
        """Look at every cell from now on."""
        self._shell.events.register("pre_run_cell", self._before_cell)
        self._shell.events.register("post_run_cell", self._after_cell)
        self._shell.ast_transformers.append(self)

    def unload(self) -> None:
        """Look no more. Names that were pending mean again what they meant before."""
        self._shell.events.unregister("pre_run_cell", self._before_cell)
        self._shell.events.unregister("post_run_cell", self._after_cell)
        if self in self._shell.ast_transformers:
            self._shell.ast_transformers.remove(self)
        for name in [*self._names]:
            if self._is_placeholder(name):
                self._give_back(name)
            self._drop(name)

    def expect(self, job: Job, names: Iterable[str], *, trust: bool = False) -> None:
        """Make ``names`` pending: ``job``, which was just submitted, makes them.

        With ``trust`` also what only a pickle holds, though reading it runs what is in it.
        """
        names = [*names]
        awaited = Awaited(job, names, trust=trust)
        for name in names:
            former = self._shell.user_ns.get(name, _NOTHING)
            if name in self._names:
                earlier = self._names[name]
                if former is earlier.placeholder:
                    former = earlier.former
                    if not earlier.awaited.decided:
                        say(f"{name} comes from {job.ref} now, no longer from {earlier.awaited.job.ref}")
                self._drop(name)
            placeholder = Placeholder(name, job.ref)
            self._names[name] = _Pending(awaited, placeholder, former)
            self._shell.user_ns[name] = placeholder

    def need(self, names: Iterable[str]) -> None:
        """Wait for those of ``names`` that a job makes, and put their values into the namespace.

        Raises
        ------
        CellStopped
            When a value will not come, or the waiting was interrupted.
        """
        self._notice()
        wanted = [name for name in names if name in self._names]
        if wanted:
            self._bring(sorted(wanted))

    def watch(self, job: Job) -> None:
        """Go on waiting for ``job`` in the background: its cell comes back before its end."""
        for awaited in self._of(job):
            awaited.watch()

    def settle(self, job: Job) -> None:
        """Put what has come of ``job``, which ended while its cell was there, into the namespace."""
        for awaited in self._of(job):
            awaited.watch()
            # in short steps: a long wait on a lock cannot be interrupted on Windows
            while not awaited.wait(_LOOK_S):
                pass
            if awaited.problem is not None:
                say(f"{_and(self.names_of(job))} cannot be had from {job.ref}: {awaited.problem}")
            self._deliver(awaited)

    def names_of(self, job: Job) -> list[str]:
        """The names that wait for ``job``."""
        return [name for name, pending in self._names.items() if pending.awaited.job is job]

    def put(self, name: str, value: Any) -> str:
        """Give ``name`` a fetched ``value``; a phrase about what was there, empty where nothing was."""
        old = self._shell.user_ns.get(name, _NOTHING)
        self._shell.user_ns[name] = value
        if name in self._names:
            awaited, waits = self._names[name].awaited, old is self._names[name].placeholder
            self._drop(name)
            if waits:
                return "" if awaited.decided else f"the value from {awaited.job.ref} will not replace it"
        return "" if old is _NOTHING else f"it replaces another value of this name ({type(old).__name__})"

    def visit(self, tree: ast.AST) -> ast.AST:
        """``tree`` as it is, once all that it reads is here; what IPython calls before it runs code.

        Raises
        ------
        CellStopped
            When a value will not come, or the waiting was interrupted.
        """
        # no cell: a front end looks at something, silently, and must never wait
        if self._names and self._cells and isinstance(tree, ast.Module):
            self._notice()
            self._deleted |= names_deleted(tree)
            needed = names_read(tree, self._shell.user_ns, self._names)
            if needed:
                self._bring(sorted(needed))
        return tree

    # --- around cells ------------------------------------------------------------------------------------

    def _before_cell(self, info: Any) -> None:
        if not self._cells:
            # the cell may need what will not come, which says so then
            self._between_cells(tell_missing=False)
        self._cells.append(info.raw_cell)

    def _after_cell(self, result: Any) -> None:
        # of a cell with a top-level await that was interrupted nothing comes
        raw = result.info.raw_cell if result is not None else next(iter(self._cells), None)
        # an empty cell, or one that something else has run, has no beginning here
        if raw in self._cells:
            del self._cells[len(self._cells) - 1 - self._cells[::-1].index(raw) :]
        if not self._cells:
            self._between_cells()
            self._deleted.clear()

    def _between_cells(self, *, tell_missing: bool = True) -> None:
        self._notice()
        for awaited in dict.fromkeys(pending.awaited for pending in self._names.values()):
            if awaited.decided:
                self._deliver(awaited, tell_missing=tell_missing)

    def _notice(self) -> None:
        """Drop the names that the notebook has given another meaning."""
        for name in [*self._names]:
            if self._is_placeholder(name):
                continue
            pending = self._names[name]
            ref, decided = pending.awaited.job.ref, pending.awaited.decided
            again = f"(to have it: %fetch {ref} {name})"
            if name in self._shell.user_ns:
                if not decided or name in pending.awaited.values:
                    say(f"{name} was assigned here, so the value from {ref} will not replace it {again}")
            elif name in self._deleted and pending.former is not _NOTHING:
                self._give_back(name)
                say(f"{name} has the value again that it had before {ref}")
            elif not decided:
                say(f"{name} was deleted here, so the value from {ref} does not come {again}")
            self._drop(name)

    def _deliver(self, awaited: Awaited, *, tell_missing: bool = True) -> None:
        arrived = []
        for name, pending in [*self._names.items()]:
            if pending.awaited is not awaited or not self._is_placeholder(name):
                continue
            if name in awaited.values:
                self._shell.user_ns[name] = awaited.values[name]
                arrived.append(f"{name} ({described(awaited.values[name])})")
                self._drop(name)
            elif tell_missing and name in awaited.missing and name not in awaited.told:
                awaited.told.add(name)
                say(awaited.missing[name])
        if arrived:
            say(f"{', '.join(arrived)} from {awaited.job.ref}")

    # --- waiting -----------------------------------------------------------------------------------------

    def _bring(self, needed: list[str]) -> None:
        """Wait for all of ``needed``, and put them into the namespace."""
        makers: dict[Awaited, list[str]] = {}
        for name in needed:
            makers.setdefault(self._names[name].awaited, []).append(name)
        try:
            with _interruptible():
                for awaited in makers:
                    self._wait_for(awaited, makers)
        except KeyboardInterrupt:
            refs = " ".join(awaited.job.ref for awaited in makers)
            _stop(
                f"stopped waiting for {refs.replace(' ', ', ')}; jobs go on. To wait again: run this cell again   "
                f"To cancel: %cancel {refs}"
            )
        for awaited in makers:
            self._deliver(awaited)

    def _wait_for(self, awaited: Awaited, makers: dict[Awaited, list[str]]) -> None:
        awaited.watch()
        contact = Contact(awaited.job.cluster)
        if not awaited.decided:
            names = _and(makers[awaited])
            say(f"Waiting for {awaited.job.ref}, which makes {names}; an interrupt stops the waiting only")
        while not awaited.wait(_LOOK_S):
            contact.tell(awaited.trouble)
            for other, names_of_other in makers.items():
                if other.decided:
                    self._check(other, names_of_other)
        self._check(awaited, makers[awaited])

    def _check(self, awaited: Awaited, names: list[str]) -> None:
        """Nothing, when ``awaited`` has all of ``names``."""
        if awaited.problem is not None:
            _stop(f"{_and(names)} cannot be had from {awaited.job.ref}: {awaited.problem}")
        for name in names:
            older = self._names[name].former is not _NOTHING
            give_back = f" (del {name} gives back the value from before)" if older else ""
            if awaited.failed is not None:
                _stop(f"{name} was not made{give_back}: {awaited.failed.message}")
            if name in awaited.missing:
                awaited.told.add(name)
                _stop(f"{awaited.missing[name]}{give_back}")

    # --- one name ----------------------------------------------------------------------------------------

    def _is_placeholder(self, name: str) -> bool:
        return self._shell.user_ns.get(name) is self._names[name].placeholder

    def _give_back(self, name: str) -> None:
        former = self._names[name].former
        if former is _NOTHING:
            self._shell.user_ns.pop(name, None)
        else:
            self._shell.user_ns[name] = former

    def _drop(self, name: str) -> None:
        awaited = self._names.pop(name).awaited
        if not self._uses(awaited):
            awaited.stop()

    def _uses(self, awaited: Awaited) -> bool:
        return any(pending.awaited is awaited for pending in self._names.values())

    def _of(self, job: Job) -> list[Awaited]:
        return [*dict.fromkeys(p.awaited for p in self._names.values() if p.awaited.job is job)]


def _stop(message: str) -> NoReturn:
    raise CellStopped(message) from None


def _and(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Have an interrupt raise KeyboardInterrupt here: before a cell with a top-level await it would cancel a task."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
