"""A control group for each job: made, limited, entered, killed as a whole, removed.

A folder of plain files stands in for the kernel where only what is written matters. What the kernel does is tested
where it lets us make groups, of either version; ``MLMAGICS_TEST_CGROUP`` names a group to use in place of those at
the root (CONTRIBUTING.md says how one is had without being root).
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from supervised import make_order, until

from cluster_agent.executors.groups import find_place, kill_group
from cluster_agent.supervisor.group import Group, confinement, name_of

MIB = 2**20
GIVEN = os.environ.get("MLMAGICS_TEST_CGROUP", "")


def fake_kernel(folder: Path, monkeypatch: pytest.MonkeyPatch, **files: str) -> None:
    """Let each new folder below ``folder`` have these files, as in a file system of control groups."""
    plain = Path.mkdir

    def mkdir(path: Path, *args: object, **options: object) -> None:
        plain(path, *args, **options)
        if path.parent == folder:
            for name, content in files.items():
                (path / name.replace("__", ".")).write_text(content)

    monkeypatch.setattr(Path, "mkdir", mkdir)


def order_in(place: Path, tmp_path: Path, **changes: object):
    options = {"memory_bytes": 64 * MIB, "enforce_memory": True, "cgroup": place} | changes
    return make_order(tmp_path, "", **options)


def test_a_group_of_version_2_gets_its_limits(tmp_path, monkeypatch):
    place = tmp_path / "place"
    place.mkdir()
    fake_kernel(
        place,
        monkeypatch,
        cgroup__events="populated 0\n",
        cgroup__procs="",
        memory__max="max\n",
        memory__oom__group="0\n",
        pids__max="max\n",
        memory__current="7000\n",
        memory__stat="anon 100\nfile 5000\nshmem 1000\n",
        memory__events="low 0\noom 2\noom_kill 3\n",
    )
    order = order_in(place, tmp_path)
    group = Group.make(order)
    folder = place / name_of(order)
    assert (folder / "memory.max").read_text().startswith(str(64 * MIB))
    assert (folder / "memory.oom.group").read_text() == "1\n"
    assert (folder / "pids.max").read_text().startswith("32768")
    assert not (folder / "memory.swap.max").exists()
    assert group.memory_bytes() == 3000
    assert group.oom_kills() == 3
    assert confinement(order, group) == {"memory": "cgroup2", "processes": "cgroup2"}


def test_a_group_of_version_1_gets_its_limit_of_memory(tmp_path, monkeypatch):
    place = tmp_path / "place"
    place.mkdir()
    fake_kernel(
        place,
        monkeypatch,
        cgroup__procs="",
        memory__limit_in_bytes="9223372036854771712\n",
        memory__usage_in_bytes="7000\n",
        memory__stat="cache 1\ntotal_cache 5000\ntotal_shmem 1000\n",
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    )
    order = order_in(place, tmp_path)
    group = Group.make(order)
    assert (place / name_of(order) / "memory.limit_in_bytes").read_text().startswith(str(64 * MIB))
    assert (group.memory_bytes(), group.oom_kills()) == (3000, 1)
    assert confinement(order, group) == {"memory": "cgroup1", "processes": "watch"}


def test_memory_that_is_not_enforced_gets_no_limit(tmp_path, monkeypatch):
    place = tmp_path / "place"
    place.mkdir()
    fake_kernel(place, monkeypatch, cgroup__events="", memory__max="max\n")
    order = order_in(place, tmp_path, enforce_memory=False)
    assert confinement(order, Group.make(order)) == {"memory": "none", "processes": "watch"}
    assert (place / name_of(order) / "memory.max").read_text() == "max\n"
    assert confinement(order_in(place, tmp_path), None) == {"memory": "watch", "processes": "watch"}
    assert Group.make(order_in(None, tmp_path)) is None


def test_a_place_for_groups_is_only_what_was_given(tmp_path):
    assert find_place("off") is None
    assert find_place("auto", "0::/\n") is None
    assert find_place("auto", "0::/user.slice/user-1000.slice/session-3.scope\n") is None
    assert find_place("auto", "5:memory:/agent\n") is None
    assert find_place("auto", "0::/there/is/no/such/agent\n") is None
    with pytest.raises(OSError, match="no control group"):
        find_place(str(tmp_path))


def test_a_place_is_made_ready_and_cleared(tmp_path):
    (tmp_path / "cgroup.procs").touch()
    (tmp_path / "cgroup.controllers").write_text("cpu io memory pids\n")
    (tmp_path / "job-1-aa").mkdir()
    (tmp_path / "job-2-bb").mkdir()
    (tmp_path / "job-2-bb" / "cgroup.procs").write_text("4711\n")
    assert find_place(str(tmp_path)) == tmp_path
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory +pids"
    assert sorted(path.name for path in tmp_path.glob("job-*")) == ["job-2-bb"]


def test_supervisor_runs_a_job_whose_group_cannot_be_made(supervise, tmp_path):
    job = supervise("print(1)", cgroup=tmp_path / "nowhere", memory_bytes=2**30, enforce_memory=True)
    assert job.ended().state == "succeeded"
    assert job.of("started")[0].confinement == {"memory": "watch", "processes": "watch"}


def roots() -> list[Path]:
    """Groups below which others can be made."""
    given = [Path(GIVEN)] if GIVEN else [Path("/sys/fs/cgroup", name) for name in ("", "unified", "memory")]
    return [root for root in given if os.access(root / "cgroup.procs", os.W_OK)]


@contextlib.contextmanager
def group_below(root: Path) -> Iterator[Path]:
    folder = root / f"mlmagics-test-{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        place = find_place(str(folder))
        assert place is not None
        yield place
    finally:
        for procs in folder.glob("job-*/cgroup.procs"):
            for pid in procs.read_text().split():
                os.kill(int(pid), 9)
        until(lambda: _removed(folder), "the end of the groups")


@pytest.fixture
def place() -> Iterator[Path]:
    """A group of version 2 below which others can be made."""
    root = next((root for root in roots() if (root / "cgroup.controllers").exists()), None)
    if root is None:
        pytest.skip("SKIPPED: control groups of version 2 cannot be made here; see MLMAGICS_TEST_CGROUP")
    with group_below(root) as folder:
        yield folder


@pytest.fixture
def memory_place() -> Iterator[Path]:
    """One below which groups have the kernel's limit of memory, of either version."""
    for root in roots():
        controllers = root / "cgroup.controllers"
        if not controllers.exists() or "memory" in controllers.read_text().split():
            with group_below(root) as folder:
                yield folder
            return
    pytest.skip("SKIPPED: the kernel's limit of memory: no such group can be made; see MLMAGICS_TEST_CGROUP")


