"""An agent as seen from outside: blocking calls, and streams of events that outlive their connections."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec.structs import replace

from cluster_agent.admin_calls import AdminCalls
from cluster_agent.errors import (
    AgentError,
    BadCursor,
    ServerFault,
    StorageFault,
    TooBusy,
    TooManyTries,
    Unconfirmed,
    Unreachable,
)
from cluster_agent.event_stream import EventStream, Hook, NotEvents
from cluster_agent.file_calls import FileCalls
from cluster_agent.protocol import (
    NDJSON,
    SILENCE_S,
    Cursor,
    Event,
    Health,
    Info,
    Job,
    JobList,
    LockRequest,
    MadeLock,
    Packages,
    State,
    Submit,
    ViewCode,
)

if TYPE_CHECKING:
    from cluster_agent.connections import Tunnel as Tunnel
    from cluster_agent.transport import Reply as Reply

__all__ = ["AgentClient", "Hook", "Unconfirmed"]

#: Waits between two connections of a stream that is followed.
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 10.0
#: Faults that may be over when asked again.
_PASSING = (Unreachable, ServerFault, StorageFault, TooBusy, TooManyTries)


_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class _EndedEarly(Unreachable):
    """A stream of events ended, as it should, but without ``ended``."""


class AgentClient(FileCalls, AdminCalls):
    """One agent. Connections are kept and shared by all threads that use the client.

    Every method raises :class:`cluster_agent.errors.AgentError`: the agent's own, or ``Unreachable`` with one
    line that names the address and the cause.

    Parameters
    ----------
    url
        ``https://HOST:PORT`` or ``http://HOST:PORT``.
    token
        Sent to this address only.
    uds
        Path of the agent's Unix socket, where it is on this machine.
    ca
        Path of a PEM file with the one certificate (or issuer) that may vouch for the agent.
    pin
        SHA-256 in hex of the one certificate that is believed, whatever name or date it has; in place of ``ca``.
    own_only
        Send nothing unless the program that listens there belongs to this user or to root.
    tunnel
        A way to an agent elsewhere, in place of ``uds``; it is made when it is needed, and again when it broke.
    timeout_s
        For a connection, and for each wait for an answer.
    silence_s
        After which a stream of events counts as broken.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        uds: str | None = None,
        ca: str | None = None,
        pin: str = "",
        own_only: bool = False,
        tunnel: Tunnel | None = None,
        timeout_s: float = 10.0,
        silence_s: float = SILENCE_S,
    ) -> None:
        # httpx is long to import, and a kernel may never ask an agent
        from cluster_agent.transport import Transport

        super().__init__(
            Transport(
                url,
                token=token,
                uds=uds,
                ca=ca,
                pin=pin,
                timeout_s=timeout_s,
                own_only=own_only,
                tunnel=tunnel,
            ),
            silence_s,
        )
        self.url = tunnel.address if tunnel is not None else self._transport.url
        self._shown = tunnel.shown if tunnel is not None else ""
        #: whether it speaks through a Unix socket, so that the agent may be of this machine and user
        self.on_socket = uds is not None

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> AgentClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the agent and its jobs ---------------------------------------------------------------------------

    def info(self) -> Info:
        """What the agent is and has, and who the caller is to it."""
        info = self._transport.call("GET", "/v1/info", Info)
        return replace(info, public_url=self._shown) if self._is_there_only(info.public_url) else info

    def packages(self, runtime: str = "", python: str = "") -> Packages:
        """What a job finds in a runtime, or in the agent's default Python; an agent of one's own asks ``python``."""
        params = {"runtime": runtime or None, "python": python or None}
        return self._transport.call("GET", "/v1/packages", Packages, params=params)

    def make_lock(self, packages: Sequence[str], runtime: str = "", python: str = "") -> MadeLock:
        """The versions that a job with these packages would get now; empty when only the job can find out."""
        body = LockRequest(packages=list(packages), runtime=runtime, python=python or None)
        return self._transport.call("POST", "/v1/locks", MadeLock, json=body)

    def health(self) -> Health:
        """Which agent this is and that it serves; no token is needed for it."""
        return self._transport.call("GET", "/healthz", Health)

    def submit(self, spec: Submit, key: str) -> Job:
        """The job that was made of ``spec``, once per ``key``, however often it is sent.

        A connection that breaks is tried again with the same key for ``timeout_s``.

        Raises
        ------
        Unconfirmed
            When it may have been accepted; the same call again gives the answer.
        """
        give_up = time.monotonic() + self._transport.timeout_s
        doubt: Unconfirmed | None = None
        for wait_s in _waits():
            try:
                job = self._transport.call(
                    "POST", "/v1/jobs", Job, json=spec, headers={"Idempotency-Key": key}
                )
                return self._from_here(job)
            except Unreachable as error:
                if isinstance(error, Unconfirmed):
                    doubt = error
                if doubt is None:
                    raise
                if time.monotonic() + wait_s > give_up:
                    raise Unconfirmed(f"{error.message}; the job may have been accepted") from error
            time.sleep(wait_s)
        raise AssertionError("waits never end")

    def job(self, job_id: int) -> Job:
        """One job, with its source."""
        return self._from_here(self._transport.call("GET", f"/v1/jobs/{job_id}", Job))

    def jobs(
        self,
        *,
        states: Iterable[State] | None = None,
        user: str | None = None,
        project: str | None = None,
        name: str | None = None,
        since: float | None = None,
        notebook: str | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> JobList:
        """Jobs, newest first, a page at a time; ``user="me"`` are the caller's own."""
        wanted = ",".join(sorted(state.value for state in states)) if states is not None else None
        params = {"state": wanted, "user": user, "project": project, "name": name, "since": since}
        params |= {"notebook": notebook, "limit": limit, "after": after}
        found = self._transport.call("GET", "/v1/jobs", JobList, params=params)
        return replace(found, jobs=[self._from_here(job) for job in found.jobs]) if self._shown else found

    def cancel(self, job_id: int, reason: str = "") -> Job:
        """The job, asked to stop; unchanged when it has ended already."""
        path = f"/v1/jobs/{job_id}/cancel"
        return self._from_here(self._transport.call("POST", path, Job, json={"reason": reason}))

    def extend(self, job_id: int, extra_s: float) -> Job:
        """The job with ``extra_s`` more time."""
        path = f"/v1/jobs/{job_id}/extend"
        return self._from_here(self._transport.call("POST", path, Job, json={"extra_s": extra_s}))

    def view_code(self, job_id: int) -> ViewCode:
        """A code that opens the job's history page once."""
        return self._transport.call("POST", f"/v1/jobs/{job_id}/view-code", ViewCode, json={})

    def _from_here(self, job: Job) -> Job:
        """``job`` with a history URL that means it also on this side of a tunnel."""
        if not self._is_there_only(job.history_url):
            return job
        return replace(job, history_url=f"{self._shown}/history/{job.job_id}")

    def _is_there_only(self, url: str) -> bool:
        """Whether ``url`` is an address of the box's own loopback, which is another machine's here."""
        return bool(self._shown) and (urlsplit(url).hostname or "") in _LOOPBACK

    # --- events -------------------------------------------------------------------------------------------

    def events(
        self, job_id: int, *, after: str = "0", tail: int | None = None, follow: bool = False
    ) -> Iterator[Event]:
        """The job's events behind the cursor ``after``, or its last ``tail``, by one connection.

        With ``follow`` the stream goes on to the event ``ended``; when it breaks before that, the error is
        ``Unreachable``, and what was given out until then is right and in order.
        """
        with self._event_stream(job_id, after, tail, follow=follow) as stream:
            yield from stream

    def follow(
        self,
        job_id: int,
        *,
        after: str = "0",
        tail: int | None = None,
        on_trouble: Callable[[AgentError], None] | None = None,
        hook: Hook | None = None,
    ) -> Iterator[Event]:
        """The job's events to the last one, ``ended``, by as many connections as it takes.

        No event comes twice and none is left out. Lines that are not stored (``heartbeat``, ``queue``) have
        no ``seq``. ``on_trouble`` is told of each connection that broke; what cannot pass, such as a token
        that is no longer valid or a job that was deleted, is raised. By ``hook`` another thread ends it.
        """
        waits = _waits()
        hook = hook or Hook()
        while not hook.hung_up():
            silent = True
            try:
                with self._event_stream(job_id, after, tail, follow=True, hook=hook) as stream:
                    for event in stream:
                        silent = False
                        if stream.cursor is not None:
                            after, tail = str(stream.cursor), None
                        if event.seq is not None or event.type == "heartbeat":
                            waits = _waits()
                        yield event
                return
            except _PASSING as error:
                if hook.hung_up():
                    return
                if silent and isinstance(error, _EndedEarly) and self._has_all(job_id, after, tail):
                    return
                if on_trouble is not None:
                    on_trouble(error)
            hook.wait(next(waits))

    def _has_all(self, job_id: int, after: str, tail: int | None) -> bool:
        """Whether a reader who stands at ``after`` has seen the job's ``ended``, so that nothing can come."""
        try:
            last = next(self.events(job_id, tail=1), None)
        except AgentError:
            return False
        if last is None or last.type != "ended":
            return False
        return tail is not None or Cursor.parse(after).seq >= (last.seq or 0)

    @contextmanager
    def _event_stream(
        self, job_id: int, after: str, tail: int | None, *, follow: bool, hook: Hook | None = None
    ) -> Iterator[EventStream]:
        seen = _seen(after) if tail is None else None
        params = {"after": after if tail is None else None, "tail": tail, "follow": 1 if follow else None}
        path = f"/v1/jobs/{job_id}/events"
        with self._transport.open(
            "GET", path, accept=NDJSON, params=params, silence_s=self._silence_s
        ) as reply:
            stream = EventStream(reply.chunks(), tag=self._log_tag(reply), after=seen)
            try:
                with hook.on(reply.break_off) if hook else nullcontext():
                    yield stream
            except NotEvents as error:
                raise self._transport.no_agent(str(error)) from None
        if stream.half_line or (follow and not stream.ended):
            raise _EndedEarly(f"{self.url}: the stream of events ended before the job did")

    def _log_tag(self, reply: Reply) -> str:
        tag = reply.headers.get("Log-Tag", "")
        try:
            return Cursor.parse(f"{tag}.1").tag
        except ValueError:
            raise self._transport.no_agent("without the header Log-Tag") from None


def _waits() -> Iterator[float]:
    """Ever longer waits, none twice the same, so that a thousand readers do not come back at once."""
    longest = FIRST_WAIT_S
    while True:
        yield longest * random.uniform(0.5, 1.0)  # noqa: S311
        longest = min(LONGEST_WAIT_S, 2 * longest)


def _seen(after: str) -> int:
    try:
        return Cursor.parse(after).seq
    except ValueError as error:
        raise BadCursor(str(error), field="after") from None
