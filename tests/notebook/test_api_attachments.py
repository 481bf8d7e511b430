"""Adding, checking and naming clusters, with agents that really answer."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import sys
import threading

import pytest

from mlmagics import api
from mlmagics.cluster import attaching, checking
from mlmagics.cluster.local import LocalAgent
from mlmagics.cluster.session import Session
from mlmagics.cluster.store import Attachment, AttachmentStore
from mlmagics.errors import BadValue, ClusterError, UnknownCluster, UserError


@pytest.fixture
def session(tmp_path):
    session = Session(AttachmentStore(tmp_path / "config"), LocalAgent(tmp_path / "local"))
    yield session
    session.close()


@pytest.fixture
def tls_agent(start_agent, tmp_path):
    home = tmp_path / "tls"
    subprocess.run(
        [sys.executable, "-m", "cluster_agent", "init", "--home", str(home)], check=True, capture_output=True
    )
    return start_agent(home=home)


def add(session, agent, name="gpu-box", **options):
    options = options or {"token_file": str(agent.home / "token")}
    return attaching.add(name, agent.url, session=session, **options)


def steps(session, name="gpu-box"):
    return {step.what: step for step in checking.check(name, session=session)}


def test_an_added_cluster_is_asked_recorded_and_usable(session, agent):
    row = add(session, agent)
    assert (row.name, row.state, row.address) == ("gpu-box", "Ready", agent.url)
    kept = session.store.get("gpu-box")
    assert kept.agent_id == row.info.agent_id
    assert kept.public_url == agent.url
    assert kept.python_version == row.info.python_version
    assert api.submit("print('hi')", session=session).wait().logs() == "hi\n"


def test_the_token_may_come_from_three_places(session, agent, monkeypatch):
    add(session, agent, "by-file")
    monkeypatch.setenv("BOX_TOKEN", agent.token)
    add(session, agent, "by-env", token_env="BOX_TOKEN")
    asked = []
    add(session, agent, "typed", ask=lambda text: asked.append(text) or f" {agent.token}\n")
    assert asked == [f"Token for typed ({agent.url}): "]
    assert {row.name: row.state for row in api.attachments(session=session)} == {
        "by-file": "Ready",
        "by-env": "Ready",
        "typed": "Ready",
    }
    assert agent.token not in session.store.path.read_text()
    assert (session.store.folder / "tokens" / "typed").read_text().strip() == agent.token
    with pytest.raises(BadValue, match="needs a token: --token-file FILE or --token-env VARIABLE"):
        attaching.add("none", agent.url, session=session)
    with pytest.raises(BadValue, match="in one way only"):
        add(session, agent, "two", token="a", token_env="B")


@pytest.mark.parametrize(
    ("url", "options", "line"),
    [
        (None, {"token": "wrong"}, "does not accept this token"),
        (None, {"token": "two words"}, "does not hold a token"),
        (None, {"token_file": "/nowhere"}, "token file /nowhere cannot be read"),
        (None, {"token": "t", "ca": "/nowhere"}, "--ca /nowhere cannot be used: No such file"),
        ("http://127.0.0.1:9", {"token": "t"}, "connection refused"),
        ("http://192.0.2.1:8900", {"token": "t"}, "is not encrypted"),
        ("https://gpu-box:8900#code", {}, "is not the code of an invite"),
        ("ssh://-oProxyCommand=id", {}, "is not an address for ssh: write ssh://USER@HOST"),
    ],
)
def test_what_does_not_work_is_told_and_not_saved(session, agent, url, options, line):
    with pytest.raises(UserError) as caught:
        attaching.add("gpu-box", url or agent.url, session=session, **options)
    assert line in caught.value.message
    assert "\n" not in caught.value.message
    assert session.store.all() == {}
    assert not (session.store.folder / "tokens").exists()


def test_an_address_that_is_no_agents_is_told(session):
    with Listener(b'{"hello": "world"}') as other, pytest.raises(ClusterError, match="is no agent"):
        attaching.add("gpu-box", other.url, token="t", session=session)
    assert session.store.all() == {}


def test_a_name_that_is_taken_is_refused_before_anything_is_sent(session):
    with Listener(b"{}") as other, pytest.raises(BadValue, match="time is an IPython magic"):
        attaching.add("time", other.url, token="t", taken=frozenset({"time"}), session=session)
    assert other.heads == []


def test_adding_again_renews_and_another_agent_needs_a_remove_first(session, agent, start_agent):
    add(session, agent)
    session.store.change("gpu-box", aliases=["https://old:1"])
    add(session, agent, token=agent.token)
    assert session.store.get("gpu-box").credential == "stored"
    assert session.store.get("gpu-box").aliases == ["https://old:1"]
    another = start_agent()
    with pytest.raises(BadValue, match="gpu-box is attached already, to another agent"):
        add(session, another)
    attaching.remove("gpu-box", session=session)
    add(session, another)
    assert session.store.get("gpu-box").url == another.url


def test_a_second_name_for_one_agent_is_remarked(session, agent):
    add(session, agent)
    assert add(session, agent, "same-box").remark.startswith("the same agent as gpu-box")


def test_local_cannot_be_removed_nor_unknown_names(session):
    with pytest.raises(BadValue, match="local is always there"):
        attaching.remove("local", session=session)
    with pytest.raises(UnknownCluster):
        attaching.remove("nothing", session=session)


def test_a_certificate_of_its_own_is_trusted_by_its_file_only(session, tls_agent):
    with pytest.raises(ClusterError, match=r"certificate is of an unknown issuer.*--ca"):
        add(session, tls_agent)
    (ca,) = tls_agent.home.glob("*cert*.pem")
    add(session, tls_agent, token_file=str(tls_agent.home / "token"), ca=str(ca))
    assert session.store.get("gpu-box").ca == str(ca)
    found = steps(session)
    assert found["TLS"].good is not False
    assert "certificate is trusted and good for" in found["TLS"].said


def test_http_where_tls_is_spoken_is_told(session, tls_agent):
    plain = tls_agent.url.replace("https:", "http:")
    options = {"token_file": str(tls_agent.home / "token"), "insecure": True}
    with pytest.raises(BadValue, match=f"speaks TLS: write {tls_agent.url}$"):
        attaching.add("gpu-box", plain, session=session, **options)
    assert session.store.all() == {}
    session.store.put(
        Attachment(name="gpu-box", url=plain, credential="file", credential_from=options["token_file"])
    )
    assert steps(session)["agent"].said == f"{plain} speaks TLS: write {tls_agent.url}"


# --- check ------------------------------------------------------------------------------------------------


def test_every_step_of_a_check_is_explained(session, agent):
    add(session, agent)
    found = steps(session)
    assert list(found) == ["address", "token", "agent", "identity", "version", "python", "project"]
    assert all(step.good for step in found.values()), found
    assert "mounted here too" in found["project"].said


def test_a_check_ends_with_the_step_that_fails(session, agent):
    add(session, agent)
    session.store.change("gpu-box", url="http://127.0.0.1:9")
    assert [(step.what, step.good) for step in checking.check("gpu-box", session=session)] == [
        ("address", False)
    ]
    session.store.change("gpu-box", url="http://no-such-host.invalid:9")
    assert "is unknown here" in steps(session)["address"].said
    session.store.change("gpu-box", url=agent.url, credential="env", credential_from="SURELY_NOT_SET")
    assert "SURELY_NOT_SET" in steps(session)["token"].said
    (agent.home / "wrong").write_text("wrong")
    session.store.change("gpu-box", credential="file", credential_from=str(agent.home / "wrong"))
    assert "does not accept this token" in steps(session)["agent"].said


def test_a_check_remarks_what_is_worth_a_look(session, agent, tmp_path):
    token = tmp_path / "token"
    token.write_text(agent.token)
    token.chmod(0o644)
    add(session, agent, token_file=str(token))
    session.store.change("gpu-box", agent_id="another")
    found = steps(session)
    assert found["token"].good is None
    assert "chmod 600" in found["token"].said
    assert found["identity"].good is None
    # a root without a marker cannot be told from another folder of the same path
    marker = agent.home / "project" / ".mlmagics-project"
    marker.unlink()
    marker.mkdir()
    assert "through the agent" in steps(session)["project"].said


# --- aliases ----------------------------------------------------------------------------------------------


def test_an_alias_makes_history_urls_of_another_address_known(session, agent):
    add(session, agent)
    job = api.submit("print(1)", session=session)
    other = agent.url.replace("127.0.0.1", "localhost")
    with pytest.raises(BadValue, match="is not attached; if it is one of yours: %attachments alias NAME"):
        api.find(f"{other}/history/1", session=session)
    attaching.alias("gpu-box", f"{other}/history/1", session=session)
    attaching.alias("gpu-box", other, session=session)
    assert session.store.get("gpu-box").aliases == [other]
    assert api.find(f"{other}/history/1", session=session) is job


def test_an_alias_of_another_agent_is_refused_and_sees_no_token(session, agent, start_agent):
    add(session, agent)
    with pytest.raises(BadValue, match="is another agent than gpu-box"):
        attaching.alias("gpu-box", start_agent().url, session=session)
    with Listener(json.dumps({"status": "ok", "agent_id": "wrong"}).encode()) as other:
        with pytest.raises(BadValue, match="is another agent than gpu-box"):
            attaching.alias("gpu-box", other.url, session=session)
        with pytest.raises(BadValue, match="is not attached"):
            api.find(f"{other.url}/history/1", session=session)
    assert len(other.heads) == 1
    assert b"authorization" not in other.heads[0].lower()
    assert agent.token.encode() not in b"".join(other.heads)
    assert session.store.get("gpu-box").aliases == []


def test_an_alias_that_somebody_else_has_is_refused(session, agent):
    add(session, agent)
    add(session, agent, "same-box")
    session.store.change("gpu-box", aliases=["http://localhost:9"])
    with pytest.raises(BadValue, match="is an address of gpu-box already"):
        attaching.alias("same-box", "http://localhost:9", session=session)


def test_a_redirect_is_not_followed_with_the_token(session):
    with Listener(b"") as thief:
        answer = f"HTTP/1.1 302 Found\r\nLocation: {thief.url}/v1/info\r\nContent-Length: 0\r\n\r\n".encode()
        with Listener(answer, raw=True) as other, pytest.raises(ClusterError, match="redirect"):
            attaching.add("gpu-box", other.url, token="s3cret", session=session)
    assert thief.heads == []


STRANGER = """
import os, socket
os.setuid(65534)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    near, _ = listener.accept()
    near.settimeout(5)
    print(near.recv(65536), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="has to become another user")
