"""The writer of a log: exactness, repair, refusals of the disk, and its lock."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from cluster_agent.folder import FOLDER_VERSION
from cluster_agent.log.append import LogClosed, LogTaken, LogWriter
from cluster_agent.log.follow import LogReader
from cluster_agent.log.format import LineTooLong, output_bytes
from cluster_agent.protocol import MAX_LINE_BYTES, Event, State, decode_event

TAG = "0a1b2c3d"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.ndjson"


def events_of(path: Path) -> list[Event]:
    data = path.read_bytes()
    assert data.endswith(b"\n") or not data
    lines = data.splitlines(keepends=True)
    assert all(len(line) <= MAX_LINE_BYTES for line in lines)
    events = [decode_event(line) for line in lines]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert all(a.t <= b.t for a, b in pairwise(events))
    return events


def carried(events: list[Event], stream: str = "stdout") -> bytes:
    return b"".join(output_bytes(e) for e in events if e.type == "output" and e.stream == stream)


def check_counts(events: list[Event], **streams: bytes) -> None:
    """That the last event tells the truth about all that the log holds."""
    ended = events[-1]
    assert ended.type == "ended"
    assert ended.streams is not None
    for stream in ("stdout", "stderr"):
        data = streams.get(stream, b"")
        assert carried(events, stream) == data
        told = ended.streams[stream]
        assert told.bytes == len(data)
        assert told.lines == data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
        assert told.sha256 == hashlib.sha256(data).hexdigest()
    assert ended.events == Counter(event.type for event in events)


def a_mixture(rng: random.Random, size: int) -> bytes:
    """Text, half characters, control characters and noise."""
    kinds = [
        lambda: b"plain text\n" * rng.randint(1, 50),
        lambda: "aé€😀".encode() * rng.randint(1, 200),
        lambda: rng.randbytes(rng.randint(1, 3000)),
        lambda: bytes(rng.randint(0, 31) for _ in range(rng.randint(1, 500))),
        lambda: "😀".encode()[: rng.randint(1, 3)],
    ]
    data = bytearray()
    while len(data) < size:
        data += rng.choice(kinds)()
    return bytes(data)


# --- exactness --------------------------------------------------------------------------------------------


def test_a_new_log_is_private_and_begins_with_tag_and_version(path: Path) -> None:
    with LogWriter.take(path, tag=TAG) as log:
        assert (log.seq, log.first, log.started, log.ended) == (0, None, None, None)
        assert log.append("preparing", message="an environment") == 1
        assert log.append("started", pid=17, nonce="n") == 2
        assert log.first is not None
        assert log.first.type == "preparing"
        assert log.started is not None
        assert log.started.pid == 17
    assert path.stat().st_mode & 0o777 == 0o600
    first, second = events_of(path)
    assert (first.tag, first.version) == (TAG, FOLDER_VERSION)
    assert (second.tag, second.version) == (None, None)


@pytest.mark.parametrize("seed", range(12))
def test_random_bytes_in_random_chunks_come_out_as_they_went_in(path: Path, seed: int) -> None:
    rng = random.Random(seed)
    data = {"stdout": a_mixture(rng, 400_000), "stderr": a_mixture(rng, 50_000)}
    left = dict(data)
    with LogWriter.take(path, tag=TAG) as log:
        log.append("started")
        while any(left.values()):
            stream = rng.choice([name for name, rest in left.items() if rest])
            size = rng.choice([1, 2, 3, 5, 100, 4096, 65536, 200_000])
            log.output(stream, left[stream][:size])
            left[stream] = left[stream][size:]
            if rng.random() < 0.05:
                log.append("metric", values={"loss": 1.5})
        log.end(state=State.SUCCEEDED, exit_code=0)
        assert log.ended is not None
    check_counts(events_of(path), **data)


@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_text_stays_text_however_it_is_cut(path: Path, chunk: int) -> None:
    data = "aé€😀\n".encode() * 20
    with LogWriter.take(path, tag=TAG) as log:
        for start in range(0, len(data), chunk):
            log.output("stdout", data[start : start + chunk])
        log.end(state=State.SUCCEEDED)
    events = events_of(path)
    assert not [event for event in events if event.base64 is not None]
    check_counts(events, stdout=data)


def test_a_half_character_is_written_at_the_end(path: Path) -> None:
    with LogWriter.take(path, tag=TAG) as log:
        log.output("stdout", b"ab\xf0\x9f\x98")
        assert carried(events_of(path)) == b"ab"
        log.end(state=State.SUCCEEDED)
    check_counts(events_of(path), stdout=b"ab\xf0\x9f\x98")


def test_output_that_grows_sixfold_stays_within_lines(path: Path) -> None:
    data = b"\x00\x01\x1f\x7f" * 400_000
    with LogWriter.take(path, tag=TAG) as log:
        log.output("stdout", data)
        log.end(state=State.SUCCEEDED)
    check_counts(events_of(path), stdout=data)


def test_an_event_too_long_for_a_line_leaves_the_log_as_it_was(path: Path) -> None:
    with LogWriter.take(path, tag=TAG) as log:
        log.append("started")
        size = log.size
        with pytest.raises(LineTooLong):
            log.append("display", data={"text/html": "x" * MAX_LINE_BYTES})
        assert log.append("display", data={"text/plain": "x"}) == 2
        assert path.stat().st_size == log.size > size
    events_of(path)


def test_dropped_bytes_count_without_an_event(path: Path) -> None:
    with LogWriter.take(path, tag=TAG) as log:
        log.output("stdout", b"begin \xe2\x82")
        assert log.drop("stdout", b"\xac middle") == 10
        log.output("stdout", b" end")
        log.end(state=State.SUCCEEDED)
        assert log.ended is not None
        assert log.ended.streams is not None
        whole = b"begin \xe2\x82\xac middle end"
        assert log.ended.streams["stdout"].sha256 == hashlib.sha256(whole).hexdigest()
    assert carried(events_of(path)) == b"begin  end"


def test_nothing_is_written_behind_the_end(path: Path) -> None:
    with LogWriter.take(path, tag=TAG) as log:
        log.end(state=State.LOST)
        for write in (lambda: log.append("clear"), lambda: log.output("stdout", b"x"), log.end):
            with pytest.raises(LogClosed):
                write()
    with LogWriter.take(path, tag=TAG) as log, pytest.raises(LogClosed):
        log.end(state=State.LOST)
    assert len(events_of(path)) == 1


def test_unsynced_says_whether_something_waits_for_a_sync(path: Path) -> None:
    with LogWriter.take(path, tag=TAG) as log:
        assert not log.unsynced
        log.append("started")
        assert log.unsynced
        log.sync()
        assert not log.unsynced
        log.end(state=State.SUCCEEDED)
        assert not log.unsynced


# --- taking over ------------------------------------------------------------------------------------------


def write_some(path: Path) -> bytes:
    out = "aé€😀\n".encode() * 7 + b"\xff\xfe\n"
    with LogWriter.take(path, tag=TAG) as log:
        log.append("preparing", message="x")
        log.append("started", pid=1)
        for start in range(0, len(out), 13):
            log.output("stdout", out[start : start + 13])
        log.flush_output()
    return out


def test_a_log_cut_at_any_byte_is_repaired_and_ended(path: Path) -> None:
    write_some(path)
    data = path.read_bytes()
    whole = decode_event(data.splitlines()[-1])
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        kept = data[: data.rfind(b"\n", 0, cut) + 1]
        with LogWriter.take(path, tag="ffffffff") as log:
            assert path.read_bytes() == kept
            assert log.seq == kept.count(b"\n")
            assert log.tag == (TAG if kept else "ffffffff")
            assert (log.started is not None) == (log.seq >= 2)
            assert log.ended is None
            log.end(state=State.LOST, complete=False)
        events = events_of(path)
        check_counts(events, stdout=carried(events))
        if log.seq > 2:
            assert events[-1].t >= events[-2].t
    assert whole.seq is not None


def test_a_later_writer_goes_on_with_seq_time_and_counts(path: Path) -> None:
    out = write_some(path)
    with LogWriter.take(path, tag="ffffffff") as log:
        log.output("stdout", b"more\n")
        log.output("stderr", b"and other")
        log.end(state=State.SUCCEEDED)
    check_counts(events_of(path), stdout=out + b"more\n", stderr=b"and other")


def test_a_recovered_log_has_its_new_tag(path: Path) -> None:
    write_some(path)
    with LogWriter.take(path, tag=TAG) as log:
        log.append("recovered", tag="12345678", old_tag=TAG, kept_seq=log.seq)
        assert log.tag == "12345678"
        log.end(state=State.LOST)
    with LogWriter.take(path, tag=TAG) as log:
        assert log.tag == "12345678"
        assert log.ended is not None
        assert log.ended.state is State.LOST


# --- a disk that refuses ----------------------------------------------------------------------------------

FULL_DISK = """
    import os, random, resource, sys
    from pathlib import Path
    from cluster_agent.log.append import LogWriter

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    rng = random.Random(int(sys.argv[2]))
    path = Path(sys.argv[1])
    source = Path(sys.argv[3]).read_bytes()
    log = LogWriter.take(path, tag="0a1b2c3d")
    log.append("started")
    refusals = 0

    def retried(write, *args, **fields):
        global refusals
        room = 1
        while True:
            try:
                return write(*args, **fields)
            except OSError:
                refusals += 1
                size = os.fstat(log._descriptor).st_size
                assert size == log.size, "a torn line stays"
                assert os.pread(log._descriptor, 1, size - 1) == b"\\n"
                room *= rng.randint(2, 5)
                limit(log.size + room)

    limit(log.size + 100)
    position = 0
    while position < len(source):
        size = rng.choice([1, 100, 3000, 150_000])
        retried(log.output, "stdout", source[position : position + size])
        position += size
        retried(log.append, "metric", values={"x": 1})
    retried(log.end, state="succeeded")
    print(refusals)
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_full_disk_leaves_whole_lines_and_repeated_calls_lose_nothing(path: Path, seed: int) -> None:
    data = a_mixture(random.Random(seed), 500_000)
    source = path.with_name("source")
    source.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), path, str(seed), source],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10
    check_counts(events_of(path), stdout=data)


