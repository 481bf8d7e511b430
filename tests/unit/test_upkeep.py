"""What is deleted, what is reported, how a drain is kept, and how often people are told: pure parts."""

import asyncio

import pytest

from cluster_agent.jobs.drain import Drain, read_drain, write_drain
from cluster_agent.jobs.past import Ended, Kept, Turnout
from cluster_agent.jobs.pulse import Pulse
from cluster_agent.jobs.retention import Readers, Terms, disk_bytes, expired
from cluster_agent.jobs.usage import usage
from cluster_agent.protocol import State

NOW = 1_000_000.0
TERMS = Terms(keep_s=1000.0, keep_bytes=100)


def ended(job_id, ago, size=10):
    return Ended(job_id, NOW - ago, size)


@pytest.mark.parametrize(
    ("over_bytes", "expected"),
    [(0, [1, 2]), (15, [1, 2]), (25, [1, 2, 3]), (1000, [1, 2, 3, 4])],
)
def test_what_is_old_goes_and_the_oldest_while_there_is_too_much(over_bytes, expected):
    oldest = [ended(1, 5000), ended(2, 1001), ended(3, 1000), ended(4, 5)]
    found = expired(oldest, terms=TERMS, over_bytes=over_bytes, now=NOW)
    assert [job.job_id for job in found] == expected


def test_readers_are_counted():
    readers = Readers()
    with readers.reading(1), readers.reading(1):
        assert 1 in readers
        assert 2 not in readers
    assert 1 not in readers


def test_disk_bytes_counts_folders_and_follows_no_link(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"x" * 100_000)
    (tmp_path / "a" / "link").symlink_to("/usr")
    assert 100_000 <= disk_bytes(tmp_path / "a") < 200_000
    assert disk_bytes(tmp_path / "none") == 0


def test_usage_counts_what_falls_into_the_span():
    turnouts = [
        Turnout("ada", State.SUCCEEDED, 2, 8, 0.0, 3600.0, 10_800.0),
        Turnout("ada", State.FAILED, 0, 1, 7000.0, 7200.0, 9000.0),
        Turnout("ada", State.CANCELLED, 4, 1, 7000.0, None, 7100.0),
        Turnout("grace", State.RUNNING, 4, 1, 10_000.0, 10_800.0, None),
        Turnout("tim", State.QUEUED, 1, 1, 10_000.0, None, None),
    ]
    found = usage(turnouts, {"ada": Kept(jobs=3, disk_bytes=99)}, 7200.0, 14_400.0)
    assert [line.user for line in found] == ["grace", "ada", "tim"]
    grace, ada, tim = found
    assert (ada.jobs, ada.failed, ada.gpu_hours, ada.cpu_hours, ada.kept_bytes) == (3, 1, 2.0, 8.5, 99)
    assert (ada.median_wait_s, ada.longest_wait_s) == (1900.0, 3600.0)
    assert (grace.gpu_hours, grace.longest_wait_s) == (4.0, 800.0)
    assert (tim.jobs, tim.gpu_hours, tim.median_wait_s) == (1, 0.0, None)


def test_a_drain_is_kept_and_taken_away(tmp_path):
    path = tmp_path / "drain.json"
    assert read_drain(path) is None
    write_drain(path, Drain(until=5.0, message="new disks"))
    assert read_drain(path) == Drain(until=5.0, message="new disks")
    write_drain(path, None)
    write_drain(path, None)
    assert read_drain(path) is None


def test_a_damaged_drain_still_drains(tmp_path):
    (tmp_path / "drain.json").write_text("{")
    drain = read_drain(tmp_path / "drain.json")
    assert drain is not None
    assert not drain.over(NOW)


def test_beats_are_put_together_while_looking_is_dear():
    async def main():
        pulse = Pulse()
        first = pulse.change
        pulse.beat()
        await asyncio.wait_for(first.wait(), 5)
        pulse.look(lambda: sum(range(3_000_000)))
        later = pulse.change
        for _ in range(100):
            pulse.beat()
        await asyncio.sleep(0)
        assert not later.is_set()
        await asyncio.wait_for(later.wait(), 30)
        assert not pulse.change.is_set()

    asyncio.run(main())
