"""The pages: the history URL (a static page for people, the job itself for programs) and the agent's own page.

The pages are the same for every id and every caller, so they tell nothing, not even whether a job exists. Their
scripts read through the API with a token that they keep for their tab only.
"""

from __future__ import annotations

from cluster_agent.errors import NotFound, Unauthorized
from cluster_agent.pages import PAGE_HEADERS, content_type
from cluster_agent.protocol import JSON, Job
from cluster_agent.server.auth import bearer
from cluster_agent.server.call import Call
from cluster_agent.server.jobs import get_job


async def index(call: Call) -> None:
    """The page of the agent: what it has and its jobs."""
    await _send(call, "index.html")


async def page(call: Call) -> Job | None:
    """The page; the job as JSON for a program that asks for it with a token."""
    if JSON in call.headers.get("Accept", ""):
        token = bearer(call.headers.get("Authorization"))
        if not token:
            raise Unauthorized()
        return await get_job(call.as_caller(call.agent.identify(token, call.address)))
    await _send(call, "history.html")
    return None


async def static(call: Call) -> None:
    """A file of the pages."""
    await _send(call, call.args["name"])


async def _send(call: Call, name: str) -> None:
    data = call.agent.static.get(name)
    if data is None:
        raise NotFound(f"there is no file {name[:60]!r}")
    call.start(content_type(name), PAGE_HEADERS | {"Content-Length": str(len(data))})
    await call.send(data)
