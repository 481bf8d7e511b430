"""The reserve and what a refusal closes; the disk is a folder, its refusals are raised by what is written."""

import errno
import os

import pytest

from cluster_agent.errors import StorageFault
from cluster_agent.storage import Storage


def writer(refusals, code=errno.ENOSPC):
    """Something that writes a state and is refused so many times first."""
    left = iter([OSError(code, os.strerror(code))] * refusals)

    def write():
        for refusal in left:
            raise refusal
        return "written"

    return write


@pytest.fixture
def storage(tmp_path):
    storage = Storage(tmp_path, 2**20)
    assert storage.verify()
    return storage


def parts(tmp_path):
    return sorted((tmp_path / "reserve").iterdir())


def test_a_reserve_takes_room_and_is_made_once(storage, tmp_path):
    taken = sum(part.stat().st_blocks * 512 for part in parts(tmp_path))
    assert len(parts(tmp_path)) == 16
    assert 2**20 <= taken < 2**21
    assert storage.verify()
    assert len(parts(tmp_path)) == 16


def test_a_state_is_kept_at_the_cost_of_the_reserve(storage, tmp_path):
    assert storage.keep(writer(3)) == "written"
    assert len(parts(tmp_path)) == 13
    with pytest.raises(StorageFault, match="No space left"):
        storage.check()
    assert storage.verify()
    storage.check()
    assert len(parts(tmp_path)) == 16


def test_a_reserve_that_does_not_help_says_so(storage, tmp_path):
    with pytest.raises(OSError, match="No space left"):
        storage.keep(writer(100))
    assert parts(tmp_path) == []


def test_other_faults_leave_the_reserve_alone_and_close_the_agent(storage, tmp_path):
    with pytest.raises(OSError, match="Input/output"):
        storage.keep(writer(1, errno.EIO))
    assert len(parts(tmp_path)) == 16
    with pytest.raises(StorageFault, match="Input/output"):
        storage.check()


def test_a_disk_that_refuses_the_probe_stays_closed(storage, tmp_path):
    storage.report("a sync failed")
    (tmp_path / ".probe.new").mkdir()
    assert not storage.verify()
    with pytest.raises(StorageFault):
        storage.check()
    (tmp_path / ".probe.new").rmdir()
    assert storage.verify()
    storage.check()
