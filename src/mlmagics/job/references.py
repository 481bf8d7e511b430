"""Which job is meant: ``gpu-box/42``, a bare ``42``, a history URL, or nothing at all.

Where it cannot be told, the candidates are listed and nothing happens.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from cluster_agent.client import AgentClient
from cluster_agent.protocol import ACTIVE, WORDS, JobList
from mlmagics.cluster.addresses import history_url, looks_like_url
from mlmagics.cluster.asking import ask_all
from mlmagics.cluster.session import Session, current, told
from mlmagics.errors import AmbiguousJob, BadValue, UserError
from mlmagics.job.handle import Job

_REF = re.compile(r"(?P<cluster>[^/\s]+)/(?P<job_id>[1-9]\d{0,17})")
_NUMBER = re.compile(r"[1-9]\d{0,17}")


def find(
    ref: str | int | Job | None = None, url: str | None = None, *, session: Session | None = None
) -> Job:
    """The job that ``ref`` or the history URL ``url`` names; with neither the one that is nearest at hand.

    Nearest at hand is this kernel's last job, else this notebook's newest, else the newest of one's own.

    Raises
    ------
    AmbiguousJob
        When several could be meant, with the candidates.
    BadValue
        When ``ref`` is no job's name, or ``url`` is not of an attached cluster.
    ClusterError
        When the cluster has no such job, or does not answer.
    """
    session = session or current()
    if isinstance(ref, Job):
        return ref
    if url is not None and ref is not None:
        raise BadValue("give a JOB or --url, not both", field="url")
    if url is None and ref is None:
        return _nearest(session)
    text = str(ref).strip() if url is None else url.strip()
    if url is not None or looks_like_url(text):
        return _by_url(session, text)
    if match := _REF.fullmatch(text):
        return _named(session, match["cluster"], int(match["job_id"]))
    if _NUMBER.fullmatch(text):
        return _by_number(session, int(text))
    raise BadValue(
        f"{text[:100]!r} is not a job: write for example gpu-box/42, or its history URL", field="job"
    )


def _named(session: Session, cluster: str, job_id: int) -> Job:
    session.attachment(cluster)
    client = session.client(cluster)
    with told(cluster, f"job {job_id}"):
        info = client.job(job_id)
    return session.remember(Job(session, cluster, info))


def _by_number(session: Session, job_id: int) -> Job:
    here = [job for job in session.known.values() if job.job_id == job_id]
    if len(here) == 1:
        return _named(session, here[0].cluster, job_id)
    if here:
        raise AmbiguousJob(f"{job_id} could be " + _listed(here), field="job")
    answers = ask_all(session, lambda client: client.job(job_id))
    found = [Job(session, answer.cluster, answer.value) for answer in answers if answer.value is not None]
    if not found:
        raise BadValue(f"no attached cluster has a job {job_id} of yours", field="job")
    raise AmbiguousJob(
        f"{job_id} is not a job of this kernel. Say which one is meant: " + _listed(found), field="job"
    )


def _by_url(session: Session, url: str) -> Job:
    base, job_id = history_url(url)
    clusters = [name for name in session.clusters() if base in session.attachment(name).addresses]
    if not clusters:
        raise BadValue(
            f"{urlsplit(base).netloc} is not attached; if it is one of yours: %attachments alias NAME {base}",
            field="url",
        )
    if len(clusters) > 1:
        refs = " or ".join(f"{name}/{job_id}" for name in clusters)
        raise AmbiguousJob(f"several attachments have the address {base}: write {refs}", field="url")
    return _named(session, clusters[0], job_id)


def _nearest(session: Session) -> Job:
    if session.last is not None:
        if session.last.info.state in ACTIVE:
            with contextlib.suppress(UserError):  # who follows it learns what is wrong, and goes on later
                session.last.refresh()
        return session.last
    scopes = [session.notebook] if session.notebook else []
    for notebook in [*scopes, None]:
        answers = ask_all(session, _newest(notebook))
        newest = [(answer.cluster, job) for answer in answers if answer.value for job in answer.value.jobs]
        if newest:
            cluster, info = max(newest, key=lambda found: found[1].submitted_at)
            return session.remember(Job(session, cluster, info))
    raise UserError("there is no job yet: run a cell that begins with %%local or %%NAME")


def _newest(notebook: str | None) -> Callable[[AgentClient], JobList]:
    return lambda client: client.jobs(user="me", notebook=notebook, limit=1)


def _listed(jobs: list[Job]) -> str:
    return "; ".join(
        f"{job.ref} ({job.info.name or 'no name'}, {WORDS[job.info.state]}, submitted "
        f"{time.strftime('%d %b %H:%M', time.localtime(job.info.submitted_at))})"
        for job in sorted(jobs, key=lambda job: -job.info.submitted_at)
    )