def test_another_users_program_on_the_port_sees_no_token(session):
    thief = subprocess.Popen([sys.executable, "-c", STRANGER], stdout=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{thief.stdout.readline().strip()}"
        with pytest.raises(
            ClusterError, match=r"another user \(uid 65534\) listens there, so nothing was sent"
        ):
            attaching.add("gpu-box", url, token="s3cret", session=session)
        session.store.put(Attachment(name="gpu-box", url=url), token="s3cret")
        with pytest.raises(ClusterError, match="another user"):
            api.submit("print(1)", session=session)
        assert [thief.stdout.readline(), thief.stdout.readline()] == ["b''\n"] * 2
    finally:
        thief.kill()
        thief.wait()
        thief.stdout.close()


# --- several processes ------------------------------------------------------------------------------------


def test_kernels_that_add_at_once_lose_no_entry(session, agent):
    script = (
        "import sys\nfrom mlmagics.cluster import attaching\n"
        "for n in range(4):\n    attaching.add(f'box-{sys.argv[1]}-{n}', sys.argv[2], token_file=sys.argv[3])\n"
    )
    env = {**os.environ, "MLMAGICS_CONFIG_DIR": str(session.store.folder)}
    kernels = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(number), agent.url, str(agent.home / "token")], env=env
        )
        for number in range(4)
    ]
    try:
        assert [kernel.wait(120) for kernel in kernels] == [0] * 4
    finally:
        for kernel in kernels:
            kernel.kill()
            kernel.wait()
    assert set(session.store.all()) == {f"box-{number}-{n}" for number in range(4) for n in range(4)}


class Listener:
    """Answers every request with the same bytes, and keeps the heads of what it was asked."""

    def __init__(self, body, *, raw=False):
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        answer = body if raw else head.encode() + body
        heads = self.heads = []

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                head = b"".join(iter(self.rfile.readline, b"\r\n"))
                if head:
                    heads.append(head)
                    self.wfile.write(answer)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
