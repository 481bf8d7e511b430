"""Every way not to reach an agent gives one line with the address, the cause and what to do."""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from wire_server import JSON, Request, WireServer, error_reply, reply

from cluster_agent.client import AgentClient
from cluster_agent.errors import Unreachable

GOOD = reply(b'{"jobs":[]}')


def trouble(client: AgentClient) -> str:
    """The one line that a call raises."""
    with client, pytest.raises(Unreachable) as caught:
        client.jobs()
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 300
    return line


# --- no connection ----------------------------------------------------------------------------------------


def test_refused() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        line = trouble(AgentClient(url))
    assert line.startswith(url)
    assert "connection refused" in line


def test_unknown_name() -> None:
    line = trouble(AgentClient("https://no-such-box.invalid:8900"))
    assert line.startswith("https://no-such-box.invalid:8900: the name no-such-box.invalid is unknown")


def test_no_answer_to_a_connection() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        try:
            for queued in waiting:
                queued.setblocking(False)
                queued.connect_ex(full.getsockname())
            line = trouble(AgentClient(f"http://127.0.0.1:{full.getsockname()[1]}", timeout_s=0.3))
        finally:
            for queued in waiting:
                queued.close()
    assert "no connection within 0.3 s" in line


def test_no_answer_to_a_request() -> None:
    done = threading.Event()

    def answer(_: Request) -> Iterator[bytes]:
        done.wait(60)
        yield b""

    with WireServer(answer) as server:
        line = trouble(AgentClient(server.url, timeout_s=0.3))
        done.set()
    assert line == f"{server.url}: connected, but nothing came for 0.3 s"


def test_hung_up() -> None:
    with WireServer(lambda _: [b""]) as server:
        assert "hung up without an answer" in trouble(AgentClient(server.url))


def test_nothing_of_the_environment_has_a_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with WireServer(lambda _: [GOOD]) as server, WireServer(lambda _: [GOOD]) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        with AgentClient(server.url) as client:
            client.jobs()
    assert not proxy.requests
    assert "authorization" not in server.requests[0].headers


# --- something else answers -------------------------------------------------------------------------------

BIG = b'{"jobs":"' + b"x" * (65 * 2**20) + b'"}'


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (reply(b"<html>Welcome</html>", "text/html; charset=utf-8"), "200 with text/html"),
        (reply(b"<html>Not here</html>", "text/html", "404 Not Found"), "404 Not Found with text/html"),
        (reply(b"<html>Login</html>", "text/html", "401 Unauthorized"), "401 Unauthorized with text/html"),
        (reply(b'{"hello":"world"}'), "JSON that is not an agent's"),
        (reply(b'{"jobs":[{"id":1}]}'), "JSON that is not an agent's"),
        (reply(b"hello"), "JSON that is not an agent's"),
        (reply(b"\xff\xfe", JSON), "JSON that is not an agent's"),
        (reply(b'{"detail":"Not Found"}', JSON, "404 Not Found"), "404 Not Found with application/json"),
        (reply(b"ok", ""), "200 with no content type"),
        (
            reply(b"", "text/plain", "204 No Content").replace(b"Content-Length: 0\r\n", b""),
            "JSON that is not",
        ),
        (reply(GOOD, Content_Encoding="gzip"), "compressed data"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + b'{"jobs":[]}', "without a length"),
        (b"SSH-2.0-OpenSSH_9.6p1\r\n", "hung up without an answer; is it the agent's port"),
        (b"220 mail ESMTP\r\n\r\n", "something else than HTTP"),
        (reply(b"<html></html>", "text/html", "502 Bad Gateway"), "a proxy answers 502 Bad Gateway"),
        (reply(BIG), "more than 64 MiB"),
    ],
)
def test_what_is_no_agent(answer: bytes, part: str) -> None:
    with WireServer(lambda _: [answer]) as server:
        line = trouble(AgentClient(server.url, token="secret"))
    assert line.startswith(server.url)
    assert part in line
    assert "secret" not in line


def test_a_redirect_is_not_followed() -> None:
    with WireServer(lambda _: [GOOD]) as elsewhere:
        target = f"{elsewhere.url}/v1/jobs"
        moved = reply(b"", "text/html", "307 Temporary Redirect", Location=target)
        with WireServer(lambda _: [moved]) as server:
            line = trouble(AgentClient(server.url, token="secret"))
    assert f"a redirect to {target}, which is not followed" in line
    assert not elsewhere.requests


