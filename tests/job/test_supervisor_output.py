"""What a job writes stands in its log: every byte, in order, apart from displays."""

from __future__ import annotations

import hashlib
import json
import resource

import pytest
from supervised import until

BINARY = """
import os, random, threading
random_bytes = random.Random(7).randbytes
content = {1: random_bytes(3_000_000), 2: "zażółć 🚕 ".encode() * 200_000}
def write(fd):
    rest = memoryview(content[fd])
    while rest:
        rest = rest[os.write(fd, rest[:random.randrange(1, 100_000)]):]
threads = [threading.Thread(target=write, args=(fd,)) for fd in content]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
for fd in content:
    with open(f"{fd}.bin", "wb") as file:
        file.write(content[fd])
"""


def test_supervisor_records_every_byte_of_both_streams(supervise):
    job = supervise(BINARY)
    ended = job.ended()
    assert ended.state == "succeeded"
    assert ended.complete is True
    for stream, name in (("stdout", "1.bin"), ("stderr", "2.bin")):
        truth = (job.folder.work / name).read_bytes()
        assert job.bytes(stream) == truth
        counted = ended.streams[stream]
        assert (counted.bytes, counted.sha256) == (len(truth), hashlib.sha256(truth).hexdigest())
    assert not any(event.base64 for event in job.of("output") if event.stream == "stderr")


def test_supervisor_keeps_the_order_of_prints_and_displays(supervise):
    job = supervise(
        """
for i in range(500):
    print("out", i)
    print("err", i, file=sys.stderr)
    frame(type="display", data={"text/plain": f"show {i}"})
"""
    )
    assert job.ended().state == "succeeded"
    out, err, shown = [], [], 0
    for event in job.events():
        if event.type == "output":
            (out if event.stream == "stdout" else err).extend(event.text.splitlines())
        elif event.type == "display":
            assert event.data == {"text/plain": f"show {shown}"}
            shown += 1
            assert out == [f"out {i}" for i in range(shown)]
            assert err == [f"err {i}" for i in range(shown)]
    assert shown == 500


def test_supervisor_records_errors_metrics_and_clears(supervise):
    job = supervise(
        """
frame(type="metric", values={"loss": float("nan"), "step_s": 0.5}, step=3, ack=False)
frame(type="clear", wait=True)
frame(type="of a newer kit", something=1)
frame(type="error", ename="ValueError", evalue="bad \\ud800 trip", traceback=["one", "two"])
sys.exit(1)
"""
    )
    ended = job.ended()
    assert (ended.state, ended.exit_code) == ("failed", 1)
    assert ended.reason == "ValueError: bad ? trip"
    [metric] = job.of("metric")
    assert (metric.values, metric.step) == ({"loss": None, "step_s": 0.5}, 3)
    assert job.of("clear")[0].wait is True
    assert job.of("error")[0].traceback == ["one", "two"]
    assert ended.events == {"started": 1, "metric": 1, "clear": 1, "error": 1, "ended": 1}


def test_supervisor_puts_displays_that_no_line_holds_into_blobs(supervise):
    job = supervise(
        """
frame(type="display", data={"image/png": "iVBOR" * 600_000, "text/plain": "<Figure>", "application/json": {"a": [1]}})
frame(type="display", data={"application/json": ["x" * 100] * 20_000})
print("after")
"""
    )
    assert job.ended().state == "succeeded"
    picture, table = job.of("display")
    assert picture.data == {"text/plain": "<Figure>", "application/json": {"a": [1]}}
    png = (job.folder.blobs / picture.blobs["image/png"]).read_bytes()
    assert png == b"iVBOR" * 600_000
    assert picture.blobs["image/png"] == hashlib.sha256(png).hexdigest()
    content = (job.folder.blobs / table.blobs["application/json"]).read_bytes()
    assert json.loads(content) == ["x" * 100] * 20_000


def test_supervisor_survives_frames_that_nobody_can_read(supervise):
    job = supervise(
        """
for junk in (b"{", b"[1]", b'{"type": 3}', b"\\xff\\xfe", b"[" * 90_000):
    packet(junk)
    assert channel.recv(16) == b"ack"
reader, writer = os.pipe()
socket.send_fds(channel, [b"fd"], [reader])
assert channel.recv(16) == b"ack"
socket.send_fds(channel, [b"fd"], [reader, writer, 1, 2])
assert channel.recv(16) == b"ack"
frame(type="display", data={"text/plain": "still here"})
"""
    )
    assert job.ended().state == "succeeded"
    assert len(job.of("dropped")) == 7
    assert job.of("display")[0].data == {"text/plain": "still here"}


def test_supervisor_shortens_an_error_that_no_line_holds(supervise):
    job = supervise(
        'frame(type="error", ename="E", evalue="x" * 3_000_000, traceback=["\\x1b[31m" + "y" * 9000] * 300)'
    )
    job.ended()
    [error] = job.of("error")
    assert error.evalue.startswith("xxx")
    assert "characters left out" in error.evalue
    assert any("parts left out" in line for line in error.traceback)


