"""Calls on clusters: list, add, remove; and what versions meet here."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from cluster_agent import __version__
from cluster_agent.protocol import PROTOCOL_VERSION
from mlmagics.cli.enabling import builtin_magics
from mlmagics.cluster import attaching
from mlmagics.errors import BadValue
from mlmagics.lab.handling import Handler
from mlmagics.lab.looking import cluster_view
from mlmagics.magics.attachments import add_parser
from mlmagics.magics.words import HelpAskedFor, WrongUse

#: A whole line, as somebody who runs a box sends it to people.
_LINE = re.compile(r"\s*(?:%attachments|mlmagics\s+attachments)\s+add\s+(?P<rest>.*)", re.DOTALL)


class NewCluster(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST api/clusters``."""

    #: an address, an invite, or a whole line ``%attachments add NAME URL ...``
    url: str
    name: str = ""
    token: str | None = None
    #: PEM file on the machine of the Jupyter server
    ca: str | None = None


class Version(Handler):
    """What runs here, for a front end that may be of another version."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """The versions."""
        self.finish(msgspec.json.encode({"version": __version__, "protocol": PROTOCOL_VERSION}))


class Clusters(Handler):
    """All clusters."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """The rows of ``%attachments``."""
        await self.answer(lambda: {"clusters": self.back.looking.clusters()})

    @authenticated
    @authorized
    async def post(self) -> None:
        """Attach another one."""
        options = _options(self.body(NewCluster))
        session = self.back.session

        def add() -> dict[str, Any]:
            taken = builtin_magics()
            return cluster_view(attaching.add(**options, ask=_no_token, taken=taken, session=session))

        await self.answer(add, status=201)
        self.back.board.look_soon()


class Cluster(Handler):
    """One cluster."""

    @authenticated
    @authorized
    async def delete(self, cluster: str) -> None:
        """Forget it; its jobs go on."""
        await self.back.run(lambda: attaching.remove(cluster, session=self.back.session))
        self.set_status(204)
        self.finish()
        self.back.board.look_soon()


def _options(asked: NewCluster) -> dict[str, Any]:
    """Options of :func:`mlmagics.cluster.attaching.add`."""
    line = _LINE.fullmatch(asked.url)
    if line is None:
        if not asked.name:
            raise BadValue("a cluster needs a name: what comes behind %% in a cell", field="name")
        return {"name": asked.name, "url": asked.url, "token": asked.token or None, "ca": asked.ca or None}
    try:
        found = add_parser().read(line["rest"])
    except HelpAskedFor:
        raise BadValue("the line asks for help: paste %attachments add NAME URL", field="url") from None
    except WrongUse as error:
        raise BadValue(error.message, field="url") from None
    typed = None if found.token_file or found.token_env else asked.token
    return {
        "name": asked.name or found.name,
        "url": found.url,
        "token": typed,
        "token_file": found.token_file,
        "token_env": found.token_env,
        "ca": asked.ca or found.ca,
        "insecure": found.insecure,
    }


def _no_token(_prompt: str) -> str:
    raise BadValue(
        "an invite or a token is needed: ask whoever runs the cluster, and paste it here", field="token"
    )
