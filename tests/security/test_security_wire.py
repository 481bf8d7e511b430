"""Requests that are made to be misread, huge or slow end where they come in; and nobody without a right gets further."""

from __future__ import annotations

import re
import socket
from typing import Any

import httpx
import pytest
from people import People, address, as_bearer, visitor

from broken import Change, copy_package
from running import NotReady

BODY = b'{"source": "print(1)"}'
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
SIZE = f"{len(BODY):x}"
LENGTH = f"Content-Length: {len(BODY)}"
SLOW = "idle_connection_timeout=120,\n        chunk_size=2**20,\n        xheaders=False"
CHUNKED = "Transfer-Encoding: chunked"


def exchange(people: People, data: bytes) -> tuple[list[int], bool]:
    """The status of each answer to ``data`` on one connection, and whether that was closed then."""
    url = httpx.URL(people.agent.url)
    got = b""
    with socket.create_connection((url.host, url.port), 30, (address(), 0)) as connection:
        try:
            connection.sendall(data)
            # who keeps the connection answers this one too, so nobody has to wait for what does not come
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            while chunk := connection.recv(65536):
                got += chunk
        except ConnectionError:
            pass  # cut, before all was sent
    found = [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", got)]
    kept = got.rpartition(b"\r\n\r\n")[2].startswith(b'{"status":"ok"')
    return (found[:-1], False) if kept else (found, True)


def head(
    people: People, *more: str, start: str = "POST /v1/jobs HTTP/1.1", host: str = "Host: 127.0.0.1"
) -> bytes:
    token = people.tokens["ada"]
    lines = [start, host, f"Authorization: Bearer {token}", "Content-Type: application/json", *more, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def smuggled(people: People) -> bytes:
    return head(people, LENGTH) + BODY


MISREAD: dict[str, tuple[list[str], bytes]] = {
    "length and chunks": ([LENGTH, CHUNKED], CHUNKS),
    "chunks and length": ([CHUNKED, "Content-Length: 4"], CHUNKS),
    "two lengths": ([LENGTH, "Content-Length: 4"], BODY),
    "two equal lengths": ([LENGTH, LENGTH], BODY),
    "a list of lengths": ([f"{LENGTH}, {len(BODY)}"], BODY),
    "a length with a sign": ([f"Content-Length: +{len(BODY)}"], BODY),
    "a negative length": (["Content-Length: -1"], BODY),
    "a hexadecimal length": ([f"Content-Length: 0x{SIZE}"], BODY),
    "a length of other digits": (["Content-Length: \xb2"], BODY),
    "a length with an underscore": (["Content-Length: 2_2"], BODY),
    "no length after the colon": (["Content-Length:"], BODY),
    "a length of 5,000 digits": ([f"Content-Length: {'9' * 5000}"], BODY),
    "a folded header": (["X-A: b", f" {LENGTH}", LENGTH], BODY),
    "a folded encoding": (["Transfer-Encoding:", " chunked"], CHUNKS),
    "a blank before the colon": ([f"Content-Length : {len(BODY)}"], BODY),
    "an unknown encoding": (["Transfer-Encoding: xchunked"], CHUNKS),
    "chunked and another": (["Transfer-Encoding: chunked, identity"], CHUNKS),
    "compressed and chunked": (["Transfer-Encoding: gzip, chunked"], CHUNKS),
    "chunked twice": ([CHUNKED, CHUNKED], CHUNKS),
    "a control character before chunked": (["Transfer-Encoding: \x0bchunked"], CHUNKS),
    "an extension of a chunk": ([CHUNKED], CHUNKS.replace(b"\r\n", b";a=b\r\n", 1)),
    "an extension with an end of line": ([CHUNKED], CHUNKS.replace(b"\r\n", b";a\nb\r\n", 1)),
    "a chunk of 0x": ([CHUNKED], b"0x" + CHUNKS),
    "a chunk of _": ([CHUNKED], b"0_" + CHUNKS),
    "a negative chunk": ([CHUNKED], b"-" + CHUNKS),
    "a huge chunk": ([CHUNKED], b"f" * 16 + b"\r\n" + BODY),
    "a chunk that is longer than it says": ([CHUNKED], CHUNKS.replace(b"\r\n0", b"xx0")),
    "chunks without CR": ([CHUNKED], CHUNKS.replace(b"\r", b"")),
    "headers behind the chunks": ([CHUNKED], CHUNKS.replace(b"0\r\n", b"0\r\nX: y\r\n")),
    "NUL in a header": (["X-A: a\0b", LENGTH], BODY),
    "CR in a header": (["X-A: a\rb", LENGTH], BODY),
    "a header without a name": ([": a", LENGTH], BODY),
    "a header of other characters": (["X(A): a", LENGTH], BODY),
    "headers of 70 kB": ([f"X: {'x' * 70_000}", LENGTH], BODY),
}


@pytest.mark.parametrize("how", MISREAD)
def test_what_two_could_read_differently_is_refused_as_a_whole(people: People, how: str) -> None:
    lines, body = MISREAD[how]
    before = people.client("ada").jobs().jobs[0].job_id
    statuses, closed = exchange(people, head(people, *lines) + body + smuggled(people))
    assert closed
    assert set(statuses) <= {400, 413}
    assert people.client("ada").jobs().jobs[0].job_id == before
    assert "Traceback" not in people.agent.stderr.read_text()


@pytest.mark.parametrize(
    "start",
    [
        "GET /v1/info\0 HTTP/1.1",
        "GET /healthz",
        "GET /healthz HTTP/3.0",
        "PRI * HTTP/2.0",
        "GET  /healthz HTTP/1.1",
        "CONNECT evil.example:80 HTTP/1.1",
        "GET\t/healthz HTTP/1.1",
        "\x16\x03\x01\x02",
    ],
)
def test_what_is_no_request_is_cut(people: People, start: str) -> None:
    statuses, closed = exchange(people, head(people, start=start) + smuggled(people))
    assert closed
    assert statuses in ([400], [405], [])


@pytest.mark.parametrize(
    ("start", "status"),
    [
        ("GET http://evil.example/v1/info HTTP/1.1", 404),
        ("GET //evil.example/v1/info HTTP/1.1", 404),
        ("GET /static/../v1/info HTTP/1.1", 404),
        ("GET /v1/./info HTTP/1.1", 404),
        ("GET /v1/%69nfo HTTP/1.1", 404),
        ("GET /v1/info; HTTP/1.1", 404),
        ("GET /v1/info/ HTTP/1.1", 404),
        ("GET /V1/info HTTP/1.1", 404),
        ("GET /v1/info#x HTTP/1.1", 404),
        ("GET /v1/jobs/\u0661 HTTP/1.1", None),
        ("GET /v1/jobs/1%00 HTTP/1.1", 404),
        ("GET /static/%2e%2e%2fauth.py HTTP/1.1", 404),
        ("GET /static/..\\auth.py HTTP/1.1", 404),
        ("GET /v1/projects/default/files/..%2f..%2fagent.db HTTP/1.1", 400),
        ("GET /v1/jobs/1/files/..%2fevents.ndjson HTTP/1.1", 400),
        ("GET /v1/jobs/1/blobs/..%2fevents.ndjson HTTP/1.1", 400),
        ("GET /v1/jobs/1/results/..%2f..%2fagent.db HTTP/1.1", 404),
        ("GET /v1/jobs/1/inputs/..%2fevents.ndjson HTTP/1.1", 404),
        ("GET /v1/jobs/99999999999999999999 HTTP/1.1", 404),
    ],
)
def test_a_path_means_one_thing(people: People, start: str, status: int | None) -> None:
    if status is None:
        start, status = start.encode().decode("latin-1"), 400
    statuses, _ = exchange(people, head(people, start=start))
    assert statuses in ([status], [404]) if status == 400 else statuses == [status]


@pytest.mark.parametrize(
    "host",
    [
        "Host: evil.example",
        "Host: evil.example:80",
        "Host: 127.0.0.1.evil.example",
        "Host: localhost.evil.example",
        "Host: evil.example/127.0.0.1",
        "Host: 127.0.0.1@evil.example",
        "Host: 127.0.0.1, evil.example",
        "Host: 127.0.0.1\r\nHost: evil.example",
        "Host: 0x7f000001",
        "Host: 2130706433",
        "Host: xlocalhost",
        "Host: localhost.",
        "Host: [::1%25lo].evil.example",
        "Host:",
        "X-Forwarded-Host: 127.0.0.1",
        "Host: evil.example\r\nX-Forwarded-Host: 127.0.0.1\r\nForwarded: host=127.0.0.1",
    ],
)
def test_a_page_that_rebinds_its_name_gets_nothing(people: People, host: str) -> None:
    """An address in numbers cannot be rebound; every name but the agent's own is refused, with a token or without."""
    statuses, _ = exchange(people, head(people, start="GET /v1/info HTTP/1.1", host=host))
    assert statuses in ([400], [403])
    statuses, _ = exchange(people, f"GET /healthz HTTP/1.1\r\n{host}\r\n\r\n".encode())
    assert statuses in ([400], [403])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:80", "10.1.2.3"])
def test_own_names_are_answered(people: People, host: str) -> None:
    assert exchange(people, head(people, start="GET /v1/info HTTP/1.1", host=f"Host: {host}"))[0] == [200]


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example",
        "{url}.evil.example",
        "{url}0",
        "{url}/",
        "https://{host}",
        "http://localhost",
        "http://127.0.0.1",
        "http://evil@{host}",
        "file://",
        "{url} http://evil.example",
        "{upper}",
    ],
)
def test_an_origin_is_compared_exactly(people: People, origin: str) -> None:
    url = people.agent.url
    text = origin.format(url=url, host=url.partition("//")[2], upper=url.upper())
    with visitor(people) as http:
        admin = as_bearer(people.tokens["admin"])
        assert http.get("/v1/info", headers=admin | {"Origin": text}).status_code == 403
        assert http.post("/v1/view-token", json={"code": "x"}, headers={"Origin": text}).status_code == 403
        assert http.get("/v1/info", headers=admin | {"Origin": url}).status_code == 200