def test_another_call_instead_of_the_failed_one_is_refused(path: Path) -> None:
    with LogWriter.take(path, tag=TAG) as log:
        log.append("started")
        log._stream("stdout").skip = 10
        with pytest.raises(ValueError, match="must be repeated"):
            log.output("stdout", b"short")


# --- the lock ---------------------------------------------------------------------------------------------

TAKE = "import sys; from pathlib import Path; from cluster_agent.log.append import *\n"


def taken_by_another(path: Path) -> bool:
    """Whether a process that asks now is refused."""
    code = TAKE + "try: LogWriter.take(Path(sys.argv[1]), tag='00000000')\nexcept LogTaken: sys.exit(3)"
    status = subprocess.run([sys.executable, "-c", code, path], timeout=60).returncode
    assert status in {0, 3}
    return status == 3


def test_a_log_has_one_writer(path: Path) -> None:
    with LogWriter.take(path, tag=TAG) as log:
        log.append("started")
        assert taken_by_another(path)
        with pytest.raises(LogTaken, match="this process"):
            LogWriter.take(path, tag=TAG)
        assert taken_by_another(path)
    assert not taken_by_another(path)


def test_readers_in_the_same_process_do_not_take_the_lock_away(path: Path) -> None:
    before = LogReader(path)
    with LogWriter.take(path, tag=TAG) as log:
        log.append("started")
        assert before.size() == log.size
        before.close()
        with LogReader(path) as during:
            assert during.read(0)
        LogReader(path).size()  # forgotten, not closed
        assert taken_by_another(path)
    assert not taken_by_another(path)


def test_descriptors_do_not_leak(path: Path) -> None:
    opened = len(os.listdir("/dev/fd"))
    for _ in range(5):
        with LogWriter.take(path, tag=TAG) as log:
            log.append("clear")
            LogReader(path).size()
        log.close()
        LogReader(path).size()
    assert len(os.listdir("/dev/fd")) == opened


def test_a_killed_writer_loses_the_lock_while_its_child_lives(path: Path) -> None:
    code = TAKE + (
        "import os, signal, time\n"
        "log = LogWriter.take(Path(sys.argv[1]), tag='0a1b2c3d'); log.append('started')\n"
        "if os.fork() == 0:\n"
        "    print(os.getpid(), flush=True); signal.pause()\n"
        "signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        try:
            assert taken_by_another(path)
            holder.kill()
            holder.wait(timeout=30)
            os.kill(child, 0)
            with LogWriter.take(path, tag=TAG) as log:
                assert log.started is not None
        finally:
            holder.kill()
            os.kill(child, signal.SIGKILL)


def test_a_link_in_place_of_the_log_is_refused(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))
    with pytest.raises(OSError, match="symbolic"):
        LogWriter.take(path, tag=TAG)
    assert not path.with_name("elsewhere").exists()
