"""The whole story: ``tools/demo.py`` in a folder of its own, with real kernels, an agent and a model."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest

from mlmagics.cluster.local import LocalAgent

for needed in ("pandas", "pyarrow", "xgboost", "matplotlib"):
    pytest.importorskip(needed)

pytestmark = pytest.mark.timeout(420)

ROOT = Path(__file__).parent.parent.parent
SAMPLE = Path(
    os.environ.get("TAXI_DATA", ROOT.parent / "shared" / "data" / "nyc_yellow_taxi_sample_2018_2020.parquet")
)

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Run]:
    """Runs the demo; the agent that it leaves behind is stopped at the end."""

    def run(**variables: str) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if name != "TAXI_DATA"} | variables
        return subprocess.run(
            [sys.executable, str(ROOT / "tools" / "demo.py"), str(tmp_path / "demo")],
            env=env,
            capture_output=True,
            text=True,
            timeout=400,
        )

    try:
        yield run
    finally:
        LocalAgent(tmp_path / "demo" / "agent").stop()


def scores(shown: str) -> tuple[float, float]:
    """MAE in seconds, and by what share it is better than the zone-pair median."""
    found = re.search(r"^MAE ([\d.]+) s, ([\d.]+)% better than the zone-pair median$", shown, re.MULTILINE)
    assert found is not None, shown
    return float(found[1]), float(found[2]) / 100


@pytest.mark.skipif(not SAMPLE.exists(), reason="the sample of real trips is not here")
def test_on_real_trips_the_model_is_as_good_as_promised(demo: Run, tmp_path: Path) -> None:
    ended = demo(TAXI_DATA=str(SAMPLE))
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    mae, better = scores(ended.stdout)
    assert mae <= 240
    assert better >= 0.20
    assert "train 187,441, check 9,866, test 39,345 trips, from 2019-09-01 on" in ended.stdout
    for told in (r"^name +state .*address$", r"^History URL: http://127\.0\.0\.1:\d+/history/1$"):
        assert re.search(told, ended.stdout, re.MULTILINE)
    assert "Job Status: Finished" in ended.stdout
    (model,) = (tmp_path / "demo" / "project" / "models").iterdir()
    assert f"Model:     {model}" in ended.stdout

    notebook = nbformat.read(tmp_path / "demo" / "taxi.ipynb", as_version=4)
    outputs = {cell["id"]: cell["outputs"] for cell in notebook.cells if cell["cell_type"] == "code"}
    for cell in ("train", "logs", "predict"):
        assert sum("image/png" in output.get("data", {}) for output in outputs[cell]) == 1, cell
    assert not [o for found in outputs.values() for o in found if o.get("name") == "stderr"], "no warnings"


def test_without_data_and_network_it_simulates_trips_and_says_so(demo: Run) -> None:
    # Nothing listens there: a download fails at once, whether this machine has a network or not.
    away = {"https_proxy": "http://127.0.0.1:9", "TAXI_DATA": ""}
    ended = demo(**away)
    assert ended.returncode == 0, ended.stderr
    assert "Data: simulated trips, calibrated on real ones" in ended.stdout
    assert scores(ended.stdout)[1] >= 0.20


def test_what_goes_wrong_is_told_in_one_line(demo: Run, tmp_path: Path) -> None:
    absent = demo(TAXI_DATA=str(tmp_path / "absent.parquet"))
    assert (absent.returncode, absent.stdout) == (1, "")
    assert absent.stderr.splitlines() == [
        f"make demo: TAXI_DATA is {tmp_path / 'absent.parquet'}, and there is no such file"
    ]
    (tmp_path / "broken.parquet").write_text("x")
    broken = demo(TAXI_DATA=str(tmp_path / "broken.parquet"))
    assert broken.returncode == 1
    assert len(broken.stderr.splitlines()) == 1
    assert broken.stderr.startswith("make demo: a cell failed: ArrowInvalid: ")
