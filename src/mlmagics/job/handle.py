"""A job in Python's hands: look, wait, read, cancel, run again."""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import msgspec

from cluster_agent.client import AgentClient, Hook
from cluster_agent.errors import NotFound, NoTunnel
from cluster_agent.protocol import ACTIVE, Event, FileEntry, ResultEntry, State, ViewCode, word
from cluster_agent.protocol import Job as JobInfo
from cluster_agent.units import parse_duration
from mlmagics.cluster.connecting import page_base
from mlmagics.cluster.names import LOCAL
from mlmagics.cluster.session import Session, told
from mlmagics.errors import ClusterError, JobFailed, UserError, WaitTimeout
from mlmagics.job.awaiting import succeeded
from mlmagics.job.download import copy_files
from mlmagics.job.failures import ending, failure
from mlmagics.job.feed import Feed
from mlmagics.job.points import metric_points
from mlmagics.job.results import decode, entry_of, mapped, refuse_pickle
from mlmagics.preflight.here import here

#: Events at a log's end among which the error of a failed job is looked for first.
_TAIL = 100
_LOOK_S = 1.0
_END_FIELDS = ("state", "exit_code", "signal", "reason", "complete", "seconds", "peak_memory_bytes")


class Job:
    """One job of one cluster.

    Attributes
    ----------
    cluster
        Where it is.
    info
        What its agent told last; asks nobody.
    notes
        Lines that its submitter should see, such as that the agent behind the name is a new one.
    """

    def __init__(self, session: Session, cluster: str, info: JobInfo, notes: tuple[str, ...] = ()) -> None:
        self.cluster = cluster
        self.info = info
        self.notes = notes
        self.session = session

    def __repr__(self) -> str:
        name = f" {self.info.name!r}" if self.info.name else ""
        return f"<Job {self.ref}{name}: {self.word}>"

    @property
    def job_id(self) -> int:
        """Its number on its cluster."""
        return self.info.job_id

    @property
    def ref(self) -> str:
        """Its name for people and for every command: ``gpu-box/42``."""
        return f"{self.cluster}/{self.info.job_id}"

    @property
    def history_url(self) -> str:
        """Its page in a browser."""
        return self.info.history_url

    @property
    def was_there(self) -> bool:
        """Whether the submit that gave this handle has run nothing, since this job does the same (``once``)."""
        return self.info.same_as == self.info.job_id

    @property
    def word(self) -> str:
        """Its last known state as people see it, such as ``Running``."""
        return word(self.info.state, stopping=self.info.stopping)

    @property
    def state(self) -> State:
        """Its state now; asks the agent until the job has ended."""
        return self.refresh().info.state if self.info.state in ACTIVE else self.info.state

    def refresh(self) -> Job:
        """This handle, after asking its agent."""
        with self._asking() as client:
            self.info = client.job(self.job_id)
        return self

    def events(
        self,
        after: str = "0",
        *,
        tail: int | None = None,
        follow: bool = True,
        on_trouble: Callable[[Exception], None] | None = None,
        hook: Hook | None = None,
    ) -> Iterator[Event]:
        """Its events after a cursor, or the last ``tail``; with ``follow`` on to its end, over broken connections."""
        with self._asking() as client:
            if follow:
                troubled = on_trouble or (lambda _problem: self.revive())
                events = client.follow(self.job_id, after=after, tail=tail, on_trouble=troubled, hook=hook)
            else:
                events = client.events(self.job_id, after=after, tail=tail)
            for event in events:
                if event.type == "ended":
                    self.note_end(event)
                elif event.type == "started" and event.environment:
                    self.info = msgspec.structs.replace(self.info, environment=event.environment)
                yield event

    def note_end(self, event: Event) -> None:
        """Take the job's end from its ``ended`` event; the agent's own record may follow a moment later."""
        said = {name: getattr(event, name) for name in _END_FIELDS if getattr(event, name) is not None}
        ended_at = self.info.ended_at or event.at
        self.info = msgspec.structs.replace(self.info, **said, ended_at=ended_at, stopping=False)

    def wait(self, timeout_s: float | None = None) -> Job:
        """This handle once the job has succeeded. An interrupt ends the waiting only.

        Raises
        ------
        JobFailed
            When it ended in any other way.
        WaitTimeout
            When it has not ended within ``timeout_s``.
        """
        if self.wait_for_end(timeout_s) is not State.SUCCEEDED:
            raise self.failure()
        return self

    def wait_for_end(
        self,
        timeout_s: float | None = None,
        stop: threading.Event | None = None,
        on_trouble: Callable[[str | None], None] | None = None,
    ) -> State:
        """Its state once it has ended, however it did; its state at present once ``stop`` is set.

        ``on_trouble`` is told, about once a second, why there is no contact at present; None while there is.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        if self.info.state not in ACTIVE:
            return self.info.state
        with Feed(self, tail=1) as feed:
            while not feed.done and not (stop and stop.is_set()):
                left = _LOOK_S if deadline is None else min(_LOOK_S, deadline - time.monotonic())
                if left <= 0:
                    raise WaitTimeout(
                        f"{self.ref} has not ended; it goes on. To wait again: %wait {self.ref}"
                    )
                feed.get(left)
                if on_trouble is not None:
                    on_trouble(feed.trouble)
            if feed.error:
                raise feed.error
        if self.info.packages and not self.info.environment:
            # what was installed for it is told when it starts, which need not have been seen
            with contextlib.suppress(UserError):
                self.refresh()
        return self.info.state

    def failure(self, error: Event | None = None) -> JobFailed:
        """What to raise for this job, which ended without success; ``error`` is its last error event if at hand."""
        return failure(self.ref, self.info, error or self._error_event(), here())

    def ending(self, error: Event | None = None) -> str:
        """The line for people about its end without success; arguments as those of :meth:`failure`."""
        return ending(self.ref, self.info, error or self._error_event(), here())

    def logs(self) -> str:
        """All text that it has printed and shown so far, tracebacks included."""
        return "".join(event_text(event) for event in self.events(follow=False))

    def cancel(self, reason: str = "") -> Job:
        """This handle after asking for the job's end. A job that has ended stays as it is."""
        with self._asking() as client:
            self.info = client.cancel(self.job_id, reason)
        return self

    def extend(self, more: str | float) -> Job:
        """This handle after giving the job ``more`` time: seconds, or text such as ``2h``."""
        extra_s = parse_duration(more) if isinstance(more, str) else more
        with self._asking() as client:
            self.info = client.extend(self.job_id, extra_s)
        return self

    def resubmit(self, **changes: Any) -> Job:
        """A new job with this one's cell and resources; ``changes`` are options of ``mlmagics.submit``."""
        from mlmagics.job.repeating import submit_again

        return submit_again(self, changes)

    def results(self) -> list[ResultEntry]:
        """The variables that it has kept, as far as it has come to them; one with a ``reason`` was not kept."""
        with self._asking() as client:
            return client.results(self.job_id)

    def result(self, name: str, timeout_s: float | None = None, *, trust: bool = False) -> Any:
        """The value of the variable ``name`` that it has kept, once it has succeeded.

        With ``trust`` also one that only a pickle holds: reading it runs what is in it.

        Raises
        ------
        NotTrusted
            When it can be read only by running what is in it.
        JobFailed
            When it ended in any other way.
        WaitTimeout
            When it has not ended within ``timeout_s``.
        UserError
            When it has kept no such value; with the reason.
        """
        self.wait(timeout_s)
        return self.value_of(entry_of(self.results(), name, self.ref), trust=trust)

    def value_of(self, entry: ResultEntry, *, trust: bool = False) -> Any:
        """The value of one of :meth:`results`; raises as :meth:`result` does."""
        if not trust:
            refuse_pickle(entry, self.ref)
        own = mapped(entry.path, entry.size) if entry.path else None
        if own is not None:
            # the agent's own file under the name of its hash, which nobody has sent
            return decode(entry, own, self.ref, trust=trust, sha256=entry.sha256)
        with self._asking() as client:
            data, sha256 = client.result_of(self.job_id, entry)
        return decode(entry, data, self.ref, trust=trust, sha256=sha256)

    def result_bytes(self, name: str) -> bytes:
        """A kept value as it travels, in the format that its entry names."""
        with self._asking() as client:
            return client.result(self.job_id, name)

    def lock(self) -> str:
        """Exactly which packages were installed for it: a requirements file; empty when none, or not yet."""
        with self._asking() as client:
            try:
                return client.lock(self.job_id)
            except NotFound:
                return ""

    def result_parts(self, name: str) -> Iterator[bytes]:
        """The same in pieces."""
        with self._asking() as client:
            yield from client.result_parts(self.job_id, name)

    def metrics(self) -> list[dict[str, Any]]:
        """What ``mlmagics.log`` has recorded so far, a dict for each call; of very many evenly spread ones."""
        return metric_points(self.events(follow=False))

    def files(self) -> list[FileEntry]:
        """What it left in its working folder."""
        with self._asking() as client:
            return client.job_files(self.job_id)

    def fetch_files(
        self, dest: str | Path = ".", paths: list[str] | None = None, overwrite: bool = False
    ) -> list[Path]:
        """Where the files that it left lie now, under ``dest``: all of them, or the files and folders ``paths``.

        Raises
        ------
        BadValue
            When one of ``paths`` is not there, or another file lies in the place of one and ``overwrite`` is not
            set. Nothing is copied then.
        """
        return [copied.path for copied in copy_files(self, dest, paths, overwrite=overwrite)]

    def file(self, path: str) -> Iterator[bytes]:
        """The bytes of one file that it left, in pieces."""
        with self._asking() as client:
            yield from client.job_file(self.job_id, path)

    def blob(self, sha256: str) -> bytes:
        """Display data that was too large for the log."""
        with self._asking() as client:
            return client.blob(self.job_id, sha256)

    def input_parts(self, sha256: str) -> Iterator[bytes]:
        """The bytes of a value or module that travelled with it, in pieces."""
        with self._asking() as client:
            yield from client.input_parts(self.job_id, sha256)

    def view_code(self) -> ViewCode:
        """A code that opens its page in a browser once, without a token; with the page's address."""
        with self._asking() as client:
            code = client.view_code(self.job_id)
        # the address that works from here, and not whatever an agent says that a browser should open
        try:
            base = page_base(self.session.attachment(self.cluster), code.url)
        except NoTunnel as error:
            raise ClusterError(f"{self.cluster}: {error}", cluster=self.cluster, code="unreachable") from None
        page = f"{base}/history/{self.job_id}#code={code.code}"
        return msgspec.structs.replace(code, url=page)

    def revive(self) -> None:
        """Start the agent of one's own when it is gone: nobody else would, and the job may go on."""
        if self.cluster == LOCAL:
            self.session.local.ensure()

    def __await__(self) -> Generator[Any, None, Job]:
        return succeeded(self).__await__()

    def _error_event(self) -> Event | None:
        seen: dict[str, int] = {}
        for tail in (_TAIL, None):
            found = None
            for event in self.events(tail=tail, follow=False):
                if event.type == "error":
                    found = event
                seen = event.events or seen
            if found or not seen.get("error"):
                return found
        return None

    @contextlib.contextmanager
    def _asking(self) -> Iterator[AgentClient]:
        client = self.session.client(self.cluster)
        with told(self.cluster, f"job {self.job_id}"):
            yield client


def event_text(event: Event) -> str:
    """What an event adds to a job's log as plain text; empty for most types."""
    if event.type == "output":
        return event.text or base64.b64decode(event.base64 or "").decode("utf-8", "replace")
    if event.type == "display":
        shown = (event.data or {}).get("text/plain", "")
        return f"{shown}\n" if shown else ""
    if event.type == "error":
        return "\n".join(event.traceback or [f"{event.ename}: {event.evalue}"]) + "\n"
    return ""
