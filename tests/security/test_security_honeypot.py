"""A token goes to the address of its own attachment: not where a history URL says, nor a redirect, nor a squatter."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster_agent.client import AgentClient
from cluster_agent.errors import AgentError, Unreachable
from mlmagics.cluster.local import LocalAgent
from mlmagics.cluster.session import Session
from mlmagics.cluster.store import Attachment, AttachmentStore
from mlmagics.errors import ClusterError, UserError
from mlmagics.job.references import find
from running import AgentProcess, run_cell, until
from unix_users import python_for_all

TOKEN = "mlm_canary-of-the-honeypot"
#: listens on a port as another program would, answers as told, and keeps what it was sent
SQUATTER = """
import os, socket, sys
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print(listening.getsockname()[1], flush=True)
while True:
    connection, _ = listening.accept()
    connection.settimeout(5)
    try:
        got = connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
    except OSError:
        got = b""
    print("got", len(got), b"canary" in got or b"mlm_" in got, flush=True)
    connection.close()
"""


class Honeypot:
    """A server of somebody else's that keeps whatever it is sent."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") -> None:
        self.connections = 0
        self.sent = b""
        self._answer = answer
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                connection.settimeout(5)
                try:
                    self.sent += connection.recv(65536)
                    connection.sendall(self._answer)
                except OSError:
                    pass  # whoever came is gone again

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)


@pytest.fixture
def honeypot() -> Iterator[Honeypot]:
    pot = Honeypot()
    yield pot
    pot.close()


def session_with(folder: Path, *attachments: Attachment) -> Session:
    store = AttachmentStore(folder / "config")
    for attachment in attachments:
        store.put(attachment)
    return Session(store, LocalAgent(folder / "local"))


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    path.chmod(0o600)
    return str(path)


def test_a_history_url_only_selects_an_attachment(
    agent: AgentProcess, honeypot: Honeypot, tmp_path: Path
) -> None:
    job, _ = run_cell(agent.client(), "1")
    token = str(agent.home / "token")
    pot = f"127.0.0.1:{honeypot.port}"
    attachment = Attachment(
        name="box", url=agent.url, credential="file", credential_from=token, aliases=[f"http://{pot}/gpu"]
    )
    session = session_with(tmp_path, attachment)
    host = agent.url.partition("//")[2]
    try:
        assert find(url=f"{agent.url}/history/{job.job_id}", session=session).job_id == job.job_id
        # an alias is another name of the box: what is asked is asked at the attachment's own address
        assert find(url=f"http://{pot}/gpu/history/{job.job_id}", session=session).job_id == job.job_id
        for url in (
            f"http://{pot}/history/1",
            f"https://{pot}/history/1",
            f"http://{pot}/gpu/../history/1",
            f"http://{host}@{pot}/history/1",
            f"http://{pot}#@{host}/history/1",
            f"http://{pot}\\@{host}/history/1",
            f"http://{pot}/{agent.url}/history/1",
            f"http://localhost:{honeypot.port}/history/1",
            f"http://[::ffff:127.0.0.1]:{honeypot.port}/history/1",
            f"http://2130706433:{honeypot.port}/history/1",
            f"{agent.url}.evil.example/history/1",
            f"{agent.url}@{pot}/history/1",
            f"{agent.url}/../{pot}/history/1",
            f"{agent.url}/history/1/../../x",
            f"{agent.url}/history/1%00",
            f"https://{host}/history/1",
            f"//{pot}/history/1",
            f"ftp://{pot}/history/1",
        ):
            with pytest.raises(UserError):
                find(url=url, session=session)
    finally:
        session.close()
    assert honeypot.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_token_goes_along_no_redirect(
    honeypot: Honeypot, tmp_path: Path, token_file: str, status: int
) -> None:
    location = f"Location: http://127.0.0.1:{honeypot.port}/v1/info".encode()
    redirecting = Honeypot(b"HTTP/1.1 %d Moved\r\n%s\r\nContent-Length: 0\r\n\r\n" % (status, location))
    url = f"http://127.0.0.1:{redirecting.port}"
    try:
        session = session_with(
            tmp_path, Attachment(name="box", url=url, credential="file", credential_from=token_file)
        )
        with pytest.raises(ClusterError):
            find("box/1", session=session)
        session.close()
        with AgentClient(url, token=TOKEN) as client:
            for ask in (
                client.info,
                client.jobs,
                lambda: client.cancel(1),
                lambda: list(client.output(1, "stdout")),
            ):
                with pytest.raises(AgentError):
                    ask()
    finally:
        redirecting.close()
    assert TOKEN.encode() in redirecting.sent  # it was asked, as it is the attachment's own address
    assert (honeypot.connections, honeypot.sent) == (0, b"")


def test_nothing_around_has_a_say_where_a_token_goes(
    agent: AgentProcess, honeypot: Honeypot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pot = f"http://127.0.0.1:{honeypot.port}"
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, pot)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password canary\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert agent.client().info().agent_id
    assert honeypot.connections == 0


def test_who_squats_the_port_on_a_shared_machine_gets_no_token(tmp_path: Path, token_file: str) -> None:
    """While the agent is down, a program of another user listens there: it is looked at before anything is sent."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: only root can start a program as another user")
    squatter = subprocess.Popen(
        [python_for_all(), "-I", "-c", SQUATTER, "0"],
        stdout=subprocess.PIPE, text=True, user=65534, group=65534, extra_groups=[], cwd="/",
    )  # fmt: skip
    assert squatter.stdout is not None
    try:
        port = int(squatter.stdout.readline())
        for host in ("127.0.0.1", "localhost"):
            attachment = Attachment(
                name="box", url=f"http://{host}:{port}", credential="file", credential_from=token_file
            )
            session = session_with(tmp_path / host, attachment)
            with pytest.raises(
                ClusterError, match=r"another user \(uid 65534\) listens there, so nothing was sent"
            ):
                find("box/1", session=session)
            session.close()
        with pytest.raises(Unreachable, match="so nothing was sent"):
            AgentClient(f"http://127.0.0.1:{port}", token=TOKEN, own_only=True).info()
        told = [squatter.stdout.readline() for _ in range(3)]
        assert told == ["got 0 False\n"] * 3
        # the check of this test: who says that this is fine sends it
        with pytest.raises(AgentError), AgentClient(f"http://127.0.0.1:{port}", token=TOKEN) as trusting:
            trusting.info()
        assert squatter.stdout.readline().endswith("True\n")
    finally:
        squatter.kill()
        squatter.wait()
        squatter.stdout.close()


def test_a_page_of_one_agent_asks_no_other(
    start_agent: Callable[..., AgentProcess], honeypot: Honeypot
) -> None:
    """What an agent says of its own address sends nobody elsewhere: a client keeps the address that it was given."""
    agent = start_agent("--public-url", f"http://127.0.0.1:{honeypot.port}")
    client = agent.client()
    job, _ = run_cell(client, "1")
    assert job.history_url.startswith(f"http://127.0.0.1:{honeypot.port}/history/")
    assert client.info().public_url.endswith(str(honeypot.port))
    until(lambda: client.job(job.job_id).ended_at)
    assert honeypot.connections == 0
