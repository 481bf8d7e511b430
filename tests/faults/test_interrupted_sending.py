"""Values that break off on their way: nothing half is kept, what had arrived stays, and the next send works."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from proxy import Proxy

from cluster_agent.errors import Unreachable
from mlmagics import api
from mlmagics.cluster.local import LocalAgent
from mlmagics.cluster.session import Session
from mlmagics.cluster.store import Attachment, AttachmentStore
from mlmagics.sending.uploading import send_missing
from running import AgentProcess, until

SIZE = 24_000_000
CELL = "print(len(first), len(second), first[:1] + second[-1:])"
#: what a person's process does that is killed while its second value is on the way
KILLED = """
import os, signal, sys
from pathlib import Path
from mlmagics import api
from mlmagics.cluster.local import LocalAgent
from mlmagics.cluster.session import Session
from mlmagics.cluster.store import AttachmentStore
from mlmagics.sending.uploading import send_missing

folder, cell, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
session = Session(AttachmentStore(folder / "config"), LocalAgent(folder / "local"))
values = {"first": b"a" * size, "second": b"b" * size}
prepared = api.plan(cell, "gpu-box", session=session, send=values)
moved = lambda name, count: os.kill(os.getpid(), signal.SIGKILL) if name == "second" else None
send_missing(session.client("gpu-box"), prepared.parcel.blobs.values(), moved)
"""


@pytest.fixture
def proxy(agent: AgentProcess) -> Iterator[Proxy]:
    proxy = Proxy(agent.url)
    yield proxy
    proxy.close()


@pytest.fixture
def session(agent: AgentProcess, proxy: Proxy, tmp_path: Path) -> Iterator[Session]:
    store = AttachmentStore(tmp_path / "config")
    token = str(agent.home / "token")
    store.put(Attachment(name="gpu-box", url=proxy.url, credential="file", credential_from=token))
    session = Session(store, LocalAgent(tmp_path / "local"))
    yield session
    session.close()


def stored(agent: AgentProcess) -> list[str]:
    return [path.name for path in (agent.home / "blobs").glob("*/*")]


def cut(proxy: Proxy) -> Callable[[str, int], None]:
    def moved(name: str, _count: int) -> None:
        if name == "second":
            proxy.cut()

    return moved


def interrupt(_proxy: Proxy) -> Callable[[str, int], None]:
    def moved(name: str, _count: int) -> None:
        if name == "second":
            raise KeyboardInterrupt

    return moved


@pytest.mark.parametrize(("way", "error"), [(cut, Unreachable), (interrupt, KeyboardInterrupt), (None, None)])
def test_a_send_that_breaks_off_leaves_nothing_half(
    session: Session,
    agent: AgentProcess,
    proxy: Proxy,
    tmp_path: Path,
    way: Callable[..., object],
    error: type,
) -> None:
    values = {"first": b"a" * SIZE, "second": b"b" * SIZE}
    prepared = api.plan(CELL, "gpu-box", session=session, send=values)
    blobs = prepared.parcel.blobs
    if way is None:
        command = [sys.executable, "-c", KILLED, str(tmp_path), CELL, str(SIZE)]
        assert subprocess.run(command, check=False, env=os.environ).returncode == -9
    else:
        with pytest.raises(error):
            send_missing(session.client("gpu-box"), blobs.values(), way(proxy))
    first = next(blob for blob in blobs.values() if blob.name == "first")
    until(lambda: stored(agent) == [first.sha256])
    proxy.heal()
    steps: list[tuple[str, int]] = []
    send_missing(session.client("gpu-box"), blobs.values(), lambda *step: steps.append(step))
    # the one that had arrived is not sent again
    assert steps[0] == ("first", first.size)
    assert [name for name, _ in steps[1:]] == ["second"] * len(steps[1:])
    job = prepared.send().wait()
    assert job.logs() == f"{SIZE} {SIZE} b'ab'\n"
    assert sorted(stored(agent)) == sorted(blobs)
