"""Jobs below real supervisors, without an agent: what the tests of the supervisor and of executors share."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cluster_agent.executors.base import Order
from cluster_agent.executors.nursery import Nursery, Spare
from cluster_agent.folder import Cancel, JobFolder, Wish
from cluster_agent.protocol import Event, decode_event
from cluster_agent.supervisor.launch import ENTRY, MARK
from cluster_agent.supervisor.messages import pack
from cluster_agent.supervisor.processes import marked, send

#: The least that speaks the kit's side of the channels: runs the source, and offers it ``frame``.
RUNNER = """
import json, os, socket, sys

fd = int(os.environ.pop("MLMAGICS_CONTROL_FD"))
os.set_inheritable(fd, False)
channel = socket.socket(fileno=fd)
word, fds, _, _ = socket.recv_fds(channel, 16, 1)
assert word == b"order"
with os.fdopen(fds[0]) as file:
    order = json.load(file)


def packet(data):
    if len(data) < 100_000:
        channel.send(data)
        return
    memory = os.memfd_create("frame")
    with os.fdopen(memory, "wb") as file:
        file.write(data)
        file.flush()
        socket.send_fds(channel, [b"fd"], [memory])


def frame(ack=True, fd=None, **fields):
    sys.stdout.flush()
    sys.stderr.flush()
    data = json.dumps({**fields, "ack": ack}).encode()
    if fd is None:
        packet(data)
    else:
        socket.send_fds(channel, [data], [fd])
    if ack:
        assert channel.recv(16) == b"ack"


results = order["results"]
exec(compile(order["source"], "<cell>", "exec"))
"""


def until(condition: Callable[[], Any], what: str = "condition", within_s: float = 60.0) -> Any:
    """The first true value of ``condition``, which is asked again and again."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within_s} s in vain for: {what}")
        time.sleep(0.01)


def make_runner(folder: Path) -> Path:
    """A stand-in for the kit."""
    entry = folder / "runner" / ENTRY
    entry.parent.mkdir(parents=True)
    entry.write_text(RUNNER)
    return folder / "runner"


def make_order(folder: Path, source: str, **changes: Any) -> Order:
    """An order whose job folder exists."""
    job = folder / f"job-{secrets.token_hex(4)}"
    (job / "work").mkdir(parents=True, mode=0o700)
    order = Order(
        job_id=42,
        folder=job,
        nonce=secrets.token_hex(8),
        tag="0123abcd",
        source=source,
        python=sys.executable,
        variables={"PATH": os.environ["PATH"], "HOME": str(folder)},
        timeout_s=120.0,
        grace_s=5.0,
        title="gpu-box/42",
    )
    return replace(order, **changes)


def lives(pid: int) -> bool:
    """Whether the process is there and not just waiting to be reaped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


@dataclass(frozen=True, slots=True)
class Supervised:
    """One job and its supervisor's process id."""

    order: Order
    supervisor: int

    @property
    def folder(self) -> JobFolder:
        return JobFolder(self.order.folder)

    def events(self) -> list[Event]:
        """All whole lines so far, whose numbers have no gap."""
        try:
            content = self.folder.log.read_bytes()
        except FileNotFoundError:
            return []
        events = [decode_event(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        return events

    def of(self, type_: str) -> list[Event]:
        return [event for event in self.events() if event.type == type_]

    def text(self, stream: str = "stdout") -> str:
        return self.bytes(stream).decode()

    def bytes(self, stream: str = "stdout") -> bytes:
        """All that the log has of a stream."""
        return b"".join(
            base64.b64decode(event.base64) if event.base64 else (event.text or "").encode()
            for event in self.events()
            if event.type == "output" and event.stream == stream
        )

    def until_text(self, text: str, stream: str = "stdout") -> None:
        until(lambda: text in self.text(stream), f"{text!r} on {stream}")

    def ended(self) -> Event:
        """The last event, once the supervisor is gone."""
        until(lambda: not lives(self.supervisor), "the supervisor's end")
        [ended] = self.of("ended")
        assert self.events()[-1] == ended
        return ended

    def wish(self, wish: Wish, *, nudge: bool = True) -> None:
        self.folder.write_wish(wish)
        if nudge:
            os.kill(self.supervisor, signal.SIGUSR1)

    def cancel(self, *, nudge: bool = True) -> None:
        self.wish(Wish(cancel=Cancel(by="ada", reason="wrong data")), nudge=nudge)

    def processes(self) -> set[int]:
        """Living processes of the job."""
        return {pid for pid in marked(MARK, self.order.nonce) if lives(pid)}


def spawn(log: Path) -> Spare:
    """A supervisor without a job, and a socket that blocks; what it has to say goes to ``log``."""

    async def born() -> Spare:
        nursery = Nursery(log)
        try:
            return await nursery.bear()
        finally:
            await nursery.close()

    spare = asyncio.run(born())
    spare.channel.setblocking(True)
    return spare


class Nurseries:
    """One for each interpreter, for many jobs: starting one is most of what a short job takes."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._of: dict[str, Nursery] = {}

    def spawn(self) -> Spare:
        """A supervisor without a job, and a socket that blocks."""
        nursery = self._of.setdefault(sys.executable, Nursery(self._log))
        spare = asyncio.run(nursery.bear())
        spare.channel.setblocking(True)
        return spare

    def close(self) -> None:
        for nursery in self._of.values():
            asyncio.run(nursery.close())


def begin(order: Order, kit: Path, log: Path | Nurseries) -> Supervised:
    """Hand ``order`` to a new supervisor, of a nursery of its own where it is to have a log of its own."""
    spare = log.spawn() if isinstance(log, Nurseries) else spawn(log)
    with spare.channel as channel:
        channel.sendall(pack(order, kit))
        assert channel.recv(1) == b"1"
    return Supervised(order, spare.pid)


@contextmanager
def clean_processes(started: list[Supervised]) -> Iterator[None]:
    """Nothing of the jobs in ``started`` lives afterwards."""
    try:
        yield
    finally:
        for job in started:
            if lives(job.supervisor):
                os.kill(job.supervisor, signal.SIGKILL)
                until(lambda pid=job.supervisor: not lives(pid), "the supervisor's end")
            while found := {pid: at for pid, at in marked(MARK, job.order.nonce).items() if lives(pid)}:
                for pid, at in found.items():
                    send(pid, at, signal.SIGKILL)
                time.sleep(0.01)
