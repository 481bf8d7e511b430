"""Blobs: sent ahead of the jobs that name them, whole or not at all, kept with these and deleted with the last one."""

from __future__ import annotations

import hashlib
import os
import socket
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from cluster_agent.client import AgentClient
from cluster_agent.errors import BadRequest, BlobMissing, Forbidden, StorageFault, TooLarge
from cluster_agent.protocol import FileInput, SourceInput, State, Submit, ValueInput
from mlmagics_job.packing import pieces
from mlmagics_job.pickles import packed
from running import agent_command, run_cell, text_of, until

DAY_S = 86400


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def send(client, data: bytes) -> str:
    client.send_blob(sha(data), len(data), [data])
    return sha(data)


def value(client, name: str, thing: object) -> ValueInput:
    data = b"".join(bytes(piece) for piece in pieces(*packed(thing)))
    return ValueInput(name=name, kind=type(thing).__name__, sha256=send(client, data), size=len(data))


def module(client, path: str, text: str) -> FileInput:
    return FileInput(path=path, sha256=send(client, text.encode()), size=len(text.encode()))


def stored(agent) -> list[str]:
    """Names of all that lies among the blobs."""
    return sorted(path.name for folder in (agent.home / "blobs").iterdir() for path in folder.iterdir())


def age(agent, days: float) -> None:
    for folder in (agent.home / "blobs").iterdir():
        for path in folder.iterdir():
            os.utime(path, (time.time() - days * DAY_S,) * 2)


def test_what_was_sent_is_in_the_job_before_its_first_line(agent):
    client = agent.client()
    job, events = run_cell(
        client,
        "import helper, pkg.inner, os\nprint(twice(seen), helper.NAME, pkg.inner.N, rate, os.listdir('.'))",
        params={"rate": "0.5"},
        sources=[
            SourceInput(name="base", origin="In[2]", text="base = start + 1"),
            SourceInput(name="twice", origin="In[3]", text="def twice(x):\n    return base * x", line=4),
        ],
        files=[
            module(client, "helper.py", "NAME = 'help'"),
            module(client, "pkg/__init__.py", "#"),
            module(client, "pkg/inner.py", "N = 9"),
        ],
        values=[value(client, "seen", 3), _before(value(client, "start", 1), 0)],
    )
    assert job.state is State.SUCCEEDED, text_of(events, "stderr")
    assert text_of(events) == "6 help 9 0.5 []\n"
    assert (job.params, [part.name for part in job.sources]) == ({"rate": "0.5"}, ["base", "twice"])
    assert [part.path for part in job.files] == ["helper.py", "pkg/__init__.py", "pkg/inner.py"]
    assert [part.name for part in client.jobs().jobs[0].values] == []


def _before(value: ValueInput, number: int) -> ValueInput:
    return ValueInput(name=value.name, kind=value.kind, sha256=value.sha256, size=value.size, before=number)


def test_a_submit_that_names_an_absent_blob_is_refused_and_lists_it(agent):
    client = agent.client()
    there, absent = value(client, "a", 1), ValueInput(name="b", kind="int", sha256="0" * 64, size=5)
    with pytest.raises(BlobMissing, match=rf"send these first: b \({'0' * 64}\)$") as caught:
        client.submit(Submit(source="1", values=[there, absent]), "key")
    assert caught.value.field == "values"
    assert client.jobs().jobs == []
    # nothing stands in the way of the same key afterwards
    assert client.submit(Submit(source="1", values=[there]), "key").job_id == 1


def test_bytes_that_are_others_than_named_leave_nothing(agent):
    client = agent.client()
    with pytest.raises(BadRequest, match="not those that were named"):
        client.send_blob(sha(b"this"), 4, [b"that"])
    assert stored(agent) == []
    for name in ("0" * 63, "G" * 64, "..", "0" * 64 + "\n"):
        with pytest.raises(BadRequest):
            client.send_blob(name, 1, [b"x"])
    assert client.has_blob(sha(b"this")) is False


def test_an_upload_that_breaks_off_leaves_nothing(agent):
    host, port = agent.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"PUT /v1/blobs/{'0' * 64} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {agent.token}\r\n"
        connection.sendall(head.encode() + b"Content-Length: 1000000\r\n\r\n" + bytes(70_000))
        until(lambda: (agent.home / "blobs").exists() and len(stored(agent)) == 1)
    until(lambda: stored(agent) == [])
    agent.kill()
    [folder] = (agent.home / "blobs").iterdir()
    (folder / f".{'0' * 64}.{'1' * 16}.tmp").write_bytes(b"half")
    agent.start()
    assert stored(agent) == []


