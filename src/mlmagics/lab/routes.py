"""The one table of all routes of the extension. What is not here does not exist."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado.web import HTTPError, RequestHandler, authenticated

from mlmagics.lab import cluster_calls, job_calls, page_calls, passing, stream_calls
from mlmagics.lab.git.calls import CALLS, OneTask
from mlmagics.lab.handling import Handler

_CLUSTER = r"(?P<cluster>[a-z][a-z0-9._-]{0,31})"
_ID = r"(?P<job_id>[1-9]\d{0,14})"
_JOB = f"{_CLUSTER}/{_ID}"
#: as the page asks for it
_OF_AGENT = f"{_CLUSTER}/v1/jobs/{_ID}"
#: What can be read of a job.
_PARTS = (
    "(?P<what>events)",
    "(?P<what>output)/(?P<rest>stdout|stderr)",
    "(?P<what>blobs)/(?P<rest>[0-9a-f]{64})",
    "(?P<what>files|results)(?:/(?P<rest>.+))?",
)


class Nowhere(Handler):
    """Every other address."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Say so."""
        raise HTTPError(404)

    post = put = delete = get


ROUTES: list[tuple[str, type[RequestHandler]]] = [
    ("/mlmagics/api/version", cluster_calls.Version),
    ("/mlmagics/api/clusters", cluster_calls.Clusters),
    (f"/mlmagics/api/clusters/{_CLUSTER}", cluster_calls.Cluster),
    ("/mlmagics/api/jobs", job_calls.AllJobs),
    (f"/mlmagics/api/jobs/{_JOB}", job_calls.OneJob),
    (f"/mlmagics/api/jobs/{_JOB}/cancel", job_calls.Cancel),
    (f"/mlmagics/api/jobs/{_JOB}/extend", job_calls.Extend),
    (f"/mlmagics/api/jobs/{_JOB}/resubmit", job_calls.Resubmit),
    *((f"/mlmagics/api/jobs/{_JOB}/{part}", passing.Passing) for part in _PARTS),
    ("/mlmagics/api/stream", stream_calls.Stream),
    *((f"/mlmagics/api/git/{name}", call) for name, call in CALLS.items()),
    ("/mlmagics/api/git/tasks/(?P<task_id>[0-9a-f]{16})", OneTask),
    (f"/mlmagics/history/{_JOB}", page_calls.History),
    (f"/mlmagics/agent/{_CLUSTER}/history/{_ID}", page_calls.Page),
    (rf"/mlmagics/agent/{_CLUSTER}/static/(?P<name>[a-z]+\.[a-z]+)", page_calls.PageFile),
    (f"/mlmagics/agent/{_CLUSTER}/v1/info", page_calls.AgentInfo),
    (f"/mlmagics/agent/{_OF_AGENT}", passing.Passing),
    *((f"/mlmagics/agent/{_OF_AGENT}/{part}", passing.Passing) for part in _PARTS),
    (r"/mlmagics/.*", Nowhere),
]
