"""Calls of the client: what is sent, what comes back, and what is sent again."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from wire_server import JSON, KEEP, Request, WireServer, error_reply, reply

from cluster_agent.client import AgentClient, Unconfirmed
from cluster_agent.errors import (
    BadRequest,
    BeyondEnd,
    Conflict,
    NotFound,
    QueueFull,
    StaleWrite,
    Unauthorized,
    Unreachable,
)
from cluster_agent.protocol import FileEntry, Job, JobList, State, Submit

BYTES = "application/octet-stream"
JOB = Job(
    job_id=42,
    name="taxi",
    user="ada",
    project="default",
    state=State.QUEUED,
    history_url="http://x/history/42",
    agent_id="a",
    log_tag="0a1b2c3d",
    submitted_at=1.0,
)
SPEC = Submit(source="print(1)")


def as_json(value: object, status: str = "200 OK") -> bytes:
    return reply(msgspec.json.encode(value), status=status)


def test_a_submit_carries_token_key_and_spec() -> None:
    with (
        WireServer(lambda _: [as_json(JOB, "201 Created")]) as server,
        AgentClient(server.url, token="s3cret") as client,
    ):
        assert client.submit(SPEC, "key-1") == JOB
    [request] = server.requests
    assert (request.method, request.path) == ("POST", "/v1/jobs")
    assert json.loads(request.body) == {"source": "print(1)"}
    assert request.headers["authorization"] == "Bearer s3cret"
    assert request.headers["idempotency-key"] == "key-1"
    assert request.headers["content-type"] == JSON
    assert request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("cut", [0, 5, 40, -1])
def test_a_submit_whose_answer_was_lost_is_sent_again_with_its_key(cut: int) -> None:
    whole = as_json(JOB, "201 Created")

    def answer(_: Request) -> Iterator[bytes]:
        yield whole[:cut] if len(server.requests) == 1 else whole

    with WireServer(answer) as server, AgentClient(server.url) as client:
        assert client.submit(SPEC, "key-1").job_id == 42
    assert [request.headers["idempotency-key"] for request in server.requests] == ["key-1", "key-1"]


def test_a_submit_in_doubt_says_so() -> None:
    with (
        WireServer(lambda _: [b""]) as server,
        AgentClient(server.url, timeout_s=0.5) as client,
        pytest.raises(Unconfirmed, match="may have been accepted"),
    ):
        client.submit(SPEC, "key-1")
    assert len(server.requests) > 1
    assert {request.headers["idempotency-key"] for request in server.requests} == {"key-1"}


def test_a_submit_that_reached_nobody_says_so_at_once() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        client = AgentClient(f"http://127.0.0.1:{bound.getsockname()[1]}")
        with client, pytest.raises(Unreachable, match="connection refused") as caught:
            client.submit(SPEC, "key-1")
    assert not isinstance(caught.value, Unconfirmed)


def test_a_submit_that_was_refused_is_not_sent_again() -> None:
    refused = error_reply("429 Full", "queue_full", "1000 jobs wait")
    with (
        WireServer(lambda _: [refused]) as server,
        AgentClient(server.url) as client,
        pytest.raises(QueueFull, match="1000 jobs wait"),
    ):
        client.submit(SPEC, "key-1")
    assert len(server.requests) == 1


def test_extending_is_never_done_twice() -> None:
    with WireServer(lambda _: [b""]) as server, AgentClient(server.url) as client, pytest.raises(Unconfirmed):
        client.extend(42, 7200)
    [request] = server.requests
    assert json.loads(request.body) == {"extra_s": 7200}


def test_calls_share_a_connection_and_a_stale_one_is_replaced() -> None:
    with WireServer(lambda _: [as_json(JOB), KEEP]) as server, AgentClient(server.url) as client:
        for _ in range(5):
            client.job(42)
        assert server.connections == 1
    with WireServer(lambda _: [as_json(JOB)]) as server, AgentClient(server.url) as client:
        for _ in range(5):
            client.job(42)
        assert server.connections >= 5


def test_threads_share_a_client() -> None:
    with (
        WireServer(
            lambda r: [as_json(msgspec.structs.replace(JOB, job_id=int(r.path.split("/")[-1]))), KEEP]
        ) as s,
        AgentClient(s.url) as client,
    ):
        wrong: list[int] = []

        def ask(number: int) -> None:
            wrong.extend(number for _ in range(20) if client.job(number).job_id != number)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong
    assert len(s.requests) == 160


def test_jobs_sends_the_filters_that_are_given() -> None:
    with (
        WireServer(lambda _: [as_json(JobList(jobs=[JOB], next="41"))]) as server,
        AgentClient(server.url) as client,
    ):
        page = client.jobs(states={State.RUNNING, State.QUEUED}, user="me", since=12.5, limit=20, after="99")
        assert (page.jobs, page.next) == ([JOB], "41")
        client.jobs()
    assert server.requests[0].query == {
        "state": "queued,running",
        "user": "me",
        "since": "12.5",
        "limit": "20",
        "after": "99",
    }
    assert server.requests[1].query == {}


def test_an_error_of_the_agent_is_raised_as_it_was() -> None:
    body = error_reply("409 Conflict", "conflict", "another body", field="source")
    with (
        WireServer(lambda _: [body]) as server,
        AgentClient(server.url) as client,
        pytest.raises(Conflict) as caught,
    ):
        client.submit(SPEC, "k")
    assert (caught.value.message, caught.value.field) == ("another body", "source")


def test_an_error_code_of_a_newer_agent_is_taken_by_its_status() -> None:
    with (
        WireServer(lambda _: [error_reply("404 No", "evaporated", "it is gone")]) as server,
        AgentClient(server.url) as client,
        pytest.raises(NotFound, match="it is gone"),
    ):
        client.job(1)


def test_a_token_that_cannot_be_one_is_not_sent() -> None:
    for token in ("", "two words", "line\nbreak", "ümlaut"):
        with pytest.raises(ValueError, match="token") as caught:
            AgentClient("http://127.0.0.1:1", token=token)
        assert not token or token not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["gpu-box:8900", "ftp://gpu-box", "https://", "https://me:pw@gpu-box", "https://gpu-box#CODE"]
)
def test_an_address_that_cannot_be_one_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="address") as caught:
        AgentClient(url)
    assert "pw" not in str(caught.value)


def test_an_address_may_have_a_path_before_it() -> None:
    with WireServer(lambda _: [as_json(JOB)]) as server, AgentClient(f"{server.url}/agents/a/") as client:
        client.job(42)
    assert server.requests[0].path == "/agents/a/v1/jobs/42"


def test_an_agent_behind_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "agent.sock")
    with pytest.raises(Unreachable, match="does not exist") as caught:
        AgentClient("http://localhost", uds=path).info()
    assert path in str(caught.value)
    with WireServer(lambda _: [as_json(JOB)], uds=path), AgentClient("http://localhost", uds=path) as client:
        assert client.job(42) == JOB


# --- bytes ------------------------------------------------------------------------------------------------

DATA = bytes(range(256)) * 2000


def files(request: Request) -> Iterator[bytes]:
    """One file under every name; the connection stays open."""
    yield from one_file(request)
    yield KEEP


def one_file(request: Request) -> Iterator[bytes]:
    if request.method == "HEAD":
        told = {"File-Type": "file", "Last-Modified-Seconds": "12.5", "ETag": '"e1"'}
        head = {name.replace("-", "_"): value for name, value in told.items()}
        yield reply(b"", BYTES, **head).replace(b"Content-Length: 0", f"Content-Length: {len(DATA)}".encode())
    elif wanted := request.headers.get("range"):
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        part = DATA[int(first) : int(last) + 1 if last else None]
        if not part:
            yield error_reply("416 No", "beyond_end", "the file is shorter")
        else:
            where = f"bytes {first}-{int(first) + len(part) - 1}/{len(DATA)}"
            yield reply(part, BYTES, "206 Partial Content", Content_Range=where)
    elif request.method == "PUT":
        if request.headers.get("if-match") not in {None, '"e1"'}:
            yield error_reply("412 No", "stale_write", "changed")
        else:
            yield as_json(FileEntry(path="x", type="file", size=len(request.body)), "201 Created")
    elif request.method == "DELETE":
        yield reply(status="204 No Content", kind="").replace(b"Content-Length: 0\r\n", b"")
    else:
        yield reply(DATA, BYTES)


def test_bytes_come_as_they_are() -> None:
    with WireServer(files) as server, AgentClient(server.url) as client:
        assert b"".join(client.output(42, "stdout")) == DATA
        assert b"".join(client.output(42, "stderr", offset=1000)) == DATA[1000:]
        assert client.blob(42, "ab" * 32) == DATA
        assert b"".join(client.job_file(42, "models/a b%.json")) == DATA
        assert b"".join(client.read_file("default", "x", 10, 300)) == DATA[10:300]
        assert b"".join(client.read_file("default", "x", 10, 10)) == b""
        with pytest.raises(BeyondEnd):
            list(client.read_file("default", "x", len(DATA)))
    paths = [request.path for request in server.requests]
    assert paths[0] == "/v1/jobs/42/output/stdout"
    assert paths[3] == "/v1/jobs/42/files/models/a%20b%25.json"


def test_a_part_that_was_not_asked_for_is_refused() -> None:
    with (
        WireServer(lambda _: [reply(DATA, BYTES)]) as server,
        AgentClient(server.url) as client,
        pytest.raises(Unreachable, match="other bytes"),
    ):
        list(client.output(42, "stdout", offset=5))


@pytest.mark.parametrize("cut", [1, 100, 5000])
def test_a_body_that_is_cut_is_never_taken_for_the_whole(cut: int) -> None:
    whole = reply(DATA, BYTES)
    with (
        WireServer(lambda _: [whole[:-cut]]) as server,
        AgentClient(server.url) as client,
        pytest.raises(Unreachable, match="connection broke"),
    ):
        b"".join(client.output(42, "stdout"))


def test_file_info_reads_the_head() -> None:
    with WireServer(files) as server, AgentClient(server.url) as client:
        entry = client.file_info("default", "a/b")
    assert entry == FileEntry(path="a/b", type="file", size=len(DATA), mtime=12.5, etag="e1")


def test_file_info_of_nothing_is_not_found() -> None:
    nothing = reply(b"", JSON, "404 Not Found")
    with (
        WireServer(lambda _: [nothing]) as server,
        AgentClient(server.url) as client,
        pytest.raises(NotFound),
    ):
        client.file_info("default", "a/b")


def test_files_are_sent_from_bytes_files_and_iterators() -> None:
    with WireServer(files) as server, AgentClient(server.url) as client:
        client.write_file("default", "a", DATA)
        client.write_file("default", "b", io.BytesIO(DATA))
        client.write_file("default", "c", (DATA[start : start + 999] for start in range(0, len(DATA), 999)))
        client.write_file("default", "d", b"")
        client.write_file("default", "e", b"new", if_match="e1")
        with pytest.raises(StaleWrite):
            client.write_file("default", "e", b"new", if_match="e0")
        with pytest.raises(StaleWrite):
            client.write_file("default", "e", b"new", if_match="")
        client.delete_file("default", "e")
        client.delete_file("default", "folder", recursive=True)
    assert [request.body for request in server.requests[:4]] == [DATA, DATA, DATA, b""]
    assert server.requests[-1].query == {"recursive": "1"}


@pytest.mark.parametrize("path", ["../x", "a/../../tokens", "a/./b", ".."])
def test_a_path_that_leaves_its_root_is_not_sent(path: str) -> None:
    with (
        WireServer(files) as server,
        AgentClient(server.url) as client,
        pytest.raises(BadRequest, match="below its root"),
    ):
        client.delete_file("default", path)
    assert not server.requests


def test_a_refused_token_says_so() -> None:
    refused = error_reply("401 No", "unauthorized", "this token was revoked")
    with (
        WireServer(lambda _: [refused]) as server,
        AgentClient(server.url, token="x") as client,
        pytest.raises(Unauthorized, match="revoked"),
    ):
        client.info()
