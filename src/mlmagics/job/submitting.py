"""From a cell and its options to a job: everything is checked before anything is sent.

The steps of :func:`prepare` stand one after another: options, checks, what travels, request. Nothing has left this
machine by then; :meth:`Prepared.send` is the rest.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from cluster_agent.client import AgentClient
from cluster_agent.errors import BlobMissing
from cluster_agent.protocol import Priority, Submit
from mlmagics.cluster.names import LOCAL
from mlmagics.cluster.session import Session, current, told
from mlmagics.cluster.store import Attachment
from mlmagics.display.transfer import Transfer
from mlmagics.environments.locks import check_needs, made_lock
from mlmagics.errors import Interrupted
from mlmagics.job.asked import Asked
from mlmagics.job.functions import source_of
from mlmagics.job.handle import Job
from mlmagics.job.same import told_same
from mlmagics.preflight.asking import look_at
from mlmagics.preflight.syntax import check_source, newer_python
from mlmagics.sending.handshake import shake_hands
from mlmagics.sending.notebook import Send, luggage_for
from mlmagics.sending.parcel import Parcel, pack
from mlmagics.sending.uploading import send_missing


class SubmitInterrupted(Interrupted):
    """The sending of a cell was interrupted; its job may exist."""

    code = "submit_interrupted"


@contextlib.contextmanager
def sending() -> Iterator[None]:
    """Turn an interrupt before the answer to a submit into the line that says where its job is, if there is one."""
    try:
        yield
    except KeyboardInterrupt:
        raise SubmitInterrupted(
            "interrupted before the cluster had answered: %jobs shows the job if it was accepted. The same cell, run "
            "again, is taken for it and does not run twice"
        ) from None


def submit(
    source: str | Callable[..., Any],
    on: str | None = None,
    *,
    name: str = "",
    project: str | None = None,
    gpus: int | None = None,
    cpus: int | None = None,
    memory: str | int | None = None,
    timeout: str | float | None = None,
    grace: str | float | None = None,
    priority: Priority = "normal",
    env: Mapping[str, str | None] | None = None,
    fetch: str | Iterable[str] = (),
    send: Send = (),
    params: Mapping[str, Any] | None = None,
    packages: str | Iterable[str] = (),
    runtime: str = "",
    lock: str = "",
    once: bool = False,
    check: bool = True,
    retry_of: int | None = None,
    session: Session | None = None,
) -> Job:
    """The job that runs ``source`` on a cluster; it is on that cluster's disk when this returns.

    Parameters
    ----------
    source
        The cell, at most 1 MiB; or a function, which is called without arguments and uses nothing from here but what
        is sent.
    on
        Name of the cluster; needed when several are attached.
    memory
        Bytes, or text such as ``"16G"``.
    timeout, grace
        Seconds, or text such as ``"8h"``: the time limit, and the time between interrupt and TERM.
    env
        Variables for the job's process only; None as a value takes this process's own.
    fetch
        Names of the cell's variables that are kept when it succeeds, for :meth:`Job.result`.
    send
        What the job finds as it is here: names of the notebook's variables; ``"auto"`` for all that the cell uses
        and does not define; or values by name.
    params
        Constants that are assigned before the first line, and shown in the job's record.
    packages
        What it needs beside what its Python has, such as ``["pandas>=2", "rich"]`` or one text with commas; and what
        a block ``# /// script`` in it lists.
    runtime
        Name of an interpreter that ops have defined there, in place of the cluster's default.
    lock
        Exactly which packages, as :meth:`Job.lock` gives them; chosen anew without it.
    once
        Where a job does the same and has succeeded, or has not ended, that one is returned and nothing is run.
    check
        False sends the cell without looking at it first, and never takes it for an earlier submit whose answer was
        lost.

    Raises
    ------
    BadValue
        When an option or the cell is wrong; nothing was sent.
    ClusterError
        When the cluster refused or does not answer.
    """
    if callable(source):
        source, name = source_of(source, alone=not send), name or str(getattr(source, "__name__", ""))
    asked = Asked(
        name=name,
        project=project,
        gpus=gpus,
        cpus=cpus,
        memory=memory,
        timeout=timeout,
        grace=grace,
        priority=priority,
        env=env or {},
        fetch=fetch,
        send=send,
        params=params or {},
        packages=packages,
        runtime=runtime,
        lock=lock,
        once=once,
    )
    return prepare(source, on, asked, check=check, retry_of=retry_of, session=session).send()


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A submit with everything checked, of which nothing has left this machine."""

    session: Session
    cluster: str
    attachment: Attachment
    request: Submit
    #: whether an equal submit whose answer was lost is taken for this one
    again: bool
    #: what goes ahead of it
    parcel: Parcel = field(default_factory=Parcel)
    #: lines for whoever submits: what may go wrong
    remarks: tuple[str, ...] = ()

    def send(self) -> Job:
        """The job, on the cluster's disk.

        Raises
        ------
        ClusterError
            When the cluster refused or does not answer.
        """
        client = self.session.client(self.cluster)
        body = msgspec.json.encode(self.request)
        with told(self.cluster):
            self._send_ahead(client)
            with self.session.journal.submitting(self.cluster, body, again=self.again) as submitting:
                try:
                    info = client.submit(self.request, submitting.key)
                except BlobMissing:
                    # its day was over at this moment, or somebody has tidied
                    self._send_ahead(client)
                    info = client.submit(self.request, submitting.key)
        job = Job(self.session, self.cluster, info)
        job.notes = (*self.remarks, *_notes(job, self.attachment, submitting.earlier_at))
        return self.session.remember(job, submitted=True)

    def _send_ahead(self, client: AgentClient) -> None:
        """Send what the job needs to be there, as far as it is not there."""
        if not self.parcel.blobs:
            return
        transfer = Transfer(sum(blob.size for blob in self.parcel.blobs.values()))
        try:
            send_missing(client, self.parcel.blobs.values(), transfer.moved)
        except KeyboardInterrupt:
            raise SubmitInterrupted(
                f"interrupted while {transfer.name or 'the values'} was on its way: nothing was submitted. What had "
                "arrived stays for a day, so that the same again sends only the rest"
            ) from None
        finally:
            transfer.close()


