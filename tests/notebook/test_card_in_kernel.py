"""The card as a person in JupyterLab sees it: a real kernel, a real agent, real jobs."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path

from front_end import FrontEnd

from mlmagics.cluster.store import Attachment, AttachmentStore
from running import AgentProcess

CARD = "application/vnd.mlmagics.job+json"
#: a job that runs until the file named in its cell is there
HOLD = """
import pathlib, time
while not pathlib.Path({path!r}).exists():
    time.sleep(0.02)
"""


#: no number: it could be in a time
SAYS = "print('on' + 'going')"


def held(path: Path, before: str = "", after: str = "") -> str:
    return before + HOLD.format(path=str(path)) + after


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_card_lives_until_the_end_and_then_holds_everything(lab: FrontEnd, tmp_path: Path) -> None:
    go = tmp_path / "go"
    source = held(
        go,
        "print('first')",
        "from IPython.display import HTML\ndisplay(HTML('<b>table</b>'))\nprint('last')\nopen('m.txt', 'w').write('abc')",
    )
    cell = lab.run(f"%%gpu-box --name train\n{source}")
    assert cell.status == "ok"
    lab.wait(lambda: "first" in cell.text)
    assert re.search(r"gpu-box/1 train: Running, for .+, as of \d\d:\d\d:\d\d", cell.text)
    assert "%logs gpu-box/1" in cell.text
    assert "%cancel gpu-box/1" in cell.text
    assert cell.displays[-1][CARD]["state"] == "running"
    go.touch()
    lab.wait(lambda: "Finished" in cell.text)
    card = cell.displays[-1]
    assert "<b>table</b>" in card["text/html"]
    assert "1 file, 3 B: %fetch gpu-box/1 --files" in card["text/plain"]
    assert "last" in card["text/plain"]
    assert card[CARD]["state"] == "succeeded"
    assert {"job_id": 1, "cluster": "gpu-box"}.items() <= card[CARD].items()
    logs = lab.run("%logs gpu-box/1")
    assert {"text/html": "<b>table</b>"}.items() <= logs.displays[0].items()


def test_card_stays_in_its_own_cell_while_others_run(lab: FrontEnd, tmp_path: Path) -> None:
    go = tmp_path / "go"
    first = lab.run(f"%%gpu-box --no-wait\n{held(go)}")
    other = lab.run("print('other')")
    go.touch()
    lab.wait(lambda: "Finished" in first.text)
    assert other.text == "other\n"


def test_card_survives_an_agent_that_is_away(
    open_front_end: Callable[..., FrontEnd],
    start_agent: Callable[..., AgentProcess],
    settings: dict[str, str],
    tmp_path: Path,
) -> None:
    port = free_port()
    box = start_agent("--port", str(port))
    token = {"credential": "file", "credential_from": str(box.home / "token")}
    AttachmentStore(Path(settings["MLMAGICS_CONFIG_DIR"])).put(
        Attachment(name="far-box", url=box.url, **token)
    )
    lab = open_front_end()
    go = tmp_path / "go"
    cell = lab.run(f"%%far-box --no-wait\n{held(go, SAYS)}")
    lab.wait(lambda: "ongoing" in cell.text)
    box.kill()
    lab.wait(lambda: "No contact with far-box since" in cell.text)
    assert "Running" in cell.text
    go.touch()
    box.start()
    lab.wait(lambda: "Finished" in cell.text)
    assert "No contact" not in cell.text
    assert cell.displays[-1]["text/plain"].splitlines().count("ongoing") == 1


def test_card_shows_progress_and_metrics_as_they_come(lab: FrontEnd, tmp_path: Path) -> None:
    go = tmp_path / "go"
    before = (
        "import mlmagics, sys\n"
        "for step in range(3): mlmagics.log(step=step, loss=1 / (step + 1))\n"
        "print('[0]\\ttrain-rmse:0.5\\tvalidation-rmse:0.6')\n"
        "print('\\rtrain:  62%|###  | 620/1000 [00:10<00:06, 61it/s]', end='', file=sys.stderr, flush=True)\n"
    )
    cell = lab.run(f"%%gpu-box --no-wait --name train\n{held(go, before)}")
    lab.wait(lambda: "train: 62 %, 620 of 1,000, 6 s left" in cell.text)
    lab.wait(lambda: "loss 0.3333 (step 2); train-rmse 0.5, validation-rmse 0.6 (round 0)" in cell.text)
    markup = cell.displays[-1]["text/html"]
    assert 'role="progressbar"' in markup
    assert "<title>loss by step" in markup
    lab.wait(lambda: re.search(r"memory [\d.]+ [KMG]iB of .*; [\d.]+ of 1 CPU", cell.text))
    go.touch()
    lab.wait(lambda: "Finished" in cell.text)
    assert "progressbar" not in cell.displays[-1]["text/html"]
    assert "<title>loss by step" in cell.displays[-1]["text/html"]
    (charts,) = lab.run("%logs gpu-box/1").displays
    assert "<title>loss by step" in charts["text/html"]


def test_card_plot_drawn_from_data_goes_beneath_it_in_its_own_cell(lab: FrontEnd, tmp_path: Path) -> None:
    go = tmp_path / "go"
    show = "display({'application/vnd.plotly.v1+json': {'data': []}, 'text/plain': 'F'}, raw=True)"
    cell = lab.run(f"%%gpu-box --no-wait\n{held(go, '', show)}")
    other = lab.run("1")
    go.touch()
    lab.wait(lambda: len(cell.displays) == 2)
    assert "[display 1 beneath]" in cell.displays[0]["text/plain"]
    assert cell.displays[1]["application/vnd.plotly.v1+json"] == {"data": []}
    assert len(other.displays) == 1


def test_card_warns_before_the_time_is_up_until_there_is_more(lab: FrontEnd) -> None:
    cell = lab.run(
        "%%gpu-box --no-wait --timeout 12s\nimport time\nwhile True:\n    print('on')\n    time.sleep(0.1)"
    )
    lab.wait(lambda: "Its time limit ends it at" in cell.text)
    assert "%extend gpu-box/1 2h" in cell.text
    lab.run("%extend gpu-box/1 2h")
    lab.wait(lambda: "Its time limit ends it at" not in cell.text)
    assert "Running" in cell.text
    lab.run("%cancel gpu-box/1")
    lab.wait(lambda: "Cancelled" in cell.text)


def test_card_of_a_kernel_that_died_tells_its_time_and_logs_draw_the_rest(
    open_front_end: Callable[..., FrontEnd], tmp_path: Path
) -> None:
    go = tmp_path / "go"
    first = open_front_end()
    cell = first.run(f"%%gpu-box --no-wait --name train\n{held(go, SAYS, 'print(66)')}")
    first.wait(lambda: "ongoing" in cell.text)
    first.kill()
    go.touch()
    second = open_front_end()
    logs = second.run("%logs")
    assert re.search(r"Running, .*as of \d\d:\d\d:\d\d on \d+ \w+ \d{4}", cell.text)
    assert "ongoing\n66\n" in logs.streams
    assert "gpu-box/1 train" in logs.streams
