"""Every magic as a Python call. A collection: each name is explained where it is defined."""

from __future__ import annotations

import time
from collections.abc import Iterable

from cluster_agent.protocol import State
from mlmagics.cluster import attaching, checking, overview
from mlmagics.cluster.overview import AttachmentRow as AttachmentRow
from mlmagics.cluster.overview import JobTable as JobTable
from mlmagics.cluster.overview import jobs as jobs
from mlmagics.cluster.session import Session, current
from mlmagics.errors import JobFailed
from mlmagics.job.feed import Feed as Feed
from mlmagics.job.handle import Job as Job
from mlmagics.job.references import find as find
from mlmagics.job.submitting import plan as plan
from mlmagics.job.submitting import submit as submit


class Attachments:
    """``attachments()`` tells how all attached clusters do; its methods do what the verbs of the magic do."""

    add = staticmethod(attaching.add)
    remove = staticmethod(attaching.remove)
    alias = staticmethod(attaching.alias)
    check = staticmethod(checking.check)

    def __call__(self, *, on: str | None = None, session: Session | None = None) -> list[AttachmentRow]:
        """All attached clusters, or the one called ``on``, asked at once."""
        return overview.attachments(on=on, session=session)


attachments = Attachments()


def logs(ref: str | int | Job | None = None, *, url: str | None = None) -> str:
    """All text of a job so far, tracebacks included; ``find`` tells how the job is named."""
    return find(ref, url).logs()


def wait(
    which: str | int | Job | Iterable[str | int | Job] | None = None,
    timeout_s: float | None = None,
    *,
    session: Session | None = None,
) -> list[Job]:
    """The jobs ``which``, once all of them have succeeded; without any the last one.

    Raises
    ------
    JobFailed
        When one has not; only after all of them have ended.
    WaitTimeout
        When they have not ended within ``timeout_s``; they go on.
    """
    session = session or current()
    named = [which] if which is None or isinstance(which, (str, int, Job)) else list(which)
    found = [find(ref, session=session) for ref in named]
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    for job in found:
        job.wait_for_end(None if deadline is None else max(0.0, deadline - time.monotonic()))
    failed = [job for job in found if job.info.state is not State.SUCCEEDED]
    if failed:
        raise joint_failure(failed)
    return found


def cancel(*which: str | int | Job, reason: str = "", session: Session | None = None) -> list[Job]:
    """The jobs ``which`` after asking for their end. All are found before the first is asked."""
    session = session or current()
    found = [find(ref, session=session) for ref in which]
    return [job.cancel(reason) for job in found]


def joint_failure(failed: list[Job]) -> JobFailed:
    """What to raise for several jobs that ended without success: the first one's error, and who else."""
    first = failed[0].failure()
    if len(failed) == 1:
        return first
    others = ", ".join(f"{job.ref} ({job.word})" for job in failed[1:])
    return JobFailed(
        f"{first.message}. Not finished either: {others}",
        ref=first.ref,
        state=first.state,
        remote_traceback=first.remote_traceback,
    )
