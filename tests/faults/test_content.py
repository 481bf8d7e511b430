"""What a job may say, and who may listen: nothing of it is lost, taken for something else, or too much."""

import asyncio
import hashlib
import json
import os
import threading

import psutil
import pytest
from followers import follow_all

from cluster_agent.protocol import Submit
from running import run_cell, text_of, until, wait_ended

ALL_BYTES = """
import hashlib, os, random, sys
rng = random.Random(11)
parts = [bytes(range(256)), "äöü€😀".encode() * 999, bytes([0xf0, 0x9f]), b"\\xff\\xfe\\r\\n\\x00", rng.randbytes(300_000)]
for number, stream in ((1, "stdout"), (2, "stderr")):
    digest = hashlib.sha256()
    for part in parts:
        while part:
            cut = rng.randrange(1, 70_000)
            os.write(number, part[:cut])
            digest.update(part[:cut])
            part = part[cut:]
    open(stream, "w").write(digest.hexdigest())
"""


def test_all_bytes_come_out_as_they_went_in(agent):
    client = agent.client()
    job, events = run_cell(client, ALL_BYTES)
    for stream in ("stdout", "stderr"):
        told = b"".join(client.job_file(job.job_id, stream)).decode()
        raw = hashlib.sha256(b"".join(client.output(job.job_id, stream))).hexdigest()
        assert told == raw == events[-1].streams[stream].sha256


def test_a_line_of_100_mb(agent):
    client = agent.client()
    source = "import sys\nfor _ in range(1000): sys.stdout.write('x' * 100_000)\nprint('end')"
    job = client.submit(Submit(source=source), "k")
    digest, size = hashlib.sha256(), 0
    for event in client.follow(job.job_id):
        if event.type == "output":
            assert len(event.text) <= 2**20
            digest.update(event.text.encode())
            size += len(event.text)
        last = event
    assert size == 100_000_004
    truth = hashlib.sha256(b"x" * 100_000_000 + b"end\n").hexdigest()
    assert digest.hexdigest() == truth == last.streams["stdout"].sha256
    assert last.streams["stdout"].lines == 1
    assert psutil.Process(agent.pid).memory_info().rss < 200e6


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_log_of_1_gb(agent):
    client = agent.client()
    source = "import hashlib, os\ndigest = hashlib.sha256()\nfor i in range(1000):\n    block = (b'%06d ' % i + b'x' * 92 + b'\\n') * 10_000\n    os.write(1, block); digest.update(block)\nopen('digest', 'w').write(digest.hexdigest())"
    job = client.submit(Submit(source=source), "k")
    followed, most = hashlib.sha256(), 0
    process = psutil.Process(agent.pid)
    for number, event in enumerate(client.follow(job.job_id)):
        if event.type == "output":
            followed.update(event.text.encode())
        if number % 100 == 0:
            most = max(most, process.memory_info().rss)
    told = b"".join(client.job_file(job.job_id, "digest")).decode()
    stream = event.streams["stdout"]
    assert (stream.bytes, stream.lines, event.complete) == (1_000_000_000, 10_000_000, True)
    assert followed.hexdigest() == stream.sha256 == told
    assert most < 200e6


def test_events_that_a_job_prints_are_text(agent):
    forged = [
        {
            "seq": 3,
            "at": 0.0,
            "t": 0.0,
            "type": "ended",
            "state": "succeeded",
            "exit_code": 0,
            "complete": True,
        },
        {"type": "display", "data": {"text/html": "<script>"}, "ack": True},
        {"seq": 99, "type": "result", "name": "m", "sha256": "0" * 64},
    ]
    lines = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in forged)
    job, events = run_cell(agent.client(), f"import sys\nsys.stdout.write({lines!r})\nraise SystemExit(5)")
    assert text_of(events) == lines
    assert {event.type for event in events} <= {"preparing", "started", "output", "ended"}
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert job.exit_code == 5


def listen(agent, *, readers, idle, megabytes, memory_bytes):
    """Followers of a job that prints while they follow, and a person who works beside them."""
    client = agent.client()
    gate = agent.home.parent / "gate"
    source = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)\nfor i in range({megabytes}_0): print(i, 'x' * 99_990)"
    job = client.submit(Submit(source=source), "k")
    seen = []

    def follow():
        seen.extend(asyncio.run(follow_all(agent.url, agent.token, job.job_id, readers=readers, idle=idle)))

    thread = threading.Thread(target=follow)
    thread.start()
    process = psutil.Process(agent.pid)
    until(lambda: len(process.net_connections("tcp")) > readers + idle)
    gate.touch()
    most = 0
    while thread.is_alive():
        other = client.submit(Submit(source="print(1)"), os.urandom(8).hex())
        assert wait_ended(client, other.job_id).exit_code == 0
        most = max(most, process.memory_info().rss)
        thread.join(0.2)
    log = (agent.home / "jobs" / str(job.job_id) / "events.ndjson").read_bytes()
    assert seen == [hashlib.sha256(log).hexdigest()] * readers
    assert most < memory_bytes, f"{most / 1e6:.0f} MB"


def test_a_hundred_of_three_hundred_followers_never_read(agent):
    listen(agent, readers=200, idle=100, megabytes=2, memory_bytes=200e6)


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_a_hundred_of_a_thousand_followers_never_read(agent):
    listen(agent, readers=900, idle=100, megabytes=20, memory_bytes=250e6)
