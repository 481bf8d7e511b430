"""Following a job: the bytes of its log as they are, and its streams as raw bytes.

A stream of events never says less than the log and never more: whole lines from the reader's cursor on, and
between them unstored lines (heartbeats, the place in the queue). Its end without ``ended`` means: come back.
"""

from __future__ import annotations

import asyncio
import time

from cluster_agent.errors import BadCursor, BeyondEnd, Gone, NotFound, Unauthorized
from cluster_agent.jobs.places import Place
from cluster_agent.jobs.records import JobRecord
from cluster_agent.log.follow import LogReader
from cluster_agent.log.format import output_bytes, parse_head
from cluster_agent.protocol import BYTES, HEARTBEAT_S, NDJSON, Cursor, Event, State, decode_event, encode
from cluster_agent.server.auth import bearer
from cluster_agent.server.call import Call
from cluster_agent.server.files import byte_range
from cluster_agent.server.jobs import job_of

_CHUNK = 262144
#: Big chunks that follow each other within this time are a flood: what comes next is left to gather as long.
_BIG, _FLOOD_S = 32768, 0.004
#: Decoded at once: so short that others have their turn in between.
_PIECE = 65536


async def events(call: Call) -> None:
    """The log from a cursor on, or its last lines; with ``follow=1`` until it has ``ended``."""
    await call.agent.reading.turn()
    record = await job_of(call)
    follow, tail = call.flag("follow"), call.number("tail")
    try:
        cursor = Cursor.parse(call.query("after") or "0")
    except ValueError as error:
        raise BadCursor(str(error), field="after") from None
    with LogReader(call.agent.dispatcher.folder_of(record.job_id).log) as reader:
        if not record.active and not reader.path.exists():
            raise Gone(f"the log of job {record.job_id} has been deleted")
        offset = _offset(reader, record, cursor, None if tail is None else int(tail))
        call.start(NDJSON, {"Log-Tag": record.log_tag})
        try:
            if follow:
                await _wait_for_log(call, record, reader)
            with call.agent.reading.following():
                await _send_log(call, record.job_id, reader, offset, follow=follow)
        except Unauthorized:
            return  # the stream ends here; who comes back for the rest is told why


async def _send_log(call: Call, job_id: int, reader: LogReader, offset: int, *, follow: bool) -> None:
    loop = asyncio.get_running_loop()
    last_look = not follow
    # what is there now: the end of a log that grows as fast as it is read would never come
    stop = None if follow else reader.size()
    check = _Check(call)
    sent_at = 0.0

    def read() -> bytes:
        limit = call.agent.reading.share(_CHUNK)
        if stop is not None:
            limit = min(limit, stop - offset)
        return reader.read(offset, limit) if limit > 0 else b""

    with call.agent.watcher.watch(reader.path.parent) as watch:
        while True:
            check.again()
            await call.agent.reading.turn()
            chunk = read()
            if not chunk and not last_look:
                if await _has_ended(call, job_id):
                    last_look = True  # `ended` may have been written between the two looks
                    continue
                chunk = await watch.until(read, HEARTBEAT_S)
                if not chunk:
                    await _beat(call)
                    continue
            if not chunk:
                return
            offset += len(chunk)
            if await _send_lines(call, job_id, chunk):
                return
            sent_at, before = loop.time(), sent_at
            if _BIG <= len(chunk) < _CHUNK and sent_at - before < _FLOOD_S:
                await asyncio.sleep(_FLOOD_S)


def _offset(reader: LogReader, record: JobRecord, cursor: Cursor, tail: int | None) -> int:
    if tail is not None:
        return reader.locate_tail(tail) if reader.path.exists() else 0
    if cursor.seq == 0:
        return 0
    if not reader.path.exists():
        raise BeyondEnd("this job has no events yet", field="after", nearest="0")
    return reader.locate(cursor, record.log_tag)


async def _send_lines(call: Call, job_id: int, chunk: bytes) -> bool:
    """Send whole lines; True when ``ended`` was among them, whose time has come once the store knows it."""
    last = chunk.rfind(b"\n", 0, len(chunk) - 1) + 1
    head = parse_head(chunk[last:])
    if head is None or head[1] != "ended":
        await call.send(chunk)
        return False
    if last:
        await call.send(chunk[:last])
    await call.agent.dispatcher.settled(job_id)
    await call.send(chunk[last:])
    return True