def test_two_uploads_of_one_blob_at_once_are_both_right(agent):
    data = os.urandom(5_000_000)
    client = agent.client()
    troubles: list[Exception] = []

    def upload() -> None:
        try:
            client.send_blob(
                sha(data), len(data), [data[i : i + 100_000] for i in range(0, len(data), 100_000)]
            )
        except Exception as error:  # noqa: BLE001 - looked at below
            troubles.append(error)

    threads = [threading.Thread(target=upload) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    assert stored(agent) == [sha(data)]
    [folder] = (agent.home / "blobs").iterdir()
    assert (folder / sha(data)).read_bytes() == data


def test_blobs_are_of_one_user_alone(start_agent):
    agent = start_agent("--shared-uid")
    ada = agent.client(agent_command(agent.home, "token", "create", "ada")[0])
    name = send(agent.client(), b"secret")
    assert agent.client().has_blob(name)
    assert not ada.has_blob(name)
    with pytest.raises(BlobMissing):
        ada.submit(Submit(source="1", values=[ValueInput(name="a", kind="int", sha256=name, size=6)]), "k")


def test_a_lease_ends_after_a_day_and_a_job_keeps_what_it_has(agent):
    client = agent.client()
    kept, lonely = value(client, "a", list(range(1000))), send(client, b"nobody's")
    job, _ = run_cell(client, "len(a)", values=[kept])
    run_cell(client, "1")  # a young one, so that nobody doubts the clock
    age(agent, 0.9)
    client.collect()
    assert len(stored(agent)) == 2
    age(agent, 1.1)
    assert client.has_blob(lonely)  # which renews its lease
    [folder] = (agent.home / "blobs").iterdir()
    os.utime(folder / kept.sha256, (time.time() - 2 * DAY_S,) * 2)
    client.collect()
    assert stored(agent) == sorted([lonely, kept.sha256])
    age(agent, 1.1)
    client.collect()
    assert stored(agent) == [kept.sha256]
    agent.stop()
    with sqlite3.connect(agent.home / "agent.db") as db:
        db.execute("UPDATE jobs SET ended_at = ? WHERE job_id = ?", (time.time() - 31 * DAY_S, job.job_id))
    db.close()
    agent.start()
    until(lambda: stored(agent) == [])
    assert not (agent.home / "jobs" / str(job.job_id)).exists()


def test_what_one_person_sends_has_a_limit(start_agent):
    agent = start_agent("--blob-quota", "1M")
    client = agent.client()
    send(client, b"a" * 700_000)
    with pytest.raises(TooLarge, match=r"may take 1 MiB in all here"):
        send(client, b"b" * 700_000)

    def endless():
        while True:
            yield b"c" * 100_000

    with pytest.raises((TooLarge, StorageFault)):
        client._transport.call("PUT", f"/v1/blobs/{'0' * 64}", dict, content=endless())
    until(lambda: len(stored(agent)) == 1)
    send(client, b"d" * 300_000)


def test_the_agents_own_user_gives_a_file_in_place_of_a_copy(agent):
    own = AgentClient("http://localhost", uds=str(agent.home / "agent.sock"))
    try:
        folder = Path(own.info().blob_folder)
        assert folder.parent == agent.home / "blobs"
        assert agent.client().info().blob_folder == ""
        data = os.urandom(100_000)
        name = f".{sha(data)}.{'a' * 16}.tmp"
        (folder / name).write_bytes(data)
        own.give_blob(sha(data), name)
        assert own.has_blob(sha(data))
        assert stored(agent) == [sha(data)]
        for wrong in ("../../token", name, f".{'0' * 64}.{'a' * 16}.tmp", sha(data)):
            with pytest.raises(BadRequest):
                own.give_blob(sha(data), wrong)
        (folder / name).symlink_to(agent.home / "token")
        with pytest.raises(Forbidden):
            own.give_blob(sha(data), name)
        with pytest.raises(Forbidden, match="own socket only"):
            agent.client().give_blob(sha(data), name)
        assert (agent.home / "token").exists()
    finally:
        own.close()


@pytest.mark.parametrize(
    ("field", "spec"),
    [
        ("files", {"files": [FileInput(path="../escape.py", sha256="0" * 64, size=1)]}),
        ("files", {"files": [FileInput(path="/etc/x.py", sha256="0" * 64, size=1)]}),
        ("files", {"files": [FileInput(path="a.py", sha256="0" * 64, size=1)] * 2}),
        ("files", {"files": [FileInput(path=path, sha256="0" * 64, size=1) for path in ("a", "a/b.py")]}),
        ("sha256", {"values": [ValueInput(name="a", kind="int", sha256="x", size=1)]}),
        ("values", {"values": [ValueInput(name="a b", kind="int", sha256="0" * 64, size=1)]}),
        ("values", {"values": [ValueInput(name="a", kind="int", sha256="0" * 64, size=1, before=0)]}),
        ("sources", {"sources": [SourceInput(name="a", origin="<x>", text="a = 1")]}),
        ("sources", {"sources": [SourceInput(name="a", origin="In[1]", text="a = 1", line=0)]}),
        ("params", {"params": {"a.b": "1"}}),
    ],
)
def test_what_cannot_travel_is_refused_with_its_field(agent, field, spec):
    with pytest.raises(BadRequest) as caught:
        agent.client().submit(Submit(source="1", **spec), "k")
    assert caught.value.field in {field, "path"}
