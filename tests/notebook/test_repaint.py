"""``%logs`` draws what the cell drew: from another kernel, with no gap and no line twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from front_end import FrontEnd, Shown

from mlmagics import api
from mlmagics.cluster.local import LocalAgent
from mlmagics.cluster.session import Session
from mlmagics.cluster.store import AttachmentStore
from mlmagics.display.reading import Reader
from mlmagics.display.text import Text
from mlmagics.display.view import View
from mlmagics.job.feed import Feed

MIX = """
import logging, sys, time, warnings
from IPython.display import HTML, Markdown, clear_output, display
print("not to be seen")
clear_output()
print("a", end="")
print("b")
print("warning", file=sys.stderr)
first = display({"n": 0}, display_id=True)
for n in range(40):
    print(f"\\r{n:3} %", end="", file=sys.stderr)
    time.sleep(0.02)
    first.update({"n": n})
print(file=sys.stderr)
display(HTML("<table><tr><td>1</td></tr></table>"), HTML("<script>alert(1)</script>"), Markdown("**bold**"))
print("\\x1b[31mred\\x1b[0m\\x1b]0;title\\x07 and \\x1b[38;2;1;2;3mtrue\\x1b[0m")
display({"image/png": "iVBORw0KGgo="}, raw=True, metadata={"image/png": {"width": 3}})
display({"image/png": "not base64", "text/plain": "a picture"}, raw=True)
display({"text/html": "<b>" + "x" * 1_500_000 + "</b>"}, raw=True)
import matplotlib.pyplot as plt
plt.plot([1, 2])
plt.show()
for n in range(9000): print("line", n)
display("in between")
for n in range(3000): print("more", n)
print("no end", end="")
"""


def drawn(cell: Shown, heading: int) -> list[Any]:
    """What a cell shows without its ``heading`` lines: as a notebook file has it, carriage returns folded."""
    outputs: list[Any] = []
    for output in cell.outputs:
        if output["type"] == "stream":
            outputs.append((output["name"], _folded(output["text"])))
        elif output["type"] == "display":
            outputs.append((output["data"], output["metadata"]))
    name, text = outputs[0]
    assert name == "stdout"
    outputs[0] = (name, text.split("\n", heading)[heading])
    return [output for output in outputs if output[1] != "" or isinstance(output[0], dict)]


def _folded(text: str) -> str:
    lines = []
    for line in text.split("\n"):
        shown = ""
        for state in line.split("\r"):
            shown = state + shown[len(state) :]
        lines.append(shown.rstrip())
    return "\n".join(lines)


def test_logs_in_another_kernel_draw_what_the_waiting_cell_drew(
    lab: FrontEnd, open_front_end: Callable[..., FrontEnd], tmp_path: Path
) -> None:
    cell = lab.run(f"%%gpu-box --wait\n{MIX}")
    assert cell.status == "ok", cell.text[-2000:]
    watched = drawn(cell, 3)
    other = open_front_end(JPY_SESSION_NAME="other.ipynb")
    painted = drawn(other.run("%logs gpu-box/1"), 1)
    assert painted == watched
    assert drawn(other.run("%logs gpu-box/1 --no-follow"), 1) == watched
    assert drawn(other.run(f"%logs --url {cell.text.splitlines()[1].split()[-1]} -f"), 2) == watched
    kinds = [output[0] if isinstance(output[0], str) else sorted(output[0]) for output in watched]
    assert kinds == [
        *("stdout", "stderr", ["text/plain"], "stderr", ["text/html", "text/plain"]),
        *(
            ["text/html", "text/plain"],
            ["text/markdown", "text/plain"],
            "stdout",
            ["image/png"],
            ["text/plain"],
        ),
        *(
            ["text/html"],
            ["image/png", "text/plain"],
            "stdout",
            ["text/plain"],
            ["text/plain"],
            ["text/plain"],
        ),
    ]
    assert watched[2][0] == {"text/plain": "{'n': 39}"}
    assert watched[3] == ("stderr", " 39 %\n")
    assert watched[5][0]["text/html"].startswith("<iframe sandbox")
    assert watched[-1][0]["text/plain"].splitlines()[0] == (
        "... 2,001 lines left out; all of it: %logs gpu-box/1 --save FILE"
    )
    assert watched[-1][0]["text/plain"].endswith("\nmore 2999\nno end")


def test_logs_draw_the_error_once_and_in_its_place(
    lab: FrontEnd, open_front_end: Callable[..., FrontEnd]
) -> None:
    cell = lab.run("%%gpu-box --wait\nprint('before')\nraise ValueError('\\x1b]0;title\\x07no\\x9b2J')")
    assert cell.status == "error"
    # the end of the traceback, and the line that names the job
    assert cell.text.count("ValueError: no2J") == 2
    assert "before" in cell.streams
    logs = open_front_end().run("%logs gpu-box/1")
    assert logs.status == "ok"
    assert logs.text.splitlines()[1] == "before"
    assert logs.text.splitlines()[-2:] == ["ValueError: no2J", "gpu-box/1 failed: ValueError: no2J"]
    for shown in (cell.text, logs.text):
        # the cell's own line has it as its source says it
        assert "\x1b" not in shown
        assert "\x9b" not in shown


def test_logs_of_a_running_job_show_its_past_and_go_on(
    lab: FrontEnd, open_front_end: Callable[..., FrontEnd], tmp_path: Path
) -> None:
    go = tmp_path / "go"
    lab.run(
        "%%gpu-box --no-wait\nimport pathlib, time\nfrom IPython.display import display\n"
        "bar = display('0 %', display_id=True)\nprint('begun', flush=True)\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.02)\n"
        "bar.update('100 %')\nprint('ended')"
    )
    logs = lab.send("%logs gpu-box/1")
    lab.wait(lambda: "begun" in logs.text)
    other = open_front_end()
    assert other.run("%logs gpu-box/1 --no-follow").text.splitlines()[1:] == ["'0 %'", "begun"]
    go.touch()
    lab.wait(lambda: logs.idle)
    assert logs.displays[0] == {"text/plain": "'100 %'"}
    again = drawn(other.run("%logs gpu-box/1"), 1)
    end = drawn(logs, 1)
    assert end[0] == again[0]
    assert end[1][1].startswith(again[1][1] + "Job gpu-box/1: Finished after ")


def test_logs_with_a_number_of_lines_show_as_many_however_they_came(lab: FrontEnd) -> None:
    lab.run(
        "%%gpu-box --wait\nimport time\nprint('first')\n"
        "for n in range(3000): print('.', end='', flush=True)\nprint('\\nlast')"
    )
    assert lab.run("%logs gpu-box/1 -n 2").text.splitlines()[1:] == ["." * 3000, "last"]
    assert lab.run("%logs gpu-box/1 -n 99").text.splitlines()[1:] == ["first", "." * 3000, "last"]


@pytest.fixture
def session(settings: dict[str, str], tmp_path: Path) -> Any:
    made = Session(AttachmentStore(tmp_path / "config"), LocalAgent(tmp_path / "local"))
    yield made
    made.close()


def test_the_middle_of_a_huge_log_is_not_read_and_yet_counted(session: Session) -> None:
    source = (
        "import sys\nline = 'x' * 90\n"
        "for n in range(60): sys.stdout.write(''.join(f'{n * 10_000 + m} {line}\\n' for m in range(10_000)))\n"
        "display('late')\nprint('end')"
    )
    job = api.submit(source, "gpu-box", session=session).wait()
    whole, far = View(), View()
    for event in job.events(follow=False):
        whole.feed(event)
    with Feed(job) as feed:
        reader = Reader(job, feed, far)
        while not far.done:
            assert reader.read(10.0)
    assert reader.bytes_read < 40_000_000

    def shown(view: View) -> list[Any]:
        return [
            (item.head, item.left_out, item.left_out_bytes, item.tail) if isinstance(item, Text) else item
            for item in view.items
        ]

    assert shown(far) == shown(whole)
    assert far.left_out > 500_000