def _removed(folder: Path) -> bool:
    try:
        for group in folder.glob("job-*"):
            group.rmdir()
        folder.rmdir()
    except OSError:
        return False
    return True


def test_the_kernel_keeps_a_job_in_its_group_and_removes_it(supervise, place):
    job = supervise(
        "import subprocess\nprint(subprocess.run(['cat', '/proc/self/cgroup'], capture_output=True).stdout.decode())",
        cgroup=place,
    )
    assert job.ended().state == "succeeded"
    assert f"/{place.name}/{name_of(job.order)}\n" in job.text()
    assert list(place.glob("job-*")) == []


def test_a_group_is_killed_as_a_whole_when_its_supervisor_is_dead(supervise, place):
    job = supervise(
        "import subprocess\nsubprocess.Popen(['env', '-i', 'sleep', '600'])\nprint('ready', flush=True)\n"
        "import time; time.sleep(600)",
        cgroup=place,
    )
    job.until_text("ready")
    os.kill(job.supervisor, 9)
    procs = place / name_of(job.order) / "cgroup.procs"
    assert procs.read_text()
    kill_group(place, job.order.nonce)
    until(lambda: not procs.exists() or not procs.read_text(), "the end of the group")
    kill_group(place, job.order.nonce)
    until(lambda: _gone(place, job.order.nonce), "its removal")


def _gone(place: Path, nonce: str) -> bool:
    kill_group(place, nonce)
    return not list(place.glob("job-*"))


def test_the_kernel_ends_a_job_at_its_limit_of_memory(supervise, memory_place):
    job = supervise(
        "data = bytearray(b'x') * (300 << 20)\nimport time; time.sleep(600)",
        cgroup=memory_place,
        memory_bytes=200 * MIB,
        enforce_memory=True,
    )
    ended = job.ended()
    assert (ended.state, ended.signal) == ("failed", "SIGKILL")
    # what the kernel charges to a group is not quite what it counts as resident
    assert re.fullmatch(r"out of memory: it used .*200 MiB.*; ask for more with --memory", ended.reason)
    version = 2 if (memory_place / "cgroup.controllers").exists() else 1
    assert job.of("started")[0].confinement["memory"] == f"cgroup{version}"
