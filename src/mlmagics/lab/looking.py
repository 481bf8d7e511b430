"""Clusters and jobs as the sidebar shows them: the tables of the magics as JSON values. Blocks."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import msgspec

from cluster_agent.protocol import Job as JobInfo
from cluster_agent.protocol import word
from mlmagics.cluster import overview
from mlmagics.cluster.overview import AttachmentRow
from mlmagics.cluster.session import Session, told
from mlmagics.job.handle import Job

View = dict[str, Any]


class Looking:
    """What a person's clusters have to say; never starts the agent of one's own."""

    def __init__(self, session: Session, base_url: str) -> None:
        self.session = session
        self._base_url = base_url
        #: who this person is to each cluster, as far as it was told
        self._me: dict[str, str] = {}

    def clusters(self) -> list[View]:
        """The rows of ``%attachments``."""
        rows = overview.attachments(session=self.session)
        self._me |= {row.name: row.info.user for row in rows if row.info is not None}
        return [cluster_view(row) for row in rows]

    def jobs(self, everyone: bool) -> View:
        """The rows of ``%jobs``, or of ``%jobs --all``, and why a cluster told none."""
        table = overview.jobs(all_users=everyone, session=self.session)
        if everyone and any(job.cluster not in self._me for job in table.jobs):
            self.clusters()
        views = [self.view(job, mine=not everyone) for job in table.jobs]
        return {"jobs": views, "troubles": table.troubles}

    def job(self, cluster: str, job_id: int) -> Job:
        """A handle of one job, as its agent tells it now; with its source."""
        with told(cluster, f"job {job_id}"):
            client = self.session.client(cluster, start=False)
            info = client.job(job_id)
            if cluster not in self._me:
                self._me[cluster] = client.info().user
        return Job(self.session, cluster, info)

    def view(self, job: Job, *, mine: bool = False) -> View:
        """``job`` for the sidebar; ``mine`` when it is known to be this person's."""
        mine = mine or self._me.get(job.cluster) == job.info.user
        return job_view(job.cluster, job.info, self._base_url, mine=mine)


def cluster_view(row: AttachmentRow) -> View:
    """One cluster as the sidebar shows it."""
    view = {field.name: getattr(row, field.name) for field in fields(row) if field.name != "info"}
    return {**view, "usable": row.usable, "user": row.info.user if row.info else None}


def job_view(cluster: str, info: JobInfo, base_url: str, *, mine: bool) -> View:
    """One job as the sidebar shows it.

    ``cluster`` is its name here, whatever others call it; ``history_url`` leads through this server, and
    ``shared_url`` is the one that means the same job to everybody.
    """
    return {
        **msgspec.to_builtins(info),
        "cluster": cluster,
        "ref": f"{cluster}/{info.job_id}",
        "word": word(info.state, stopping=info.stopping),
        "mine": mine,
        "history_url": f"{base_url}mlmagics/history/{cluster}/{info.job_id}",
        "shared_url": info.history_url,
    }
