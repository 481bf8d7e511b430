"""Tables: what a job's note says, what a cluster's table tells."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from cluster_agent.protocol import Info, Job, Limits, State
from mlmagics.cluster.overview import AttachmentRow
from mlmagics.display.tables import Table, cluster_table, note

NOW = time.mktime((2026, 11, 21, 14, 0, 0, 0, 0, -1))
JOB = Job(
    job_id=42,
    name="train",
    user="ada",
    project="default",
    state=State.QUEUED,
    history_url="https://gpu-box:8900/history/42",
    agent_id="a",
    log_tag="00000000",
    submitted_at=NOW - 60,
    timeout_s=14400.0,
)
INFO = Info(
    agent_id="a",
    version="1",
    protocol=1,
    public_url="https://gpu-box:8900",
    user="ada",
    role="user",
    gpus=2,
    gpus_free=1,
    gpu_names=["NVIDIA H200", "NVIDIA H200"],
    cpus=32,
    cpus_free=24,
    memory_bytes=256 * 2**30,
    memory_free_bytes=120 * 2**30,
    default_gpus=1,
    default_timeout_s=14400.0,
    max_timeout_s=604800.0,
    running=3,
    queued=2,
    python="/opt/bin/python",
    python_version="3.12.4",
    projects=[],
    capabilities=[],
    durability="full",
    isolation="process",
    survives_restart=True,
)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, ""),
        ({"position": 2, "waiting_for": "needs 2 GPUs, 1 free"}, "place 2, needs 2 GPUs, 1 free"),
        ({"position": 1, "starts_by": NOW + 1200}, "place 1, starts by 14:20"),
        ({"starts_by": NOW + 86400}, "starts by 22 Nov 14:00"),
        ({"state": State.RUNNING}, ""),
        ({"state": State.RUNNING, "deadline_at": NOW + 3600}, ""),
        (
            {"state": State.RUNNING, "deadline_at": NOW + 700},
            "its time is up in 12 min: %extend gpu-box/42 2h",
        ),
        ({"state": State.RUNNING, "deadline_at": NOW + 700, "stopping": True}, ""),
        ({"state": State.RUNNING, "deadline_at": NOW + 700, "timeout_s": 720.0}, ""),
        ({"state": State.SUCCEEDED, "reason": "fine"}, ""),
        ({"state": State.FAILED, "reason": "exit code 3"}, "exit code 3"),
    ],
)
def test_note_says_why_a_job_waits_or_what_became_of_it(fields: dict[str, Any], says: str) -> None:
    assert note("gpu-box/42", msgspec.structs.replace(JOB, **fields), NOW) == says


def cluster(**fields: Any) -> dict[str, str]:
    row = AttachmentRow(
        name="gpu-box", state="Ready", address="https://gpu-box:8900", round_trip_ms=4.2, remark="soon full"
    )
    table = cluster_table(row, msgspec.structs.replace(INFO, **fields))
    assert table.titles == ["gpu-box", "Ready, https://gpu-box:8900, 4 ms"]
    return dict(map(tuple, table.rows))


def test_cluster_tells_what_is_free_and_what_one_may() -> None:
    assert cluster() == {
        "GPUs": "1 of 2 free: NVIDIA H200",
        "CPUs": "24 of 32 free",
        "memory": "120 GiB of 256 GiB free",
        "queue": "3 running, 2 waiting",
        "a job gets": "1 GPU, 4 h, where it asks for nothing else",
        "you may": "7 d a job at most (ada, user)",
        "remark": "soon full",
    }
    assert cluster(limits=Limits(gpus=2, jobs=4, timeout_s=86400.0))["you may"] == (
        "1 d a job at most, 2 GPUs and 4 jobs at once (ada, user)"
    )
    assert cluster(gpus=0, gpus_free=0, gpu_names=[])["GPUs"] == "none"


def test_tables_show_names_as_they_are_and_run_nothing() -> None:
    table = Table(["a", "note"], [["<script>x</script>", "\x1b[31mred\x1b[0m\nnext"]])
    assert "<script>" not in table.as_html()
    assert "\x1b" not in table.as_html() + table.as_text()
    assert table.as_text().splitlines()[1].endswith("red next")