def test_what_a_page_can_send_without_asking_does_nothing(people: People) -> None:
    """Forms and simple requests of other pages, also from one that has no Origin to tell."""
    with visitor(people) as http:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            reply = http.post("/v1/jobs", content=BODY, headers={"Content-Type": kind})
            assert reply.status_code == 401
        preflight = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
        preflight["Access-Control-Request-Headers"] = "authorization, content-type"
        reply = http.options("/v1/jobs", headers=preflight)
        assert reply.status_code in {401, 403}
        assert not [name for name in reply.headers if name.startswith("access-control")]
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        reply = http.get(
            "/v1/info", headers=as_bearer(people.tokens["ada"]) | upgrade | {"Sec-WebSocket-Key": "x"}
        )
        assert reply.status_code == 200
        assert "upgrade" not in reply.headers


def test_a_body_is_refused_before_it_is_sent(people: People) -> None:
    """Also of somebody who may not send any: 100-continue is not given to whom is refused."""
    big = f"Content-Length: {2**40}"
    assert exchange(people, head(people, big, "Expect: 100-continue")) == ([413], True)
    wrong = head(people, big, "Expect: 100-continue").replace(people.tokens["ada"].encode(), b"mlm_wrong")
    assert exchange(people, wrong) == ([401], True)
    endless = head(people, CHUNKED) + b"100000\r\n" + b" " * 2**20 + b"\r\n"
    assert exchange(people, endless + (b"100000\r\n" + b" " * 2**20 + b"\r\n") * 9)[1]


