"""Pages in Chromium, and an agent whose log and connections a test decides."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import tornado.httpserver
import tornado.iostream
import tornado.netutil
import tornado.web

from cluster_agent.server import history

STATIC = Path(history.__file__).parent / "static"
TAG = "0badcafe"
PATIENCE_S = 15.0


@dataclass
class Script:
    """What the scripted agent knows and does; a test changes it while the page looks on."""

    job: dict[str, Any]
    role: str = "admin"
    info: dict[str, Any] = field(default_factory=lambda: {"user": "ada"})
    events: list[dict[str, Any]] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    #: what the list has
    jobs: list[dict[str, Any]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    #: lines that stand, as they are, behind the first event
    raw: list[bytes] = field(default_factory=list)
    #: each entry ends one connection, in the middle of the line after that many events
    cuts: list[int] = field(default_factory=list)
    codes: set[str] = field(default_factory=lambda: {"once"})
    token: str = "secret-token"
    #: what was asked: method, path with query, Authorization
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    #: answer event requests with this status
    refuse_events: int = 0
    #: send again that many events before the cursor that was asked for
    overlap: int = 0
    #: an agent that went away: every request ends without an answer
    away: bool = False

    def add(self, type: str, **fields: Any) -> None:  # noqa: A002
        seq = len(self.events) + 1
        self.events.append({"seq": seq, "at": 1_800_000_000 + seq, "t": float(seq), "type": type, **fields})

    def out(self, text: str, stream: str = "stdout") -> None:
        self.add("output", stream=stream, text=text)

    def end(self, state: str = "succeeded", **fields: Any) -> None:
        self.job |= {"state": state, "ended_at": time.time(), **fields}
        self.add("ended", state=state, complete=True, **fields)

    def asked(self, method: str, path: str) -> list[tuple[str, str, str]]:
        return [entry for entry in self.seen if entry[0] == method and entry[1].startswith(path)]


class _Handler(tornado.web.RequestHandler):
    script: Script

    def initialize(self, script: Script) -> None:
        self.script = script

    def prepare(self) -> None:
        told = self.request.headers.get("Authorization", "")
        self.script.seen.append((self.request.method or "", self.request.uri or "", told))
        if self.request.headers.get("Origin") not in (None, f"http://{self.request.host}"):
            self.script.seen.append(("foreign origin", self.request.uri or "", told))
        if self.script.away:
            self.detach().close()

    def refuse(self, status: int, code: str, message: str, **more: Any) -> None:
        self.set_status(status)
        self.finish({"error": {"code": code, "message": message, **more}})

    def known(self) -> bool:
        if self.request.headers.get("Authorization") in {f"Bearer {self.script.token}", "Bearer view-only"}:
            return True
        self.refuse(401, "unauthorized", "A valid token is needed.")
        return False


class _Job(_Handler):
    def get(self) -> None:
        if self.known():
            self.finish(self.script.job)


class _Jobs(_Handler):
    def get(self) -> None:
        if not self.known():
            return
        jobs = [job for job in self.script.jobs if self._chosen(job)]
        limit, after = int(self.get_query_argument("limit", "100")), self.get_query_argument("after", "")
        below = [job for job in jobs if not after or job["job_id"] < int(after)]
        page = sorted(below, key=lambda job: -job["job_id"])[:limit]
        more = str(page[-1]["job_id"]) if len(page) < len(below) else None
        self.finish({"jobs": page, "next": more})

    def _chosen(self, job: dict[str, Any]) -> bool:
        active = job["state"] in {"queued", "preparing", "running"}
        asked = self.get_query_argument("state", "")
        mine = self.get_query_argument("user", "") == "me" or self.script.role == "user"
        return asked in {"", "active" if active else "done"} and (not mine or job["user"] == "ada")


class _Info(_Handler):
    def get(self) -> None:
        if self.known():
            looks = self.request.headers.get("Authorization") == "Bearer view-only"
            self.finish(self.script.info | {"role": "viewer" if looks else self.script.role})


class _Cancel(_Handler):
    def post(self) -> None:
        if self.known():
            self.script.job |= {"stopping": True}
            self.finish(self.script.job)


class _ViewToken(_Handler):
    def post(self) -> None:
        code = json.loads(self.request.body)["code"]
        if code not in self.script.codes:
            self.refuse(403, "forbidden", "This code has been used, or its time is over.")
            return
        self.script.codes.discard(code)
        self.finish({"token": "view-only", "job_id": 42, "expires_s": 43200})


class _Events(_Handler):
    async def get(self) -> None:
        script = self.script
        if not self.known():
            return
        if script.refuse_events and "follow=1" in (self.request.query or ""):
            self.refuse(script.refuse_events, "gone", "The log has been cut.", nearest=f"{TAG}.1")
            script.refuse_events = 0
            return
        self.set_header("Content-Type", "application/x-ndjson")
        self.set_header("Log-Tag", TAG)
        tail = self.get_query_argument("tail", "")
        after = self.get_query_argument("after", "0")
        position = max(0, len(script.events) - int(tail)) if tail else int(after.rpartition(".")[2])
        position = max(0, position - script.overlap)
        follow = self.get_query_argument("follow", "0") == "1"
        stop = script.cuts.pop(0) if script.cuts and follow else None
        try:
            await self.send(position, stop, follow=follow)
        except tornado.iostream.StreamClosedError:
            self.detach()

    async def send(self, position: int, stop: int | None, *, follow: bool) -> None:
        script = self.script
        while True:
            end = len(script.events) if stop is None else min(len(script.events), stop)
            lines = b"".join(_line(event) for event in script.events[position:end])
            if lines:
                first, rest = lines.split(b"\n", 1)
                self.write(b"".join([first + b"\n", *(script.raw if position == 0 else []), rest]))
            if stop is not None and end >= stop:
                if end < len(script.events):
                    self.write(_line(script.events[end])[:20])
                await self.flush()
                self.detach().close()
                return
            await self.flush()
            position = end
            if not follow or (script.events and script.events[position - 1]["type"] == "ended"):
                return
            while len(script.events) == position:
                await asyncio.sleep(0.01)
                if script.away or self.request.connection.stream.closed():
                    self.detach().close()
                    return


def _line(event: dict[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


class _Output(_Handler):
    def get(self, stream: str) -> None:
        if self.known():
            chosen = [event["text"] for event in self.script.events if event.get("stream") == stream]
            self.finish("".join(chosen).encode())


class _Blob(_Handler):
    def get(self, sha256: str) -> None:
        if self.known():
            self.finish(self.script.blobs[sha256])


class _Lists(_Handler):
    def get(self, kind: str) -> None:
        if self.known():
            told = {"files": self.script.files, "results": self.script.results}[kind]
            self.finish({kind: told})


class _Kept(_Handler):
    def get(self, kind: str, name: str) -> None:
        if self.known():
            self.finish(f"{kind} {name}".encode())


class _Shell(_Handler):
    def get(self, name: str) -> None:
        path = STATIC / (name if "." in name else "history.html" if name else "index.html")
        kinds = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript"}
        self.set_header("Content-Type", kinds[path.suffix])
        self.set_header("X-Content-Type-Options", "nosniff")
        for header, value in history.PAGE_HEADERS.items():
            self.set_header(header, value)
        self.finish(path.read_bytes())


class ScriptedAgent:
    """Serves the page as an agent does, and a scripted job, on a free port in a thread of its own."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)

    async def _serve(self) -> None:
        given = {"script": self.script}
        job = r"/v1/jobs/42"
        routes = [
            (r"/history/([^/.]*)", _Shell, given),
            (r"/static/([a-z]+\.(?:js|css))", _Shell, given),
            (r"/(?:index.html)?()", _Shell, given),
            (r"/v1/info", _Info, given),
            (r"/v1/jobs", _Jobs, given),
            (r"/v1/view-token", _ViewToken, given),
            (job, _Job, given),
            (job + r"/cancel", _Cancel, given),
            (job + r"/events", _Events, given),
            (job + r"/output/(stdout|stderr)", _Output, given),
            (job + r"/blobs/([0-9a-f]{64})", _Blob, given),
            (job + r"/(files|results)", _Lists, given),
            (job + r"/(files|results)/(.+)", _Kept, given),
        ]
        app = tornado.web.Application(routes, log_function=lambda _: None)
        self._server = tornado.httpserver.HTTPServer(app)
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        self._server.add_sockets(sockets)
        self.url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._ready.set()
        await self._stop.wait()
        self.script.away = True
        self._server.stop()
        await self._server.close_all_connections()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)

    @property
    def page(self) -> str:
        return f"{self.url}/history/42"


