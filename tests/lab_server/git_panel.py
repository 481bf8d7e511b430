"""The git section of the sidebar without its front end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError, HTTPResponse

PATIENCE_S = 60.0


class GitPanel:
    """What the front end does, in the repository ``path`` below the folder that is served."""

    def __init__(self, fetch: Callable[..., Awaitable[HTTPResponse]], path: str = "proj") -> None:
        self._fetch = fetch
        self.path = path

    async def ask(self, call: str, **body: Any) -> Any:
        """The answer of ``git/CALL``."""
        return json.loads((await self._post(call, body)).body)

    async def refused(self, call: str, **body: Any) -> dict[str, Any]:
        """The error of a call that is refused, with its status."""
        with pytest.raises(HTTPClientError) as refusal:
            await self._post(call, body)
        assert refusal.value.response is not None
        error: dict[str, Any] = json.loads(refusal.value.response.body)["error"]
        return {"status": refusal.value.code, **error}

    async def start(self, call: str, **body: Any) -> str:
        """The number of a task that is under way."""
        return str((await self.ask(call, **body))["task"])

    async def task(self, call: str, **body: Any) -> dict[str, Any]:
        """How a task has ended."""
        return await self.ended(await self.start(call, **body))

    async def ended(self, task_id: str) -> dict[str, Any]:
        """How the task of that number has ended."""
        return await self.until(task_id, lambda task: task["state"] != "running")

    async def until(self, task_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The task as soon as a condition holds for it."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            answer = await self._fetch("mlmagics", "api", "git", "tasks", task_id)
            task: dict[str, Any] = json.loads(answer.body)
            if holds(task):
                return task
            await asyncio.sleep(0.02)
        raise AssertionError(f"still {task}")

    async def cancel(self, task_id: str) -> dict[str, Any]:
        """The task, asked to end."""
        answer = await self._fetch("mlmagics", "api", "git", "tasks", task_id, method="DELETE")
        return json.loads(answer.body)  # type: ignore[no-any-return]

    async def status(self) -> dict[str, Any]:
        """How the repository stands."""
        return await self.ask("status")  # type: ignore[no-any-return]

    async def rows(self) -> list[tuple[str, str]]:
        """Paths and kinds of all rows."""
        return [(row["path"], row["kind"]) for row in (await self.status())["files"]]

    async def _post(self, call: str, body: dict[str, Any]) -> HTTPResponse:
        whole = body if call == "credentials" else {"path": self.path, **body}
        data = json.dumps(whole)
        return await self._fetch(
            "mlmagics", "api", "git", call, method="POST", body=data, request_timeout=PATIENCE_S
        )