def test_an_error_of_the_agent_is_no_trouble_with_the_connection() -> None:
    with (
        WireServer(lambda _: [error_reply("500 Oops", "server_fault", "a fault")]) as server,
        AgentClient(server.url) as client,
        pytest.raises(Exception, match="a fault") as caught,
    ):
        client.jobs()
    assert not isinstance(caught.value, Unreachable)


# --- certificates -----------------------------------------------------------------------------------------

Certificate = Callable[..., Path]
NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """Makes a PEM file with a key and a certificate of ``issuer``, or one that vouches for itself."""

    def make(
        name: str = "127.0.0.1",
        begin: datetime.datetime = NOW - DAY,
        end: datetime.datetime = NOW + DAY,
        issuer: Path | None = None,
    ) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        alternative = x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )
        if issuer is None:
            made = builder.issuer_name(subject).sign(key, hashes.SHA256())
        else:
            pem = issuer.read_bytes()
            authority = serialization.load_pem_private_key(pem, None)
            assert isinstance(authority, ec.EllipticCurvePrivateKey)
            builder = builder.issuer_name(x509.load_pem_x509_certificate(pem).subject)
            made = builder.sign(authority, hashes.SHA256())
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = tmp_path / f"{x509.random_serial_number()}.pem"
        path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
        return path

    return make


def serving(pem: Path) -> WireServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return WireServer(lambda _: [GOOD], tls=context)


def test_a_pinned_certificate_is_trusted(certificate: Certificate) -> None:
    pem = certificate()
    with serving(pem) as server, AgentClient(server.url, ca=str(pem)) as client:
        assert client.jobs().jobs == []


def test_a_certificate_of_a_pinned_issuer_is_trusted(certificate: Certificate) -> None:
    """Also of one that ops made by hand, without the extensions that Python 3.13 asks for."""
    issuer = certificate("our-issuer")
    with serving(certificate(issuer=issuer)) as server, AgentClient(server.url, ca=str(issuer)) as client:
        assert client.jobs().jobs == []


def test_an_unknown_issuer(certificate: Certificate) -> None:
    other = certificate()
    with serving(certificate()) as server:
        for client in (AgentClient(server.url), AgentClient(server.url, ca=str(other))):
            line = trouble(client)
            assert line.startswith(server.url)
            assert "certificate is of an unknown issuer" in line
    assert not server.requests


def test_an_expired_certificate(certificate: Certificate) -> None:
    pem = certificate(begin=NOW - 9 * DAY, end=NOW - DAY)
    with serving(pem) as server:
        assert "certificate has expired" in trouble(AgentClient(server.url, ca=str(pem)))


def test_a_certificate_of_tomorrow(certificate: Certificate) -> None:
    pem = certificate(begin=NOW + DAY, end=NOW + 9 * DAY)
    with serving(pem) as server:
        assert "not valid yet" in trouble(AgentClient(server.url, ca=str(pem)))


def test_a_certificate_for_another_name(certificate: Certificate) -> None:
    for name in ("other-box", "10.9.8.7"):
        pem = certificate(name)
        with serving(pem) as server:
            assert "certificate is for another name" in trouble(AgentClient(server.url, ca=str(pem)))


def test_plain_http_where_tls_is_expected() -> None:
    with WireServer(lambda _: [GOOD]) as server:
        line = trouble(AgentClient(server.url.replace("http:", "https:")))
    assert "does not speak TLS" in line


def test_tls_where_plain_http_is_expected(certificate: Certificate) -> None:
    with serving(certificate()) as server:
        line = trouble(AgentClient(server.url.replace("https:", "http:")))
    # which one depends on whether its alert or its hanging up comes first
    assert "the right one of http and https?" in line or "the connection broke" in line


def test_a_ca_file_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing\n")
    for name in ("empty.pem", "absent.pem"):
        with pytest.raises(ValueError, match="CA file") as caught:
            AgentClient("https://127.0.0.1:1", ca=str(tmp_path / name))
        assert name in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use every socket")
def test_a_socket_of_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    with WireServer(lambda _: [GOOD], uds=str(path)):
        path.chmod(0)
        assert "permission denied" in trouble(AgentClient("http://localhost", uds=str(path)))
