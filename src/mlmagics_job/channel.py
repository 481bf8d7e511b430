"""The control channel to the supervisor: one JSON object per packet of a socket that keeps packets apart.

A forked child shares the socket: packets never mix, and a child never waits for an answer.
"""

from __future__ import annotations

import _socket
import _thread
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

#: Larger objects travel as a file descriptor: a packet has to fit into the socket's buffer.
PACKET_BYTES = 100_000

#: The smallest answer is ``ack``.
_ANSWER_BYTES = 16
_FD_BYTES = 4
_PATIENCE_S = 1.0


class Channel:
    """The job's end of the control channel."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._socket = _socket.socket(fileno=fd)
        self._lock = _thread.RLock()
        self._sent: list[int] = []
        self._answers: list[bytes] = []
        self._open = True
        os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        # Whoever held the lock in the parent does not exist here.
        self._lock = _thread.RLock()
        self._sent, self._answers = [], []

    def fileno(self) -> int:
        """The descriptor."""
        return self._socket.fileno()

    def receive(self, fd: int | None = None) -> dict[str, Any]:
        """What the supervisor has sent: it lies in a file, or in the open file ``fd`` that was received before.

        Raises
        ------
        EOFError
            When the supervisor is gone, or sends something else.
        """
        if fd is None:
            fd = self.receive_file()
        try:
            return read_file(fd)
        finally:
            os.close(fd)

    def receive_file(self) -> int:
        """The open file that the supervisor sends next."""
        data, extra, _, _ = self._socket.recvmsg(
            _ANSWER_BYTES, _socket.CMSG_LEN(_FD_BYTES), getattr(_socket, "MSG_CMSG_CLOEXEC", 0)
        )
        if data != b"order" or not extra:
            raise EOFError("the supervisor sent no order")
        fd = int.from_bytes(extra[0][2][:_FD_BYTES], sys.byteorder)
        os.set_inheritable(fd, False)
        return fd

    def say(self, word: bytes) -> None:
        """Send a packet that is no frame."""
        self._socket.send(word)

    def send(self, frame: dict[str, Any], wait: bool, fd: int | None = None) -> None:
        """Send ``frame``, and the open file ``fd`` with it; with ``wait`` return when the supervisor has recorded it.

        When the supervisor is gone nothing happens: it takes the job along.
        """
        if wait:
            frame = {**frame, "ack": True}
        packet = encode(frame)
        with self._lock:
            if not self._open:
                return
            sent = self._sent if wait else []
            try:
                if fd is not None:
                    sent.extend(map(self._socket.sendmsg, ([packet],), ([_rights(fd)],)))
                elif len(packet) > PACKET_BYTES:
                    self._send_file(packet, sent)
                else:
                    sent.extend(map(self._socket.send, (packet,)))
                self._wait()
            except ConnectionError:
                self._open = False
            except BaseException:
                self._wait_briefly()
                raise

    # An interrupt may come between any two steps of Python. So each call that counts leaves its mark in a
    # list within the same C call (extend and map), and an answer which was not waited for is still due.

    def _wait(self) -> None:
        while len(self._answers) < len(self._sent):
            self._answers.extend(map(self._socket.recv, (_ANSWER_BYTES,)))
            if not self._answers[-1]:
                self._open = False
                return
        self._sent, self._answers = [], []

    def _wait_briefly(self) -> None:
        """After an interrupt: what is printed next must not overtake the frame that was sent."""
        self._socket.settimeout(_PATIENCE_S)
        try:
            self._wait()
        except OSError:
            pass  # too late or never: then order is the smaller loss
        finally:
            self._socket.settimeout(None)

    def _send_file(self, packet: bytes, sent: list[int]) -> None:
        fd = _anonymous_file()
        try:
            view = memoryview(packet)
            while view:
                view = view[os.write(fd, view) :]
            os.lseek(fd, 0, os.SEEK_SET)
            sent.extend(map(self._socket.sendmsg, ([b"fd"],), ([_rights(fd)],)))
        finally:
            os.close(fd)


def _rights(fd: int) -> tuple[int, int, bytes]:
    return _socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(_FD_BYTES, sys.byteorder)


def _anonymous_file() -> int:
    create: Callable[[str], int] | None = getattr(os, "memfd_create", None)
    if create is not None:
        return create("mlmagics-frame")
    import tempfile

    fd, path = tempfile.mkstemp()
    os.unlink(path)
    return fd


def read_file(fd: int) -> dict[str, Any]:
    """The JSON object in an open file."""
    return decode(_read_all(fd))


def _read_all(fd: int) -> bytes:
    os.lseek(fd, 0, os.SEEK_SET)
    parts: list[bytes] = []
    while True:
        part = os.read(fd, 1 << 20)
        if not part:
            return b"".join(parts)
        parts.append(part)


def encode(frame: dict[str, Any]) -> bytes:
    """``frame`` as JSON in UTF-8. Lone surrogates become ``?``, numbers that JSON does not know null."""
    try:
        from _json import encode_basestring

        text = _encode_plain(frame, encode_basestring)
    except (ImportError, TypeError):
        text = _encode_any(frame)
    return text.encode("utf-8", "replace")


def _encode_plain(value: Any, quote: Callable[[str], str]) -> str:
    """What most frames need, without the package ``json``, whose import costs half a Python start."""
    kind = type(value)
    if kind is str:
        return quote(value)
    if kind is dict:
        return "{%s}" % ",".join([quote(k) + ":" + _encode_plain(v, quote) for k, v in value.items()])
    if kind is list:
        return "[%s]" % ",".join([_encode_plain(item, quote) for item in value])
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return repr(value)
    raise TypeError(kind)


def _encode_any(frame: dict[str, Any]) -> str:
    import json

    try:
        return json.dumps(frame, ensure_ascii=False, allow_nan=False, default=_as_json)
    except (ValueError, TypeError):
        return json.dumps(_cleaned(frame), ensure_ascii=False, allow_nan=False)


def _as_json(value: Any) -> Any:
    """Bytes as base64, as in Jupyter's messages; numbers of other libraries as numbers; the rest as text."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        import binascii

        return binascii.b2a_base64(value, newline=False).decode("ascii")
    for name in ("tolist", "item"):
        method = getattr(value, name, None)
        if callable(method):
            return method()
    return str(value)


def _cleaned(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(key): _cleaned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_cleaned(item) for item in value]
    made = _as_json(value)
    return made if isinstance(made, str) else _cleaned(made)


def decode(data: bytes) -> dict[str, Any]:
    """The JSON object in ``data``."""
    text = data.decode("utf-8", "surrogatepass").strip()
    try:
        # The scanner below the package json, for the reason given above.
        from _json import make_scanner

        value, end = make_scanner(_Reading)(text, 0)  # type: ignore[arg-type]
    except (ImportError, AttributeError, StopIteration):
        import json

        value, end = json.loads(text), len(text)
    if not isinstance(value, dict) or end != len(text):
        raise EOFError("the supervisor sent no JSON object")
    return value


class _Reading:
    """Settings of ``json``'s scanner, at its defaults."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    array_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
