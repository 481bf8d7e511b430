"""``--once`` in a notebook: what was done is shown, not done again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from front_end import FrontEnd

DATA = (
    "import numpy as np, pandas as pd\ndf = pd.DataFrame({'x': np.arange(5.0), 'k': list('aabbc')})\nRATE = 3"
)
TRAIN = "%%gpu-box --once --send auto --fetch m,mean --wait\nm = df.x.sum() * RATE\nmean = float(df.x.mean())\nprint('trained', mean)"


def test_run_all_does_not_train_again(lab: FrontEnd, open_front_end: Callable[..., FrontEnd]) -> None:
    pytest.importorskip("pandas")
    lab.run(DATA)
    first = lab.run(TRAIN)
    assert first.text.splitlines()[0] == "Job gpu-box/1: queued"
    assert "nothing was run" not in first.text
    # a notebook that was opened again, with its cells run in another order
    again = open_front_end()
    again.run("'before'")
    again.run(DATA)
    shown = again.run(TRAIN)
    lines = shown.text.splitlines()
    assert lines[0] == "Job gpu-box/1: finished"
    assert lines[3].startswith("Note: nothing was run: gpu-box/1, finished at ")
    assert lines[3].endswith(", does the same. To run it anew: --no-once in place of --once")
    assert lines[4] == "trained 2.0"
    assert again.run("print(m, mean)").text == "30.0 2.0\n"
    # what is not asked for takes the place of nothing
    again.run("m = 'mine'")
    again.run(TRAIN.replace("m,mean", "mean"))
    assert again.run("print(m)").text == "mine\n"
    assert again.run("%gpu-box config --once").status == "ok"
    assert "nothing was run" in again.run(TRAIN.replace("--once", "")).text
    anew = again.run(TRAIN.replace("--once", "--no-once"))
    assert anew.text.splitlines()[0] == "Job gpu-box/2: queued"
    assert "does the same" not in anew.text
    again.run("df.loc[0, 'x'] = 1")
    assert again.run(TRAIN).text.splitlines()[0] == "Job gpu-box/3: queued"


def test_a_job_under_way_is_followed_or_told(lab: FrontEnd, tmp_path: Path) -> None:
    go = tmp_path / "go"
    cell = f"import pathlib, time\nprint('on')\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.02)\nprint('off')"
    lab.run(f"%%gpu-box --no-wait\n{cell}")
    other = lab.run(f"%%gpu-box --no-wait\n{cell}")
    assert (
        "Note: gpu-box/1 does the same and has not ended; with --once this cell shows that one in place of running again"
        in other.text.splitlines()
    )
    lab.run("%cancel gpu-box/2")
    following = lab.send(f"%%gpu-box --once --wait --as job\n{cell}")
    lab.wait(lambda: "on\n" in following.text)
    go.touch()
    lab.wait(lambda: following.idle)
    lines = following.text.splitlines()
    assert lines[0] in ("Job gpu-box/1: running", "Job gpu-box/1: queued")
    assert ", submitted at " in lines[3]
    assert lines[-1] == "off"
    assert lab.run("import mlmagics\nprint(job.ref)").text == "gpu-box/1\n"
    python = lab.run(
        "for _ in (1, 2): job = mlmagics.submit('1 + 1', once=True).wait()\nprint(job.ref, job.notes)"
    )
    assert python.text.startswith("gpu-box/3 ('nothing was run: gpu-box/3, finished at ")
