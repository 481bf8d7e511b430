"""The runner's pipes and its control channel, from the supervisor's side.

Order across descriptors: before a frame that asks for an acknowledgement is recorded, what both pipes hold at
that moment is. The kit has flushed before it sent the frame and waits, so all that the cell wrote before it
comes before it in the log, and nothing that it wrote after.
"""

from __future__ import annotations

import array
import fcntl
import json
import os
import select
import socket
import stat
import sys
import termios
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from cluster_agent.executors.base import Order
from cluster_agent.folder import JobFolder

#: Bytes taken from a pipe at once; also what the pipe is made to hold where the system lets it.
PIPE_BYTES = 2**18
#: A packet has 100 kB at most; more goes by a file of its own.
_PACKET_BYTES = 2**18
#: A frame beyond this is not read: as objects it may take many times as much.
MAX_FRAME_BYTES = 2**26
#: What poll says once the other side is gone, or has shut its direction down.
_ENDS = select.POLLHUP | getattr(select, "POLLRDHUP", 0)
_NO_INHERIT = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


def readable_bytes(descriptor: int) -> int:
    """How much a pipe or socket holds at this moment."""
    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]


class Pipe:
    """The reading end of stdout or stderr."""

    def __init__(self, stream: str, descriptor: int) -> None:
        self.stream = stream
        self.descriptor = descriptor
        self.open = True
        os.set_blocking(descriptor, False)
        if sys.platform == "linux":
            try:
                fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            except (OSError, AttributeError):
                pass  # the user's share of pipe memory is used up: slower, not wrong

    def fileno(self) -> int:
        """The descriptor, for select."""
        return self.descriptor

    def read(self) -> bytes:
        """Some of what is there; the end of the stream closes the pipe."""
        try:
            data = os.read(self.descriptor, PIPE_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            self.close()
        return data

    def read_present(self) -> bytes:
        """Exactly what the pipe holds at this moment."""
        if not self.open:
            return b""
        parts = []
        count = readable_bytes(self.descriptor)
        while count > 0:
            data = os.read(self.descriptor, count)
            if not data:
                break
            parts.append(data)
            count -= len(data)
        return b"".join(parts)

    def close(self) -> None:
        """Let go of the pipe."""
        if self.open:
            self.open = False
            os.close(self.descriptor)


class Control:
    """The supervisor's end of the control channel: one packet, one message."""

    def __init__(self, channel: socket.socket) -> None:
        self.open = True
        self._channel = channel
        channel.setblocking(False)

    def fileno(self) -> int:
        """The descriptor, for select."""
        return self._channel.fileno()

    def packets(self, limit: int) -> Iterator[tuple[bytes, int | None]]:
        """Up to ``limit`` messages that are there, each with the open file that came with it, if one did.

        The file is closed when the next one is asked for; the end of the channel closes it.
        """
        for _ in range(limit):
            if not self.open:
                return
            try:
                packet, descriptors, _, _ = socket.recv_fds(self._channel, _PACKET_BYTES, 4, _NO_INHERIT)
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # told once, to us who answered somebody who is gone; what was sent before is still there
            try:
                if not packet and self._is_over():
                    self.close()
                    return
                if packet == b"fd" and descriptors:
                    yield _read_file(descriptors[0]), None
                else:
                    yield packet, descriptors[0] if descriptors else None
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)

    def give(self, order: Order, variables: Mapping[str, str]) -> None:
        """Send the order to a kit that waits, with the variables that it has not got yet.

        Raises
        ------
        OSError
            When it is gone.
        """
        folder = str(JobFolder(order.folder).work)
        _send(self._channel, {**_told(order), "ahead": {"variables": dict(variables), "folder": folder}})

    def readable(self) -> bool:
        """Whether there is a packet, or the end."""
        return self.open and bool(select.select([self._channel], [], [], 0)[0])

    def _is_over(self) -> bool:
        """Whether an empty packet is the end: the other side sends no more, and nothing of it is left."""
        poll = select.poll()
        poll.register(self._channel, _ENDS)
        return bool(poll.poll(0)) and readable_bytes(self._channel.fileno()) == 0

    def acknowledge(self) -> None:
        """Tell the kit that its frame is recorded."""
        if not self.open:
            return
        try:
            self._channel.send(b"ack")
        except (BlockingIOError, ConnectionError):
            pass  # a kit that is gone or does not listen: it loses the answer, nobody loses the frame

    def close(self) -> None:
        """Let go of the channel."""
        self.open = False
        self._channel.close()


def control_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a control channel: the supervisor's and the kit's."""
    kind = socket.SOCK_DGRAM if sys.platform == "darwin" else socket.SOCK_SEQPACKET
    return socket.socketpair(socket.AF_UNIX, kind)


def send_order(channel: socket.socket, order: Order) -> None:
    """Put the order into the channel as its first packet; the kit finds it there when it has started."""
    _send(channel, _told(order))


def send_imports(channel: socket.socket, imports: Collection[str]) -> None:
    """In place of the order: what the kit is to import while there is none."""
    _send(channel, {"imports": list(imports)})


def _send(channel: socket.socket, told: dict[str, Any]) -> None:
    content = json.dumps(told).encode()
    with os.fdopen(_anonymous_file(), "wb", buffering=0) as file:
        view = memoryview(content)
        while view:
            view = view[file.write(view) :]
        file.seek(0)
        socket.send_fds(channel, [b"order"], [file.fileno()])


def _told(order: Order) -> dict[str, Any]:
    folder, inputs = JobFolder(order.folder), order.inputs
    values = [
        {
            "name": value.name,
            "kind": value.kind,
            "path": str(folder.values / value.sha256),
            "size": value.size,
            "before": value.before,
        }
        for value in inputs.values
    ]
    return {
        "version": 1,
        "job_id": order.job_id,
        "title": order.title,
        "source": order.source,
        "fetch": order.fetch,
        "keep_each": order.keep_each_bytes,
        "keep_all": order.keep_all_bytes,
        # of another user a job puts its files where it may, and the supervisor keeps copies
        "results": str(folder.results if order.ids is None and order.box is None else folder.work),
        "params": order.params,
        "inputs": str(folder.inputs) if inputs.files else "",
        "sources": [
            {"name": part.name, "origin": part.origin, "text": part.text, "line": part.line}
            for part in inputs.sources
        ],
        "values": values,
    }


if sys.platform == "linux":

    def _anonymous_file() -> int:
        return os.memfd_create("order", os.MFD_CLOEXEC)

else:
    import tempfile

    def _anonymous_file() -> int:
        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())


def _read_file(descriptor: int) -> bytes:
    """Content of a file that the kit has sent; empty when it is none, so that nobody can block us with a pipe."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FRAME_BYTES:
        return b""
    parts = []
    offset = 0
    while offset < status.st_size:
        data = os.pread(descriptor, status.st_size - offset, offset)
        if not data:
            break
        parts.append(data)
        offset += len(data)
    return b"".join(parts)
