"""Readers of a log that another writes: cursors, whole lines, and waking up when it grows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from cluster_agent.errors import BeyondEnd, Gone
from cluster_agent.log import inotify
from cluster_agent.log.append import LogWriter
from cluster_agent.log.follow import LogReader, LogWatcher
from cluster_agent.protocol import Cursor, State, decode_event

TAG = "0a1b2c3d"
#: Longer than any machine needs; who waits for it has failed.
PATIENCE_S = 60.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.ndjson"


def write(path: Path, count: int, text: str = "line\n") -> None:
    with LogWriter.take(path, tag=TAG) as log:
        for _ in range(count):
            log.append("output", stream="stdout", text=text)


def seqs(data: bytes) -> list[int | None]:
    return [decode_event(line).seq for line in data.splitlines()]


# --- reading ----------------------------------------------------------------------------------------------


def test_a_log_that_does_not_exist_is_empty_and_is_seen_once_it_does(path: Path) -> None:
    with LogReader(path) as reader:
        assert (reader.size(), reader.read(0), reader.last_event()) == (0, b"", None)
        assert reader.locate(Cursor.parse("0"), TAG) == 0
        assert reader.locate_tail(5) == 0
        write(path, 2)
        assert seqs(reader.read(0)) == [1, 2]


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_link(path: Path) -> None:
    write(path.with_name("other"), 2)
    path.symlink_to("other")


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize("make", [make_pipe, make_link, make_socket, Path.mkdir])
@pytest.mark.timeout(PATIENCE_S, method="signal")
def test_what_is_no_regular_file_is_no_log(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    with LogReader(path) as reader:
        assert (reader.size(), reader.read(0), reader.last_event()) == (0, b"", None)

    with pytest.raises(OSError, match=str(path)):
        LogWriter.take(path, tag=TAG)


def test_read_gives_whole_lines_from_every_place(path: Path) -> None:
    write(path, 40, "x" * 90)
    data = path.read_bytes()
    with LogReader(path) as reader:
        for limit in (200, 1000, 5000, len(data), 10 * len(data)):
            offset, got = 0, b""
            while chunk := reader.read(offset, limit):
                assert chunk.endswith(b"\n")
                got += chunk
                offset += len(chunk)
            assert got == data


def test_read_gives_a_line_beyond_the_limit_as_a_whole(path: Path) -> None:
    write(path, 3, "x" * 1_000_000)
    data = path.read_bytes()
    with LogReader(path) as reader:
        assert reader.read(0, 1000) == data.splitlines(keepends=True)[0]


def test_no_reader_sees_half_a_line(path: Path) -> None:
    write(path, 3)
    data = path.read_bytes()
    ends = [end + 1 for end, byte in enumerate(data) if byte == 10]
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        with LogReader(path) as reader:
            whole = max((end for end in ends if end <= cut), default=0)
            assert reader.size() == whole
            assert reader.read(0) == data[:whole]
            assert reader.read(0, 20) == data[: ends[0]] if whole else True


@pytest.mark.parametrize("seq", [1, 2, 49, 50])
def test_locate_finds_what_is_behind_a_cursor(path: Path, seq: int) -> None:
    write(path, 50)
    with LogReader(path) as reader:
        assert seqs(reader.read(reader.locate(Cursor(tag=TAG, seq=seq), TAG))) == list(range(seq + 1, 51))


def test_locate_refuses_what_is_beyond_the_end(path: Path) -> None:
    write(path, 5)
    with LogReader(path) as reader, pytest.raises(BeyondEnd) as caught:
        reader.locate(Cursor(tag=TAG, seq=6), TAG)
    assert caught.value.nearest == f"{TAG}.5"
    with LogReader(path.with_name("none")) as reader, pytest.raises(BeyondEnd) as caught:
        reader.locate(Cursor(tag=TAG, seq=1), TAG)
    assert caught.value.nearest == "0"


def test_locate_refuses_a_cursor_of_another_log(path: Path) -> None:
    write(path, 5)
    with LogReader(path) as reader, pytest.raises(Gone) as caught:
        reader.locate(Cursor(tag="ffffffff", seq=2), TAG)
    assert caught.value.nearest == "0"


def test_locate_goes_on_for_readers_of_a_log_that_was_recovered(path: Path) -> None:
    new = "99999999"
    write(path, 5)
    with LogWriter.take(path, tag=TAG) as log:
        log.append("recovered", tag=new, old_tag=TAG, kept_seq=5)
        log.end(state=State.LOST)
    with LogReader(path) as reader:
        assert seqs(reader.read(reader.locate(Cursor(tag=TAG, seq=5), new))) == [6, 7]
        assert seqs(reader.read(reader.locate(Cursor(tag=TAG, seq=3), new))) == [4, 5, 6, 7]
        assert seqs(reader.read(reader.locate(Cursor(tag=new, seq=6), new))) == [7]
        with pytest.raises(Gone) as caught:
            reader.locate(Cursor(tag=TAG, seq=6), new)
        assert caught.value.nearest == f"{new}.5"


def test_locate_tail_and_last_event(path: Path) -> None:
    write(path, 50)
    with path.open("ab") as file:
        file.write(b'{"seq":51,"at":1.0')
    with LogReader(path) as reader:
        assert seqs(reader.read(reader.locate_tail(3))) == [48, 49, 50]
        assert reader.locate_tail(1000) == 0
        last = reader.last_event()
        assert last is not None
        assert last.seq == 50


# --- waking up --------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def watching() -> AsyncIterator[LogWatcher]:
    watcher = LogWatcher()
    try:
        yield watcher
    finally:
        watcher.close()


def no_inotify(_: object) -> None:
    raise OSError(24, "Too many open files")


@pytest.fixture(params=["inotify", "no instance left", "network file system", "no folder watch left"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    if request.param == "no instance left":
        monkeypatch.setattr(inotify.Inotify, "__init__", no_inotify)
    if request.param == "no folder watch left":
        monkeypatch.setattr(inotify.Inotify, "add", lambda _self, _folder: no_inotify(None))
    if request.param == "network file system":
        magic = subprocess.check_output(["stat", "-f", "-c", "%t", tmp_path], text=True)
        monkeypatch.setitem(inotify._REMOTE, int(magic, 16), "a test")
    return str(request.param)


async def grown(watcher: LogWatcher, path: Path, beyond: int, timeout_s: float) -> bytes:
    """The lines behind byte ``beyond``, as soon as there are some."""
    with watcher.watch(path.parent) as watch, LogReader(path) as reader:
        return await watch.until(lambda: reader.read(beyond), timeout_s)


async def until(condition: Callable[[], bool]) -> None:
    async def look() -> None:
        while not condition():
            await asyncio.sleep(0.001)

    await asyncio.wait_for(look(), PATIENCE_S)


@pytest.mark.usefixtures("kind")
def test_a_watch_tells_of_each_line_that_a_writer_adds(path: Path) -> None:
    async def follow() -> list[int | None]:
        got: list[int | None] = []
        offset = 0
        async with watching() as watcher:
            while len(got) < 5:
                chunk = await grown(watcher, path, offset, PATIENCE_S)
                assert chunk
                got += seqs(chunk)
                offset += len(chunk)
        return got

    async def both() -> list[int | None]:
        follower = asyncio.create_task(follow())
        for _ in range(5):
            await asyncio.sleep(0.02)
            write(path, 1)
        return await follower

    assert asyncio.run(both()) == [1, 2, 3, 4, 5]


@pytest.mark.usefixtures("kind")
def test_a_watch_gives_up_at_its_time(path: Path) -> None:
    async def wait() -> list[list[int | None]]:
        async with watching() as watcher:
            absent = await grown(watcher, path, 0, 0.05)
            write(path, 1)
            at_end = await grown(watcher, path, path.stat().st_size, 0.05)
            behind = await grown(watcher, path, 0, 0.0)
            elsewhere = await grown(watcher, path.parent / "no folder" / "events.ndjson", 0, 0.05)
            return [seqs(chunk) for chunk in (absent, at_end, behind, elsewhere)]

    assert asyncio.run(wait()) == [[], [], [1], []]


def test_half_a_line_wakes_nobody(path: Path) -> None:
    write(path, 1)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b'{"seq":2,')

    async def wait() -> tuple[bytes, list[int | None]]:
        async with watching() as watcher:
            half = await grown(watcher, path, size, 0.05)
            with path.open("ab") as file:
                file.write(b'"at":1.0,"t":0.0,"type":"clear"}\n')
            return half, seqs(await grown(watcher, path, size, PATIENCE_S))

    assert asyncio.run(wait()) == (b"", [2])


def test_many_readers_of_many_logs_share_one_instance(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) / "events.ndjson" for number in range(20)]
    for path in paths:
        path.parent.mkdir()

    async def wait() -> list[bytes]:
        opened = len(os.listdir("/dev/fd"))
        async with watching() as watcher:
            readers = [
                asyncio.create_task(grown(watcher, path, 0, PATIENCE_S)) for path in paths for _ in range(5)
            ]
            await until(lambda: len(watcher._folders) == 20)
            assert len(os.listdir("/dev/fd")) == opened + 1
            for path in paths:
                await asyncio.to_thread(write, path, 1)
            results = await asyncio.gather(*readers)
            assert not watcher._folders
        assert len(os.listdir("/dev/fd")) == opened
        return results

    assert all(asyncio.run(wait()))


def test_a_reader_that_is_cancelled_leaves_nothing_behind(path: Path) -> None:
    async def wait() -> None:
        async with watching() as watcher:
            reader = asyncio.create_task(grown(watcher, path, 0, PATIENCE_S))
            await until(lambda: len(watcher._folders) == 1)
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader
            assert not watcher._folders

    asyncio.run(wait())


def test_a_lost_wake_up_delays_and_loses_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogWatcher, "_wake", lambda self: self._inotify.read())

    async def wait() -> bytes:
        async with watching() as watcher:
            reader = asyncio.create_task(grown(watcher, path, 0, PATIENCE_S))
            await until(lambda: len(watcher._folders) == 1)
            write(path, 1)
            return await reader

    assert asyncio.run(wait())
