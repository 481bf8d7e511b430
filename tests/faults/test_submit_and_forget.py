"""Submit and forget: whatever happens to a submit on its way, the same key is one job."""

import socket

import msgspec
import pytest

from cluster_agent.protocol import Submit

SPEC = Submit(source="print(1)  # ä€😀", env={"A": "1"})


@pytest.fixture
def drained(start_agent):
    """An agent that takes jobs and starts none."""
    agent = start_agent()
    agent.client().drain()
    return agent


def request_of(agent, key):
    body = msgspec.json.encode(SPEC)
    address = agent.url.removeprefix("http://")
    head = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {agent.token}\r\n"
        f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def send(agent, data, read=0):
    """Send ``data``, read so many bytes of an answer, and hang up."""
    host, port = agent.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(data)
        left = read
        while left and (part := connection.recv(left)):
            left -= len(part)


def test_a_submit_that_is_cut_at_any_byte_is_no_job_or_the_one_of_its_key(drained):
    client = drained.client()
    whole = request_of(drained, "key-000")
    begun = len(whole) - 60  # in the last line of the head, and from there on each byte
    cuts = [*range(0, begun, 37), *range(begun, len(whole) + 1)]
    for cut in cuts:
        send(drained, request_of(drained, f"key-{cut:03}")[:cut])
    ids = [client.submit(SPEC, f"key-{cut:03}").job_id for cut in cuts]
    assert len(set(ids)) == len(cuts)
    assert len(client.jobs(limit=1000).jobs) == len(cuts)


def test_an_answer_that_is_cut_at_any_byte_is_asked_for_again(drained):
    client = drained.client()
    reads = range(0, 400, 11)
    for read in reads:
        send(drained, request_of(drained, f"key-{read:03}"), read)
    ids = {client.submit(SPEC, f"key-{read:03}").job_id for read in reads}
    assert len(ids) == len(reads) == len(client.jobs(limit=1000).jobs)
