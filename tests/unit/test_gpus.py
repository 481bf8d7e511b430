"""GPUs of a box and their use by others, with a stand-in for NVIDIA's library at its seam."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import psutil
import pytest

from cluster_agent.jobs.gpu_use import BUSY_BYTES, GpuWatch, Use, in_use, waiting_for
from cluster_agent.jobs.gpus import Gpu, declared_gpus, find_gpus
from cluster_agent.jobs.need import Need
from cluster_agent.jobs.slots import Slots, memory_limits
from fake_nvml import FakeNvml

GIB = 2**30


def watch_of(nvml: FakeNvml, **options: float) -> GpuWatch:
    return GpuWatch(find_gpus(nvml), nvml, **options)


def ask(watch: GpuWatch, *held: str) -> dict[str, str]:
    return asyncio.run(watch.busy_outside(held))


def test_gpus_are_found_by_uuid() -> None:
    assert [gpu.gpu_id for gpu in find_gpus(FakeNvml())] == ["GPU-0", "GPU-1"]
    assert find_gpus(FakeNvml(driver=False)) == []


def test_a_gpu_that_fails_does_not_hide_the_others() -> None:
    nvml = FakeNvml(3)
    nvml.lost.add(1)
    assert [gpu.gpu_id for gpu in find_gpus(nvml)] == ["GPU-0", "GPU-2"]


def test_a_driver_that_hangs_or_fails_is_no_gpu() -> None:
    hanging = FakeNvml()
    hanging.answers.clear()
    try:
        assert find_gpus(hanging, within_s=0.05) == []
    finally:
        hanging.answers.set()
    failing = FakeNvml()
    failing.nvmlDeviceGetCount = lambda: (_ for _ in ()).throw(failing.NVMLError("Unknown Error"))
    assert find_gpus(failing) == []


def test_declared_gpus_are_those_found_or_numbers() -> None:
    found = find_gpus(FakeNvml())
    assert declared_gpus(1, found) == found[:1]
    assert [gpu.gpu_id for gpu in declared_gpus(3, found)] == ["0", "1", "2"]


def test_a_gpu_with_a_foreign_process_is_busy_and_says_whose() -> None:
    nvml = FakeNvml()
    nvml.processes[0] = [os.getpid(), 2**22 + 1]
    user = psutil.Process().username()
    told = f"in use outside mlmagics (by {user}, process {os.getpid()} and 1 more)"
    assert ask(watch_of(nvml)) == {"GPU-0": told}


def test_gpus_of_our_own_jobs_are_not_asked_about() -> None:
    nvml = FakeNvml()
    nvml.processes[0] = [os.getpid()]
    watch = watch_of(nvml)
    assert ask(watch, "GPU-0") == {}
    assert nvml.asked == 1
    assert ask(watch, "GPU-0", "GPU-1") == {}
    assert nvml.asked == 1


def test_an_answer_is_used_again_but_not_for_what_was_held_then() -> None:
    nvml = FakeNvml()
    watch = watch_of(nvml)
    assert ask(watch) == ask(watch) == {}
    assert nvml.asked == 2
    nvml.processes[0] = [1]
    ask(watch, "GPU-0")
    assert nvml.asked == 2
    later = watch_of(nvml)
    ask(later, "GPU-0")
    assert list(ask(later)) == ["GPU-0"]


def test_memory_in_use_counts_where_no_process_is_seen() -> None:
    nvml = FakeNvml()
    nvml.old = True
    nvml.used = [BUSY_BYTES, 12 * GIB]
    assert ask(watch_of(nvml)) == {"GPU-1": "in use outside mlmagics (12 GiB of its memory)"}


def test_a_gpu_that_is_lost_later_is_not_handed_out() -> None:
    nvml = FakeNvml()
    watch = watch_of(nvml)
    nvml.lost.add(1)
    assert ask(watch) == {"GPU-1": "does not answer (GPU is lost)"}


def test_a_driver_that_hangs_later_stops_nobody() -> None:
    nvml = FakeNvml()
    watch = watch_of(nvml, answer_s=0.05)
    nvml.answers.clear()
    threads = threading.active_count()
    try:
        for _ in range(3):
            assert ask(watch) == {}
            watch._asked_at = -1e9
        assert "does not answer" in watch.trouble
        assert threading.active_count() <= threads + 2
    finally:
        nvml.answers.set()
    nvml.driver = False
    watch = watch_of(FakeNvml())
    watch._nvml = nvml
    assert ask(watch) == {}
    assert "Driver Not Loaded" in watch.trouble


def test_declared_gpus_are_not_asked_about() -> None:
    watch = GpuWatch(declared_gpus(2, []), nvml := FakeNvml())
    assert ask(watch) == {}
    assert nvml.asked == 0


@pytest.mark.parametrize(
    ("busy", "told"),
    [
        (
            {"a": in_use(Use(processes=(7,)), {7: "bob"})},
            "1 GPU is in use outside mlmagics (by bob, process 7)",
        ),
        ({"a": in_use(Use(processes=(7,)), {})}, "1 GPU is in use outside mlmagics (by process 7)"),
        ({"a": in_use(Use(fault="GPU is lost"), {})}, "1 GPU does not answer (GPU is lost)"),
        ({"a": "x", "b": "y"}, "2 GPUs are in use outside mlmagics or do not answer"),
    ],
)
def test_a_queued_job_can_say_what_it_waits_for(busy: dict[str, str], told: str) -> None:
    assert waiting_for(busy) == told


def test_slots_pass_over_gpus_to_avoid() -> None:
    gpus = [Gpu(gpu_id=f"GPU-{index}", name="", memory_bytes=1) for index in range(3)]
    slots = Slots(gpus, Need(gpus=3, cpus=4, memory_bytes=100))
    assert slots.take(1, Need(gpus=1), avoid={"GPU-0"}) == ["GPU-1"]
    assert slots.held == {"GPU-1"}
    assert slots.free_beside({"GPU-0", "GPU-1"}) == Need(gpus=1, cpus=4, memory_bytes=100)
    with pytest.raises(ValueError, match="does not fit"):
        slots.take(2, Need(gpus=2), avoid={"GPU-0"})
    assert slots.take(2, Need(gpus=2)) == ["GPU-0", "GPU-2"]


def test_memory_of_a_container_is_what_its_groups_allow(tmp_path) -> None:
    own = tmp_path / "own"
    own.write_text("1:name=systemd:/x\n4:cpu,memory:/docker/abc\n0::/a/b\n")
    for name, limit in (
        ("memory/docker/abc/memory.limit_in_bytes", "9223372036854771712\n"),
        ("memory/memory.limit_in_bytes", "8000\n"),
        ("a/memory.max", "5000\n"),
        ("a/b/memory.max", "max\n"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(limit)
    assert min(memory_limits(tmp_path, own)) == 5000
    (tmp_path / "a/memory.max").unlink()
    assert min(memory_limits(tmp_path, own)) == 8000
    assert memory_limits(tmp_path, tmp_path / "none") == [sys.maxsize]