async def _has_ended(call: Call, job_id: int) -> bool:
    if call.agent.dispatcher.active(job_id):
        return False
    record = await call.agent.store.get(job_id)
    return record is None or not record.active


async def _wait_for_log(call: Call, record: JobRecord, reader: LogReader) -> None:
    """While the job waits for its turn, tell its place whenever that changes."""
    told: Place | None = None
    check = _Check(call)
    while not reader.path.exists():
        check.again()
        change = call.agent.dispatcher.change
        place = call.agent.dispatcher.place(record.job_id)
        if place is None:
            return  # it is being started
        if place != told:
            told = place
            line = Event(
                type="queue",
                at=time.time(),
                state=State.QUEUED,
                position=place.position,
                waiting_for=place.reason,
                starts_by=place.starts_by,
            )
            await call.send(encode(line) + b"\n")
        try:
            await asyncio.wait_for(change.wait(), HEARTBEAT_S)
        except asyncio.TimeoutError:
            await _beat(call)


class _Check:
    """Looks at the right to read again while a stream lasts, so that a revoked token ends it."""

    def __init__(self, call: Call) -> None:
        self._keyring = call.agent.keyring
        self._token = bearer(call.headers.get("Authorization"))
        self._next = time.monotonic() + HEARTBEAT_S

    def again(self) -> None:
        """Look, if it is time to; raises Unauthorized when the right is gone."""
        if self._token and time.monotonic() > self._next:
            self._keyring.identify(self._token)
            self._next = time.monotonic() + HEARTBEAT_S


async def _beat(call: Call) -> None:
    await call.send(encode(Event(type="heartbeat", at=time.time())) + b"\n")


async def output(call: Call) -> None:
    """One stream of the job as raw bytes; from ``Range: bytes=N-`` or ``N-M`` on."""
    record = await job_of(call)
    stream = call.args["stream"]
    if stream not in {"stdout", "stderr"}:
        raise NotFound(f"there is no stream {stream[:40]!r}: stdout or stderr", field="stream")
    with LogReader(call.agent.dispatcher.folder_of(record.job_id).log) as reader:
        header = call.headers.get("Range")
        if header is None:
            call.start(BYTES, {"Accept-Ranges": "bytes"})
            await _send_stream(call, reader, stream, 0, None)
            return
        size = await _stream_size(call, reader, stream)
        first, last = byte_range(header, size)
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Range": f"bytes {first}-{last}/{size}",
            "Content-Length": str(last + 1 - first),
        }
        call.start(BYTES, headers, status=206)
        await _send_stream(call, reader, stream, first, last)


async def _send_stream(call: Call, reader: LogReader, stream: str, first: int, last: int | None) -> None:
    position, offset = 0, 0
    while chunk := reader.read(offset, _PIECE):
        offset += len(chunk)
        data = await call.agent.reading.work(_stream_bytes, chunk, stream)
        low = max(0, first - position)
        high = len(data) if last is None else min(len(data), last + 1 - position)
        if low < high:
            await call.send(data[low:high])
        position += len(data)
        if last is not None and position > last:
            return


async def _stream_size(call: Call, reader: LogReader, stream: str) -> int:
    """Bytes that the log holds of the stream."""
    last = await call.agent.reading.work(reader.last_event)
    if last is not None and last.type == "ended" and not (last.events or {}).get("dropped"):
        return last.streams[stream].bytes if last.streams and stream in last.streams else 0
    size, offset = 0, 0
    while chunk := reader.read(offset, _PIECE):
        offset += len(chunk)
        size += len(await call.agent.reading.work(_stream_bytes, chunk, stream))
    return size


def _stream_bytes(chunk: bytes, stream: str) -> bytes:
    events = (decode_event(line) for line in chunk.splitlines() if b'"output"' in line[:120])
    return b"".join(output_bytes(event) for event in events if event.stream == stream)