@pytest.fixture
def script() -> Script:
    now = time.time()
    return Script(
        job={
            "job_id": 42,
            "name": "train taxi",
            "user": "ada",
            "project": "default",
            "state": "running",
            "history_url": "https://gpu-box:8900/history/42",
            "agent_id": "a" * 32,
            "log_tag": TAG,
            "submitted_at": now - 100,
            "started_at": now - 75,
            "gpus": 1,
            "cpus": 8,
            "memory_bytes": 64 * 2**30,
            "timeout_s": 14400,
            "deadline_at": now - 75 + 14400,
            "source": "import xgboost\nprint('training')\n",
        }
    )


@pytest.fixture
def agent(script: Script) -> Iterator[ScriptedAgent]:
    running = ScriptedAgent(script)
    yield running
    running.close()


@pytest.fixture
def new_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Makes pages, each in a profile of its own; the test fails when one logs an error."""
    contexts = []
    troubles: list[str] = []
    #: what a test brings about on purpose
    expected: list[str] = []

    def make(**options: Any) -> Any:
        context = chromium.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        page.on("pageerror", lambda error: troubles.append(f"page error: {error}"))
        page.on(
            "console", lambda line: troubles.append(line.text) if line.type in ("error", "warning") else None
        )
        page.expected = expected
        return page

    yield make
    for context in contexts:
        context.close()
    assert [line for line in troubles if not any(part in line for part in expected)] == []


@pytest.fixture
def page(new_page: Callable[..., Any]) -> Any:
    return new_page()
