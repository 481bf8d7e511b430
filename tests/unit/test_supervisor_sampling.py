"""Decisions about what a job uses, without a job."""

from __future__ import annotations

import threading

import pytest

from cluster_agent.supervisor.background import Background
from cluster_agent.supervisor.gpu_load import GpuLoad
from cluster_agent.supervisor.guard import MAX_PROCESSES, Guard, out_of_memory
from cluster_agent.supervisor.sampling import interval_s
from fake_nvml import GIB, FakeNvml


def test_guard_ends_a_job_that_stays_beyond_its_memory():
    guard = Guard(2 * GIB)
    assert guard.judge(3 * GIB, 1) is None
    assert guard.judge(GIB, 1) is None
    assert guard.judge(3 * GIB, 1) is None
    assert guard.judge(None, 1) is None
    assert guard.judge(3 * GIB, 1) is None
    assert guard.judge(3 * GIB, 1) == (
        "out of memory: it used 3 GiB and had asked for 2 GiB; ask for more with --memory"
    )
    assert Guard(None).judge(2**60, 1) is Guard(2 * GIB).judge(2 * GIB, 1) is None


def test_guard_says_when_used_and_asked_look_alike():
    told = out_of_memory(2 * GIB + 1, 2 * GIB)
    assert told == "out of memory: it used all of the 2 GiB that it had asked for; ask for more with --memory"


def test_guard_ends_a_job_of_too_many_processes():
    guard = Guard(None)
    assert guard.judge(0, MAX_PROCESSES) is None
    assert (
        guard.judge(0, MAX_PROCESSES + 1) == "too many processes: 4097, of at most 4096 that a job may have"
    )


@pytest.mark.parametrize("days", [1, 7, 100])
def test_samples_are_bounded(days):
    at, count = 1.0, 0
    while at < days * 86400:
        at += interval_s(at)
        count += 1
    assert interval_s(1) == interval_s(600) == 1
    assert interval_s(86400) == 144
    assert count < 10_000


def test_gpu_load_tells_of_gpus_that_answer():
    nvml = FakeNvml()
    nvml.used = [GIB, 2 * GIB]
    load = GpuLoad(["GPU-0", "GPU-1"], nvml)
    assert load.read()[0] == {
        "id": "GPU-0",
        "percent": 93,
        "memory_bytes": GIB,
        "memory_total_bytes": 80 * GIB,
    }
    nvml.lost.add(0)
    assert [gpu["id"] for gpu in load.read()] == ["GPU-1"]
    assert GpuLoad(["GPU-0"], FakeNvml(driver=False)).read() == []


def test_background_never_waits_and_asks_one_question_at_a_time():
    nvml = FakeNvml()
    nvml.answers.clear()
    background = Background(GpuLoad(["GPU-0"], nvml).read)
    threads = threading.active_count()
    try:
        for _ in range(3):
            background.ask()
        assert background.answer is None
        assert threading.active_count() == threads + 1
    finally:
        nvml.answers.set()
    background._thread.join(30)
    assert len(background.answer) == 1
    assert nvml.asked == 1