def plan(source: str, on: str | None = None, *, session: Session | None = None, **options: Any) -> Prepared:
    """What :func:`submit` would send with the same arguments, without sending anything."""
    check = options.pop("check", True)
    return prepare(source, on, Asked(**options), check=check, session=session)


def prepare(
    source: str,
    on: str | None,
    asked: Asked,
    *,
    check: bool = True,
    retry_of: int | None = None,
    parcel: Parcel | None = None,
    ready: Callable[[Iterable[str]], None] | None = None,
    session: Session | None = None,
) -> Prepared:
    """The submit of the cell ``source``, ready to be sent.

    Parameters
    ----------
    parcel
        What travelled with the job that this one repeats, in place of what ``asked`` says.
    ready
        Called with the names that travel, before their values are taken.

    Raises
    ------
    BadValue
        When an option or the cell is wrong.
    """
    session = session or current()
    cluster = session.choose(on)
    attachment = session.attachment(cluster)

    # options, each by itself
    request = asked.request(source)

    # what travels: which names, and how
    luggage = luggage_for(source, asked.send, request.params)

    # checks
    again = parcel.inputs if parcel is not None else None
    check_source(source, syntax=check and not newer_python(attachment.python_version, sys.version_info[:2]))
    needs = asked.wanted(source)
    if check:
        check_needs(needs, session, cluster, asked.runtime)
    remarks = look_at(session, attachment, request, luggage, again) if check else []
    if request.packages and not request.lock:
        request = msgspec.structs.replace(request, lock=made_lock(session, cluster, request))

    # what travels: its bytes
    if ready is not None:
        ready(luggage.values)
        luggage.refresh()
    parcel = parcel or pack(luggage)
    if check:
        remarks += shake_hands(session, cluster, request, parcel)

    request = msgspec.structs.replace(
        request,
        sources=parcel.inputs.sources,
        files=parcel.inputs.files,
        values=parcel.inputs.values,
        python=sys.executable if cluster == LOCAL and not asked.runtime else None,
        notebook=session.notebook,
        cluster=cluster,
        retry_of=retry_of,
    )
    return Prepared(
        session=session,
        cluster=cluster,
        attachment=attachment,
        request=request,
        again=check,
        parcel=parcel,
        remarks=(*needs.notes, *remarks),
    )


def _notes(job: Job, attachment: Attachment, earlier_at: float | None) -> tuple[str, ...]:
    notes = []
    if attachment.agent_id and attachment.agent_id != job.info.agent_id:
        notes.append(new_agent(attachment.name))
    if earlier_at is not None:
        at = time.strftime("%H:%M:%S", time.localtime(earlier_at))
        notes.append(
            f"the same cell was sent at {at} and its answer was lost: this is that job, which runs once "
            "(--no-check sends the cell again)"
        )
    if job.was_there:
        notes.append(f"nothing was run: {told_same(job)}. To run it anew: --no-once in place of --once")
    elif job.info.same_as is not None:
        notes.append(
            f"{job.cluster}/{job.info.same_as} does the same and has not ended; with --once this cell shows that one in "
            "place of running again"
        )
    return tuple(notes)


def new_agent(cluster: str) -> str:
    """The remark for a cluster whose agent is not the one that was attached."""
    return (
        f"another agent answers behind the name {cluster} than the one that was attached: its job numbers start "
        f"anew. If that is right: %attachments remove {cluster}, then add it again"
    )
