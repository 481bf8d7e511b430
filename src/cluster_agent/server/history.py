"""The history URL: a static page for people, the job itself for programs.

The page is the same for every id and every caller, so it tells nothing, not even whether a job exists. Its
script reads the job through the API with a token that it keeps for its tab only.
"""

from __future__ import annotations

from importlib import resources

from cluster_agent.errors import NotFound, Unauthorized
from cluster_agent.protocol import Job
from cluster_agent.server.call import Call
from cluster_agent.server.jobs import get_job

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}
_STATIC = resources.files("cluster_agent.server") / "static"

#: What the page may do: run its own script, show data: and blob: images, ask its own agent.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src data: blob:; frame-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def load_static() -> dict[str, bytes]:
    """The files of the page by name, read once."""
    return {
        item.name: item.read_bytes() for item in _STATIC.iterdir() if item.name.rpartition(".")[2] in _TYPES
    }


async def page(call: Call) -> Job | None:
    """The page; the job as JSON for a program that asks for it with a token."""
    if "application/json" in call.headers.get("Accept", ""):
        token = call.headers.get("Authorization", "").partition(" ")[2].strip()
        if not token:
            raise Unauthorized()
        return await get_job(call.as_caller(call.agent.keyring.identify(token)))
    await _send(call, "history.html")
    return None


async def static(call: Call) -> None:
    """A file of the page."""
    await _send(call, call.args["name"])


async def _send(call: Call, name: str) -> None:
    data = call.agent.static.get(name)
    if data is None:
        raise NotFound(f"there is no file {name[:60]!r}")
    call.start(_TYPES[name.rpartition(".")[2]], PAGE_HEADERS | {"Content-Length": str(len(data))})
    await call.send(data)
