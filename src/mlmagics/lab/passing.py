"""What agents are asked for and answer, passed on as it is: logs, output, blobs, files, results.

Only GET, only these paths, and with a content type of ours: nothing that comes from a job or an agent is a page or
a script for the browser. The token is added here and is in no answer.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from jupyter_server.auth.decorator import authorized
from tornado.iostream import StreamClosedError
from tornado.web import authenticated

from cluster_agent.client import Hook
from cluster_agent.protocol import BYTES, JSON, NDJSON
from mlmagics.cluster.session import told
from mlmagics.errors import BadValue, UserError
from mlmagics.lab.handling import Handler

if TYPE_CHECKING:
    from cluster_agent.client import Reply

#: A reader who takes nothing for so long is let go; it may come back.
_STALLED_S = 120.0
#: Headers of an agent's answer that are told; all others are its own business.
_TOLD = ("Accept-Ranges", "Content-Length", "Content-Range", "Date", "Log-Tag")


class Kind(NamedTuple):
    """What lies behind a path of a job."""

    accept: str
    given: str
    #: parameters that may be asked with
    query: tuple[str, ...] = ()
    ranges: bool = False


#: By the first word behind the job's number; the empty one is the job itself.
KINDS = {
    "": Kind(JSON, JSON),
    "events": Kind(NDJSON, NDJSON, query=("after", "tail", "follow")),
    "output": Kind(BYTES, BYTES, ranges=True),
    "blobs": Kind(BYTES, BYTES, ranges=True),
    "files": Kind(BYTES, BYTES, ranges=True),
    "results": Kind(f"{JSON}, {BYTES}", BYTES, ranges=True),
}
#: These are lists where nothing follows the word.
_LISTS = Kind(JSON, JSON)


class Passing(Handler):
    """A part of a job."""

    _hook: Hook | None = None

    @property
    def content_security_policy(self) -> str:
        """Whatever a browser takes this for, it does nothing with it."""
        return "default-src 'none'; frame-ancestors 'none'; sandbox"

    @authenticated
    @authorized
    async def get(self, cluster: str, job_id: str, what: str = "", rest: str | None = None) -> None:
        """Its bytes."""
        kind = _LISTS if what in ("files", "results") and not rest else KINDS[what]
        parts = ["jobs", job_id, *([what] if what else []), *_parts(rest)]
        await self.pass_on(cluster, parts, kind, about="" if rest else f"job {job_id}")

    async def pass_on(self, cluster: str, parts: Iterable[str], kind: Kind, *, about: str = "") -> None:
        """Reply with what the agent of ``cluster`` has below ``/v1`` at ``parts``; ``about`` names it."""
        path = "/v1/" + "/".join(quote(part, safe="") for part in parts)
        params = _given({name: self.get_query_argument(name, "") for name in kind.query})
        headers = _given({"Range": self.request.headers.get("Range", "")}) if kind.ranges else {}
        session, loop = self.back.session, asyncio.get_running_loop()

        def carry(hook: Hook) -> None:
            client = session.client(cluster, start=False)
            with (
                told(cluster, about),
                client.passed(path, accept=kind.accept, params=params, headers=headers) as reply,
                hook.on(reply.break_off),
            ):
                _wait(self._begin(reply, kind), loop)
                for chunk in reply.chunks():
                    _wait(self._send(chunk), loop)

        with self.back.stream() as hook:
            self._hook = hook
            try:
                await self.back.run_stream(lambda: carry(hook))
            except (UserError, StreamClosedError):
                if not self._headers_written and not hook.hung_up():
                    raise
                hook.hang_up()
        if hook.hung_up():
            # what was sent so far must not be taken for the whole
            self.detach().close()
        else:
            self.finish(set_content_type=kind.given)

    def on_connection_close(self) -> None:
        """Nobody reads any more: let go of the agent, too."""
        if self._hook is not None:
            self._hook.hang_up()
        super().on_connection_close()

    async def _begin(self, reply: Reply, kind: Kind) -> None:
        self.set_status(reply.status)
        for name in _TOLD:
            if name in reply.headers:
                self.set_header(name, reply.headers[name])
        self.set_header("Content-Type", kind.given)
        self.set_header("Cache-Control", "no-store")
        await self.flush()

    async def _send(self, chunk: bytes) -> None:
        self.write(chunk)
        await self.flush()


def _wait(step: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> None:
    """Have ``loop`` do ``step``; a reader who is slow slows the agent down."""
    future = asyncio.run_coroutine_threadsafe(step, loop)
    try:
        future.result(_STALLED_S)
    except concurrent.futures.TimeoutError:
        future.cancel()
        raise StreamClosedError from None


def _parts(rest: str | None) -> list[str]:
    parts = rest.split("/") if rest else []
    if any(part in ("", ".", "..") for part in parts):
        raise BadValue(f"{rest!r} is not a path below its root: leave out . and ..", field="path")
    return parts


def _given(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}
