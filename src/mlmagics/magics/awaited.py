"""The values that one job still has to make, and what stands in a notebook for each until then."""

from __future__ import annotations

import threading
from typing import Any, NoReturn

from cluster_agent.protocol import State
from mlmagics.errors import JobFailed, UserError
from mlmagics.job.handle import Job
from mlmagics.job.results import not_kept


class NotHereYet(UserError):
    """A value was used that a job has still to make."""

    code = "not_here_yet"


class Awaited:
    """The results of one job that a notebook waits for.

    A thread waits for the job's end and takes the values; whoever runs cells puts them into the namespace.
    """

    def __init__(self, job: Job, names: list[str], *, trust: bool = False) -> None:
        self.job = job
        self.names = names
        self._trust = trust
        #: why nothing is known at present; None while there is contact
        self.trouble: str | None = None
        #: by name, once all that will come is here
        self.values: dict[str, Any] = {}
        #: by name, why there is none
        self.missing: dict[str, str] = {}
        #: those of them that were told
        self.told: set[str] = set()
        self.failed: JobFailed | None = None
        #: why the end could not be waited for; asked again on next use
        self.problem: Exception | None = None
        self._decided = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def decided(self) -> bool:
        """Whether it is known what came of each name."""
        return self._decided.is_set()

    def wait(self, seconds: float) -> bool:
        """Whether it is decided within ``seconds``."""
        return self._decided.wait(seconds)

    def watch(self) -> None:
        """Wait for the job's end in a thread, unless one does or it is decided; begin again after a problem."""
        if self.problem is not None:
            self.problem = None
            self._decided.clear()
        if self.decided or (self._thread is not None and self._thread.is_alive()):
            return
        self._thread = threading.Thread(
            target=self._watch, name=f"mlmagics-results-{self.job.ref}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Wait no more."""
        self._stop.set()

    def _watch(self) -> None:
        try:
            self.job.wait_for_end(stop=self._stop, on_trouble=self._troubled)
            if self._stop.is_set():
                return
            if self.job.info.state is State.SUCCEEDED:
                self._take_values()
            else:
                self.failed = self.job.failure()
        except Exception as error:  # noqa: BLE001 - raised in the cell that needs a value
            self.problem = error
        self._decided.set()

    def _troubled(self, trouble: str | None) -> None:
        self.trouble = trouble

    def _take_values(self) -> None:
        ref = self.job.ref
        entries = {entry.name: entry for entry in self.job.results()}
        for name in self.names:
            entry = entries.get(name)
            if entry is None:
                self.missing[name] = f"{name} was not kept by {ref}"
            elif entry.reason is not None:
                self.missing[name] = not_kept(entry, ref)
            else:
                try:
                    self.values[name] = self.job.value_of(entry, trust=self._trust)
                except UserError as error:
                    self.missing[name] = error.message


class Placeholder:
    """Stands for a value that is not here yet, so that nobody reads an older one: every use of it says so.

    Cells that name the value never meet it: they wait before they begin. Code that reaches it in another way
    (``eval``, a thread, a function out of a list) does.
    """

    __slots__ = ("_line", "_shown")

    def __init__(self, name: str, ref: str) -> None:
        object.__setattr__(self, "_shown", f"<{name}: not here yet, {ref} makes it>")
        object.__setattr__(
            self,
            "_line",
            f"{name} is not here yet: {ref} makes it, and it arrives between cells. A cell that names {name} "
            f"waits for it; this one reached it in another way: put {name} into a line of its own first",
        )

    def __repr__(self) -> str:
        shown: str = object.__getattribute__(self, "_shown")
        return shown

    def __getattr__(self, attribute: str) -> NoReturn:
        if attribute.startswith("_"):
            # front ends look for _repr_html_ and the like
            raise AttributeError(attribute)
        _raise(self)


def _raise(placeholder: Placeholder) -> NoReturn:
    raise NotHereYet(object.__getattribute__(placeholder, "_line"))


def _use(self: Placeholder, *_given: object) -> NoReturn:
    _raise(self)


#: Not among them: what only shows an object, such as ``%whos`` does with everything.
_USES = """
    call getitem setitem delitem iter next len contains reversed bool int float index complex bytes
    eq ne lt le gt ge neg pos abs invert round enter exit await aiter anext setattr delattr array reduce_ex
    add sub mul matmul truediv floordiv mod divmod pow lshift rshift and or xor
    radd rsub rmul rmatmul rtruediv rfloordiv rmod rdivmod rpow rlshift rrshift rand ror rxor
    iadd isub imul imatmul itruediv ifloordiv imod ipow ilshift irshift iand ior ixor
"""
for _name in _USES.split():
    setattr(Placeholder, f"__{_name}__", _use)
