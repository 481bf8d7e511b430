"""The pages for a browser."""

from __future__ import annotations

from cluster_agent.server import history
from cluster_agent.server.call import Route

ROUTES: list[Route] = [
    Route(
        method="GET",
        path="/",
        call=history.index,
        role=None,
        gives="text/html",
        summary="The agent's page: what it has and its jobs",
    ),
    Route(
        method="GET",
        path="/history/{job_id}",
        call=history.page,
        role=None,
        gives="text/html",
        summary="The job's page; the job itself for Accept: application/json with a token",
    ),
    Route(
        method="GET",
        path="/static/{name}",
        call=history.static,
        role=None,
        gives="text/javascript",
        summary="Files of these pages",
    ),
]