def test_compressed_bodies_are_not_unpacked(people: People) -> None:
    import gzip

    with visitor(people) as http:
        headers = as_bearer(people.tokens["ada"]) | {"Content-Type": "application/json"}
        reply = http.post(
            "/v1/jobs", content=gzip.compress(BODY), headers=headers | {"Content-Encoding": "gzip"}
        )
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "bad_request")


def test_headers_that_come_slowly_end_their_connection(start_agent: Any, tmp_path: Any) -> None:
    change = Change("cluster_agent/server/listening.py", SLOW, SLOW.replace("120", "1"))
    agent = start_agent(python=copy_package(tmp_path / "copy", [change]))
    url = httpx.URL(agent.url)
    for begun in (b"", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: "):
        with socket.create_connection((url.host, url.port), timeout=30) as connection:
            connection.sendall(begun)
            assert connection.recv(100) == b""


def test_plain_http_off_loopback_is_refused_unless_told(start_agent: Any) -> None:
    with pytest.raises(NotReady, match="--tls-cert"):
        start_agent("--host", "0.0.0.0")
    agent = start_agent("--host", "0.0.0.0", "--insecure-http")
    assert (
        httpx.get(f"http://127.0.0.1:{httpx.URL(agent.url).port}/healthz", trust_env=False).status_code == 200
    )
