"""What a job uses, measured at real processes: samples, the peak of the whole tree, and too much of something."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from supervised import until

from cluster_agent.supervisor.usage import TreeMeter, own_part

MIB = 2**20
GROW = """
import os, sys
content = bytearray({mib} << 20)
content[::4096] = b"x" * len(content[::4096])
"""
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="SKIPPED: no /proc here")


def test_samples_tell_processors_and_memory_of_the_whole_tree(supervise):
    job = supervise(
        """
import subprocess
spin = "import time\\nend = time.monotonic() + 60\\nwhile time.monotonic() < end: pass"
child = subprocess.Popen([sys.executable, "-c", "data = bytearray(b'x') * (200 << 20)\\n" + spin])
while not os.path.exists("stop"):
    pass
child.kill()
"""
    )
    samples = until(lambda: (found := job.of("sample"))[2:] and found)
    (job.folder.work / "stop").touch()
    ended = job.ended()
    assert ended.state == "succeeded"
    assert all(sample.values["memory_bytes"] > 10 * MIB for sample in samples)
    assert max(sample.values["cpus"] for sample in samples) > 0
    assert max(sample.values["memory_bytes"] for sample in samples) > 200 * MIB
    assert "gpus" not in samples[0].values
    assert samples[0].t - job.of("started")[0].t > 0.9
    assert ended.peak_memory_bytes > 200 * MIB


def test_samples_do_without_gpus_that_nobody_knows(supervise):
    job = supervise(
        "import time\nwhile not os.path.exists('stop'): time.sleep(0.01)", gpu_ids=("GPU-none", "0")
    )
    samples = until(lambda: (found := job.of("sample"))[2:] and found)
    (job.folder.work / "stop").touch()
    assert job.ended().state == "succeeded"
    assert all("gpus" not in sample.values for sample in samples)


def test_a_short_job_has_no_samples(supervise):
    job = supervise("print(1)")
    ended = job.ended()
    assert "sample" not in ended.events or ended.seconds > 1


def test_a_job_that_uses_more_memory_than_it_asked_for_is_ended(supervise):
    job = supervise(
        GROW.format(mib=300) + "print('grown', flush=True)\nimport time; time.sleep(120)",
        memory_bytes=256 * MIB,
        enforce_memory=True,
    )
    ended = job.ended()
    assert (ended.state, ended.signal) == ("failed", "SIGKILL")
    assert ended.reason.startswith("out of memory: it used 3")
    assert ended.reason.endswith("MiB and had asked for 256 MiB; ask for more with --memory")
    assert ended.peak_memory_bytes > 300 * MIB
    assert job.of("started")[0].confinement == {"memory": "watch", "processes": "watch"}
    assert job.text() == "grown\n"


def test_memory_is_not_enforced_unless_told(supervise):
    job = supervise(GROW.format(mib=100) + "import time; time.sleep(3.5)", memory_bytes=10 * MIB)
    assert job.ended().state == "succeeded"
    assert job.of("started")[0].confinement == {"memory": "none", "processes": "watch"}


@LINUX
def test_memory_that_processes_share_counts_once(supervise):
    job = supervise(
        GROW.format(mib=200)
        + """
import signal, time
children = []
for _ in range(4):
    pid = os.fork()
    if pid == 0:
        time.sleep(120)
        os._exit(0)
    children.append(pid)
while not os.path.exists("stop"):
    time.sleep(0.01)
for pid in children:
    os.kill(pid, signal.SIGKILL)
""",
        memory_bytes=500 * MIB,
        enforce_memory=True,
    )
    told = until(
        lambda: [
            sample.values["memory_bytes"] for sample in job.of("sample") if "memory_bytes" in sample.values
        ][3:]
    )
    (job.folder.work / "stop").touch()
    assert job.ended().state == "succeeded"
    assert max(told) < 400 * MIB


def test_a_job_that_starts_itself_again_and_again_is_ended(supervise):
    job = supervise(
        """
import time
for _ in range(6):
    os.fork()
time.sleep(120)
""",
        max_processes=40,
    )
    ended = job.ended()
    assert (ended.state, ended.signal) == ("failed", "SIGKILL")
    assert ended.reason == "too many processes: 64, of at most 40 that a job may have"
    assert ended.left_behind is None
    assert not job.processes()


@LINUX
def test_meter_finds_new_processes_and_keeps_the_time_of_those_that_ended():
    meter = TreeMeter(os.getpid())
    before = meter.look()
    spin = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\ninput()"
    with subprocess.Popen([sys.executable, "-c", spin], stdin=subprocess.PIPE) as child:
        until(lambda: meter.look().cpu_s > before.cpu_s + 0.25)
        assert meter.look().processes == before.processes + 1
        child.communicate(b"\n")
    after = meter.look()
    assert after.processes == before.processes
    assert after.cpu_s > before.cpu_s + 0.25


@LINUX
def test_own_part_is_one_for_what_nobody_shares():
    assert own_part((2**22 + 1,)) is None
    assert 0 < own_part((os.getpid(),)) <= 1
