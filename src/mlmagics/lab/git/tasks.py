"""What takes long: fetch, pull and push, one at a time in each repository; each tells how far it is.

::

    running -> done | failed | cancelled | needs_credentials | needs_choice | conflict      all of these are final
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from mlmagics.errors import UserError
from mlmagics.lab.git.cancelling import Cancel
from mlmagics.lab.git.progress import Reader
from mlmagics.lab.git.refusals import Cancelled, GitBusy, HasChanged
from mlmagics.lab.git.transfer import Ending, NeedsCredentials, credentials_of

Message = dict[str, Any]
_LOG = logging.getLogger(__name__)
#: Between two messages about progress.
_TELL_S = 0.2
#: Tasks that have ended and can still be asked for.
_KEPT = 50
_THREADS = 8
#: A fetch of its own accord makes room for what the person asks for.
_ROOM_S = 15.0
#: A change waits so long for another one in the same repository.
_TURN_S = 10.0


class Task:
    """One of them."""

    def __init__(self, root: str, operation: str, *, quiet: bool) -> None:
        self.task_id = secrets.token_hex(8)
        self.root = root
        self.operation = operation
        self.quiet = quiet
        self.cancel = Cancel()
        self.ended = threading.Event()
        self._reader = Reader()
        self._ending: Ending = {}
        self._state = "running"

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._state == "running"

    def heard(self, data: bytes) -> bool:
        """Whether what git wrote has brought a new step."""
        return self._reader.take(data)

    def end(self, state: str, ending: Ending) -> None:
        """It has ended."""
        self._ending = ending
        self._state = ending.get("state", state)

    def view(self) -> Message:
        """As the sidebar is told."""
        step = self._reader.step if self.running else None
        return {
            "type": "git-task",
            "task": self.task_id,
            "root": self.root,
            "operation": self.operation,
            "quiet": self.quiet,
            "cancelling": self.running and self.cancel.is_set(),
            "progress": step.text if step else "",
            "fraction": step.fraction if step else None,
            "message": "",
            "next": "",
            "code": None,
            "remote_says": [*self._reader.remote_says],
            **self._ending,
            "state": self._state,
        }


class Tasks:
    """All tasks of a server. May be used from any thread."""

    def __init__(self, tell: Callable[[Message], None]) -> None:
        self._tell = tell
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="mlmagics-git-task")
        self._lock = threading.Lock()
        self._tasks: dict[str, Task] = {}
        self._turns: dict[str, threading.Lock] = {}

    def start(self, folder: str, task: Task, work: Callable[[Task, Callable[[bytes], None]], Ending]) -> Task:
        """Do ``work`` in the repository in ``folder``.

        Raises
        ------
        GitBusy
            When another one is under way there, other than a quiet fetch, which makes room.
        """
        with self._lock:
            other = self._running(task.root)
            if other is not None and (not other.quiet or task.quiet):
                raise GitBusy(
                    f"a {other.operation} is under way in this repository: wait for its end, or cancel it"
                )
            self._tasks[task.task_id] = task
            done = [known for known in self._tasks.values() if not known.running]
            for old in done[: max(0, len(done) - _KEPT)]:
                del self._tasks[old.task_id]
        if other is not None:
            other.cancel.set()
        self._threads.submit(self._do, folder, task, other, work).add_done_callback(_log)
        return task

    def get(self, task_id: str) -> Task:
        """The task of that name.

        Raises
        ------
        HasChanged
            When there is none any more.
        """
        with self._lock:
            task = self._tasks.get(task_id)
        if task is None:
            raise HasChanged("that task is not known any more: look again")
        return task

    def of(self, root: str) -> Task | None:
        """What goes on in a repository now."""
        with self._lock:
            return self._running(root)

    def cancel(self, task_id: str) -> Task:
        """Have a task end; it tells when it has."""
        task = self.get(task_id)
        if task.running:
            task.cancel.set()
            self._tell(task.view())
        return task

    @contextmanager
    def turn(self, folder: str) -> Iterator[None]:
        """The right to change files and the index of a repository.

        Raises
        ------
        GitBusy
            When somebody else has it for too long.
        """
        with self._lock:
            lock = self._turns.setdefault(folder, threading.Lock())
        if not lock.acquire(timeout=_TURN_S):
            raise GitBusy()
        try:
            yield
        finally:
            lock.release()

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            tasks = [*self._tasks.values()]
        for task in tasks:
            if task.running:
                task.cancel.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _running(self, root: str) -> Task | None:
        return next(
            (task for task in reversed(self._tasks.values()) if task.running and task.root == root), None
        )

    def _do(
        self,
        folder: str,
        task: Task,
        other: Task | None,
        work: Callable[[Task, Callable[[bytes], None]], Ending],
    ) -> None:
        self._tell(task.view())
        told_at = 0.0

        def watch(data: bytes) -> None:
            nonlocal told_at
            if task.heard(data) and time.monotonic() > told_at + _TELL_S:
                told_at = time.monotonic()
                self._tell(task.view())

        try:
            if other is not None:
                other.ended.wait(_ROOM_S)
            # a fetch leaves files and index alone, and so does a push
            if task.operation == "pull":
                with self.turn(folder):
                    task.end("done", work(task, watch))
            else:
                task.end("done", work(task, watch))
        except Cancelled:
            task.end("cancelled", {"message": f"the {task.operation} was cancelled"})
        except NeedsCredentials as error:
            task.end(*_asks(task, error))
        except UserError as error:
            paths = getattr(error, "paths", [])
            told = {"message": error.message, "code": error.code, **({"paths": paths} if paths else {})}
            task.end("failed", told)
        finally:
            if task.running:
                task.end("failed", {"message": "something broke in the Jupyter server; its log says what"})
            task.ended.set()
            self._tell(task.view())


def _log(done: Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        _LOG.error("a task of git broke", exc_info=error)


def _asks(task: Task, error: NeedsCredentials) -> tuple[str, Ending]:
    wanted = error.wanted
    if wanted.kind == "passphrase":
        message = (
            f"the key {wanted.host} {'has another passphrase' if wanted.refused else 'needs its passphrase'}"
        )
        then = "give the passphrase, or add the key to an agent with ssh-add in a terminal"
    else:
        message = (
            f"{wanted.host} {'refused the user name or token' if wanted.refused else 'asks who you are'}"
        )
        then = "give a user name and an access token for it"
    ending: Ending = {"message": error.message or message, "code": "git_denied"}
    if task.quiet:
        return "failed", ending
    return "needs_credentials", {
        **ending,
        "credentials": credentials_of(wanted),
        "next": then,
    }
