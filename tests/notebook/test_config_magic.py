"""``%NAME config``, ``%NAME`` and ``%jobs`` in a real kernel."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from front_end import FrontEnd

from running import AgentProcess


def rows(text: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line) for line in text.splitlines()]


def test_config_holds_for_this_notebook_below_the_cell_and_above_the_person(
    open_front_end: Callable[..., FrontEnd], settings: dict[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mlmagics", "config", "gpu-box", "--timeout", "1h", "--memory", "1G"],
        env={**os.environ, **settings},
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    kept = Path(settings["MLMAGICS_CONFIG_DIR"], "defaults.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    lab = open_front_end()
    shown = rows(lab.run("%gpu-box config --timeout 2h --wait").text)
    assert ["--timeout", "2h", "this notebook"] in shown
    assert ["--memory", "1G", "mlmagics config"] in shown
    assert ["--gpus", "0", "the agent"] in shown
    assert [row for row in shown if row[0] == "--wait"]
    cell = lab.run("%%gpu-box\nimport time; time.sleep(2.5); print('shown live')")
    assert "1 GiB, at most 2 h (config: --memory --timeout; defaults: --gpus --cpus)" in cell.text
    assert cell.streams.splitlines()[-1] == "shown live"
    assert "at most 30 min (config: --memory;" in lab.run("%%gpu-box --time 30m\n1").text
    lab.run("%gpu-box config --reset timeout")
    assert "at most 1 h (config: --memory --timeout;" in lab.run("%%gpu-box\n1").text
    lab.run("%gpu-box config --reset")
    assert "this notebook" not in lab.run("%gpu-box config").text
    assert (
        "Error: %gpu-box config: --gpus: 'x' is not a number of GPUs"
        in lab.run("%gpu-box config --gpus x").text
    )
    assert "this looks like a secret" in lab.run("%gpu-box config --env MY_TOKEN=abcdef").text


def test_config_of_a_name_that_another_magic_has(open_front_end: Callable[..., FrontEnd]) -> None:
    lab = open_front_end(load=False)
    lab.run(
        "from IPython.core.magic import register_line_cell_magic\n"
        "@register_line_cell_magic('gpu-box')\ndef other(line, cell=None): print('theirs')\n%load_ext mlmagics"
    )
    assert lab.run("%gpu-box config").text == "theirs\n"
    assert "this notebook" in lab.run("%on gpu-box config --cpus 1").text
    assert "(config: --cpus; defaults:" in lab.run("%%on gpu-box\n1").text


def test_a_damaged_file_of_defaults_stops_cells_with_one_line(
    lab: FrontEnd, settings: dict[str, str]
) -> None:
    kept = Path(settings["MLMAGICS_CONFIG_DIR"], "defaults.json")
    kept.write_text('{"version": 1, "clusters": {"gpu-box": ["--engine=torch"]}}')
    shown = lab.run("%%gpu-box\n1")
    assert shown.status == "error"
    assert "unknown option --engine" in shown.text
    assert "To forget what is set there: mlmagics config gpu-box --reset" in shown.text
    kept.write_text("{")
    assert "defaults.json is damaged" in lab.run("%%gpu-box\n1").text
    kept.unlink()
    assert lab.run("%%gpu-box\n1").status == "ok"


def test_cluster_shows_what_is_free_and_what_runs(lab: FrontEnd, agent: AgentProcess, tmp_path: Path) -> None:
    empty = lab.run("%gpu-box").text
    assert re.search(rf"gpu-box +Ready, {re.escape(agent.url)}, \d+ ms", empty)
    assert re.search(r"CPUs +\d+ of \d+ free", empty)
    assert re.search(r"queue +0 running, 0 waiting", empty)
    assert "A cell that begins with %%gpu-box runs there." in empty
    wait = (
        f"import pathlib, time\nwhile not pathlib.Path({str(tmp_path / 'go')!r}).exists(): time.sleep(0.02)"
    )
    lab.run(f"%%gpu-box --no-wait --name long\n{wait}")
    assert re.search(r"gpu-box/1 +long +(Preparing|Running)", lab.run("%gpu-box").text)
    (tmp_path / "go").touch()
    lab.run("%wait")
    agent.stop()
    assert re.search(r"gpu-box +Unreachable", lab.run("%gpu-box").text)


def test_jobs_are_chosen_by_options_and_an_empty_table_says_what_to_do(
    open_front_end: Callable[..., FrontEnd],
) -> None:
    lab = open_front_end()
    assert lab.run("%jobs").text == "No jobs of yours. A cell that begins with %%gpu-box becomes one.\n"
    other = open_front_end(JPY_SESSION_NAME="other.ipynb")
    lab.run("%%gpu-box --name mine\n1")
    other.run("%%gpu-box --name theirs\n1")

    def names(line: str) -> list[str]:
        return re.findall(r"gpu-box/\d+ +(\w+) ", lab.run(line).text)

    assert names("%jobs") == ["theirs", "mine"]
    assert names("%jobs -n 1") == ["theirs"]
    assert names("%jobs --notebook") == ["mine"]
    assert names("%jobs --on gpu-box --name mine") == ["mine"]
    assert names("%jobs --state Finished,failed") == ["theirs", "mine"]
    assert lab.run("%jobs --state failed").text == (
        "No such jobs. %jobs lists your last ones, %jobs --all everybody's.\n"
    )
    assert "did you mean gpu-box?" in lab.run("%jobs --on gpubox").text
    assert "'0' is not a number of jobs from 1 to 1000" in lab.run("%jobs -n 0").text
