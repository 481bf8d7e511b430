"""The sidebar without its front end: what it asks the Jupyter server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError, HTTPResponse
from tornado.websocket import WebSocketClientConnection

from mlmagics.cluster.store import Attachment, AttachmentStore
from running import AgentProcess

PATIENCE_S = 60.0


def attach(store: AttachmentStore, name: str, agent: AgentProcess) -> None:
    token = str(agent.home / "token")
    store.put(Attachment(name=name, url=agent.url, credential="file", credential_from=token))


class Sidebar:
    """What the front end does."""

    def __init__(self, fetch: Callable[..., Awaitable[HTTPResponse]], connect: Any) -> None:
        self._fetch = fetch
        self._connect = connect

    async def get(self, path: str, **how: Any) -> Any:
        """The JSON at ``path``."""
        return json.loads((await self._fetch("mlmagics", path, **how)).body)

    async def raw(self, path: str, **how: Any) -> HTTPResponse:
        """What is at ``path``."""
        return await self._fetch("mlmagics", path, **how)

    async def send(self, path: str, body: Any = None, method: str = "POST") -> Any:
        """The answer to a change; None where it has none."""
        data = None if method == "DELETE" else json.dumps(body or {})
        answer = await self._fetch("mlmagics", path, method=method, body=data)
        return json.loads(answer.body) if answer.body else None

    async def refused(self, path: str, body: Any = None, method: str = "GET", **how: Any) -> tuple[int, dict]:
        """Status and error of a call that is refused."""
        data = None if method in ("GET", "DELETE") else json.dumps(body or {})
        with pytest.raises(HTTPClientError) as refusal:
            await self._fetch("mlmagics", path, method=method, body=data, **how)
        assert refusal.value.response is not None
        return refusal.value.code, json.loads(refusal.value.response.body)["error"]

    @asynccontextmanager
    async def stream(self, **params: str) -> AsyncIterator[Callable[..., Awaitable[dict[str, Any]]]]:
        """A call that waits for the next message of a type for which a condition holds."""
        socket: WebSocketClientConnection = await self._connect("mlmagics", "api", "stream", params=params)

        async def until(kind: str, holds: Callable[[dict[str, Any]], bool] = bool) -> dict[str, Any]:
            while True:
                text = await asyncio.wait_for(socket.read_message(), PATIENCE_S)
                assert text is not None, "the stream ended"
                message = json.loads(text)
                if message["type"] == kind and holds(message):
                    return message

        try:
            yield until
        finally:
            socket.close()
