"""The history page of a job, served here so that nobody is asked for a token.

::

    history/CLUSTER/ID                 -> agent/CLUSTER/history/ID
    agent/CLUSTER/history/ID, static/  the page and its files: those of the cluster_agent that is installed here
    agent/CLUSTER/v1/...               what the page reads, passed on by :mod:`mlmagics.lab.passing`

The page is in the origin of the Jupyter server, where a script may do all that its owner may. So no file of it comes
from an agent, and only scripts that this server has just named (a nonce) run in it.
"""

from __future__ import annotations

import secrets
from functools import lru_cache

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado.web import HTTPError, authenticated

from cluster_agent.pages import PAGE_HEADERS, content_type, load_static
from mlmagics.lab.handling import RESOURCE, Handler
from mlmagics.lab.passing import Kind, Passing

_HEADERS = {**PAGE_HEADERS, "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
_POLICY = "Content-Security-Policy"
_JSON = "application/json"


@lru_cache
def _files() -> dict[str, bytes]:
    return load_static()


class History(JupyterHandler):
    """The address of a job's page that the sidebar gives out."""

    auth_resource = RESOURCE

    @authenticated
    @authorized
    async def get(self, cluster: str, job_id: str) -> None:
        """Lead to the page."""
        self.redirect(url_path_join(self.base_url, "mlmagics", "agent", cluster, "history", job_id))


class Page(JupyterHandler):
    """The page; the same for every job."""

    auth_resource = RESOURCE

    @authenticated
    @authorized
    async def get(self, cluster: str, job_id: str) -> None:  # noqa: ARG002 - the page reads its own address
        """Its HTML."""
        nonce = secrets.token_urlsafe(16)
        for name, value in _HEADERS.items():
            self.set_header(name, value)
        self.set_header(
            _POLICY, PAGE_HEADERS[_POLICY].replace("script-src 'self'", f"script-src 'nonce-{nonce}'")
        )
        self.set_header("Content-Type", content_type("history.html"))
        self.finish(lent(_files()["history.html"].decode(), nonce))


class PageFile(Handler):
    """A file of the page."""

    @authenticated
    @authorized
    async def get(self, cluster: str, name: str) -> None:  # noqa: ARG002 - the same for all
        """Its text."""
        data = _files().get(name)
        if data is None:
            raise HTTPError(404)
        for header, value in _HEADERS.items():
            self.set_header(header, value)
        self.finish(data, set_content_type=content_type(name))


class AgentInfo(Passing):
    """Who this person is to the agent."""

    @authenticated
    @authorized
    async def get(self, cluster: str) -> None:
        """Its answer."""
        await self.pass_on(cluster, ["info"], Kind(_JSON, _JSON))


def lent(page: str, nonce: str) -> str:
    """``page`` as one that has its token lent by the server it comes from; scripts run by ``nonce`` only."""
    page = page.replace('<html lang="en">', '<html lang="en" data-lent>', 1)
    return page.replace('<script type="module"', f'<script type="module" nonce="{nonce}"')
