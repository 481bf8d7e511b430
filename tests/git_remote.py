"""A remote repository over https with a user and a token: git's own http-backend behind a small server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import ipaddress
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

USER, TOKEN = "ada", "token-of-ada-0123456789"


class Seen(NamedTuple):
    """A request that came."""

    method: str
    path: str
    #: what came as authorization, decoded; "" for none
    credential: str


class GitServer:
    """Serves the bare repositories in a folder on a free port of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repositories = folder / "repositories"
        self.repositories.mkdir(parents=True)
        self.certificate = folder / "cert.pem"
        #: who is let in, with which token
        self.users = {USER: TOKEN}
        self.seen: list[Seen] = []
        #: while cleared, packs are held back after their first 100 kB
        self.flows = threading.Event()
        self.flows.set()
        #: a base address that all requests are sent to instead
        self.elsewhere = ""
        #: packs break off after so many bytes
        self.breaks_after: int | None = None
        #: set once a pack is held back
        self.holds = threading.Event()
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, name: str = "proj") -> str:
        return f"https://{self.host}/{name}.git"

    def create(self, name: str = "proj") -> Path:
        """An empty repository."""
        path = self.repositories / f"{name}.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
        return path

    def start(self) -> None:
        key = _certificate(self.folder)
        self._thread.start()
        started: Future[int] = Future()
        self._loop.call_soon_threadsafe(self._serve, key, started)
        self.port = started.result(30)

    def stop(self) -> None:
        self.flows.set()
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    def _serve(self, key: Path, started: Future[int]) -> None:
        app = Application([(r"/(.*)", _Backend, {"server": self})])
        options = {"certfile": str(self.certificate), "keyfile": str(key)}
        self._server = HTTPServer(app, ssl_options=options, max_body_size=1 << 30)
        sockets = bind_sockets(0, "127.0.0.1")
        self._server.add_sockets(sockets)
        started.set_result(sockets[0].getsockname()[1])

    async def _end(self) -> None:
        self._server.stop()
        await self._server.close_all_connections()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class _Backend(RequestHandler):
    def initialize(self, server: GitServer) -> None:
        self.server = server

    async def get(self, path: str) -> None:
        await self._pass(path)

    post = get

    async def _pass(self, path: str) -> None:
        server = self.server
        given = self.request.headers.get("Authorization", "")
        credential = base64.b64decode(given.removeprefix("Basic ")).decode() if given else ""
        server.seen.append(Seen(self.request.method or "", path, credential))
        if server.elsewhere:
            self.redirect(f"{server.elsewhere}{self.request.uri}")
            return
        user, _, token = credential.partition(":")
        if server.users.get(user) != token:
            self.set_status(401)
            self.set_header("WWW-Authenticate", 'Basic realm="git"')
            return
        await self._backend(path, user)

    async def _backend(self, path: str, user: str) -> None:
        headers = self.request.headers
        process = await asyncio.create_subprocess_exec(
            "git",
            "http-backend",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={
                "PATH": os.environ["PATH"],
                "GIT_CONFIG_NOSYSTEM": "1",
                "HOME": str(self.server.folder),
                "GIT_PROJECT_ROOT": str(self.server.repositories),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": f"/{path}",
                "QUERY_STRING": self.request.query,
                "REQUEST_METHOD": self.request.method or "",
                "CONTENT_TYPE": headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(self.request.body)),
                "HTTP_CONTENT_ENCODING": headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": headers.get("Git-Protocol", ""),
                "REMOTE_USER": user,
            },
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(self.request.body)
        process.stdin.close()
        try:
            await self._answer(process.stdout, path)
        except (StreamClosedError, ConnectionError):
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.stdout.read()
            await process.wait()

    async def _answer(self, out: asyncio.StreamReader, path: str) -> None:
        while line := (await out.readline()).strip():
            name, _, value = line.decode().partition(": ")
            if name == "Status":
                self.set_status(int(value.split()[0]))
            else:
                self.set_header(name, value)
        sent = 0
        while chunk := await out.read(4096):
            self.write(chunk)
            await self.flush()
            sent += len(chunk)
            if path.endswith("-pack"):
                await self._hold(sent)

    async def _hold(self, sent: int) -> None:
        server = self.server
        if server.breaks_after is not None and sent > server.breaks_after:
            self.detach().close()
            raise StreamClosedError
        while sent > 100_000 and not server.flows.is_set():
            server.holds.set()
            await asyncio.sleep(0.02)


def _certificate(folder: Path) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "git.test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names: list[Any] = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    path = folder / "key.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


class Terminal:
    """A person with git in a terminal, in one folder."""

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        #: all that git knows of its surroundings; what the tests know, unless told
        self.env = env

    def git(self, *words: str, ok: bool = True, stdin: str | None = None) -> str:
        """What git says there."""
        done = subprocess.run(
            ["git", *words],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            input=stdin,
            encoding="utf-8",
            errors="surrogateescape",
        )
        assert not ok or done.returncode == 0, done.stderr
        return done.stdout.removesuffix("\n")

    def write(self, path: str, text: str | bytes) -> Path:
        """A file with that content."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    def commit(self, message: str = "more", **files: str) -> str:
        """A commit of all that there is, with these files by name without ending (``.txt``)."""
        for name, text in files.items():
            self.write(f"{name}.txt", text)
        self.git("add", "--all")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")