def test_supervisor_counts_what_is_beyond_the_limit_and_keeps_the_end(supervise):
    job = supervise(
        """
for i in range(30_000):
    print(f"line {i:07} " + "." * 80)
print("the end", file=sys.stderr)
""",
        log_limit_bytes=100_000,
    )
    ended = job.ended()
    truth = "".join(f"line {i:07} {'.' * 80}\n" for i in range(30_000)).encode()
    assert (ended.state, ended.complete) == ("succeeded", False)
    announced, counted = [event for event in job.of("dropped") if event.stream == "stdout"]
    assert "98 KiB" in announced.message or "97.7 KiB" in announced.message
    recorded = job.bytes()
    assert recorded == truth[:100_000] + truth[-(2**20) :]
    assert counted.count == len(truth) - len(recorded)
    assert ended.streams["stdout"].bytes == len(truth)
    assert ended.streams["stdout"].sha256 == hashlib.sha256(truth).hexdigest()
    assert job.bytes("stderr") == b"the end\n"


TALK = """
import time
print("ready", flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
for i in range(40_000):
    print(f"{i:06} " + "." * 50)
    if i % 1000 == 0:
        with open("progress.new", "w") as file:
            file.write(str(i))
        os.replace("progress.new", "progress")
"""


@pytest.fixture
def full_disk():
    """Makes the disk refuse what a supervisor writes beyond 200 kB, until told otherwise."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

    def refuse(job, *, refuse: bool = True):
        resource.prlimit(job.supervisor, resource.RLIMIT_FSIZE, (200_000 if refuse else hard, hard))

    return refuse


def _stall(job, full_disk):
    job.until_text("ready")
    full_disk(job)
    (job.folder.work / "go").touch()
    note = job.order.folder.parent / "supervisors.log"
    until(lambda: "cannot write its log" in note.read_text(), "the stall")


def test_supervisor_and_job_wait_while_the_disk_is_full(supervise, full_disk):
    job = supervise(TALK, alone=True)
    _stall(job, full_disk)
    assert job.processes()
    assert int((job.folder.work / "progress").read_text()) < 39_000
    assert not job.of("ended")
    full_disk(job, refuse=False)
    ended = job.ended()
    assert (ended.state, ended.complete) == ("succeeded", True)
    assert job.text() == "ready\n" + "".join(f"{i:06} {'.' * 50}\n" for i in range(40_000))


def test_supervisor_cancels_a_job_while_the_disk_is_full(supervise, full_disk):
    job = supervise(TALK, alone=True)
    _stall(job, full_disk)
    job.cancel()
    until(lambda: not job.processes(), "the job's end")
    assert not job.of("ended")
    full_disk(job, refuse=False)
    ended = job.ended()
    assert (ended.state, ended.complete) == ("cancelled", True)
    text = job.text()
    assert ("ready\n" + "".join(f"{i:06} {'.' * 50}\n" for i in range(40_000))).startswith(text)
    assert len(text) > 100_000


def test_supervisor_survives_frames_that_are_nested_too_deep(supervise):
    job = supervise(
        """
for depth in (900, 30_000):
    packet(b'{"type":"display","ack":true,"data":{"a":' + b"[" * depth + b"]" * depth + b"}}")
    assert channel.recv(16) == b"ack"
frame(type="display", data={"text/plain": "after"})
"""
    )
    ended = job.ended()
    assert (ended.state, ended.complete) == ("succeeded", False)
    assert [event.data for event in job.of("display")] == [{"text/plain": "after"}]
    assert ["within each other" in event.message for event in job.of("dropped")] == [True, False]


def test_supervisor_tells_of_many_bad_frames_in_few_lines(supervise):
    job = supervise(
        """
for _ in range(500):
    packet(b"garbage")
    assert channel.recv(16) == b"ack"
"""
    )
    assert job.ended().complete is False
    dropped = job.of("dropped")
    assert len(dropped) < 150
    assert sum(event.count for event in dropped) == 500


def test_an_empty_packet_is_not_the_end_of_the_channel(supervise):
    job = supervise(
        """
channel.send(b"")
assert channel.recv(16) == b"ack"
frame(type="display", data={"text/plain": "after"})
channel.send(b"")
channel.send(json.dumps({"type": "display", "data": {"text/plain": "last"}}).encode())
channel.shutdown(socket.SHUT_WR)
os.close(fd)
"""
    )
    ended = job.ended()
    assert [event.data["text/plain"] for event in job.of("display")] == ["after", "last"]
    assert (ended.state, ended.complete) == ("succeeded", False)
    assert len(job.of("dropped")) == 2


def test_display_of_too_many_kinds_is_dropped(supervise):
    job = supervise("frame(type='display', data={f'm{number}': 'x' * 40 for number in range(60_000)})")
    assert job.ended().complete is False
    [dropped] = job.of("dropped")
    assert "60000 kinds of data" in dropped.message
    assert not job.folder.blobs.exists()


def test_event_too_large_for_a_line_makes_the_log_incomplete(supervise):
    job = supervise("frame(type='metric', values={'a': 'x' * 2_000_000})")
    assert job.ended().complete is False
