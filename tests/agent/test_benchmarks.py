"""A small run of the benchmarks: each row with its goal, in a page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.soak


@pytest.mark.timeout(300)
def test_a_small_run_writes_its_page(tmp_path: Path) -> None:
    out = tmp_path / "page.md"
    command = [sys.executable, "-m", "benchmarks", "--only", "P1,P8,load", "--rounds", "1", "--no-peers"]
    done = subprocess.run(
        [*command, "--out", str(out)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line for line in out.read_text().partition("## ")[0].splitlines() if line.startswith("| ")]
    assert "not measured" not in "".join(rows)
    assert [row.split("|")[1].strip() for row in rows[1:]] == ["P1"] * 2 + ["P8"] * 4 + ["notebook"]
    assert all(row.split("|")[5].strip() for row in rows[1:]), "each of these has a goal"


def test_what_cannot_be_measured_is_refused_by_name() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", "P1,P99"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "there is no P99" in done.stderr
