"""IPython in a terminal: plain lines only, and a line before the prompt when a job has ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pexpect = pytest.importorskip("pexpect")

PROMPT = r"In \[\d+\]: "


class Terminal:
    """IPython in a pseudo terminal."""

    def __init__(self, env: dict[str, str]) -> None:
        variables = {
            name: value for name, value in os.environ.items() if not name.startswith(("JPY_", "VSCODE_"))
        }
        self.child = pexpect.spawn(
            sys.executable,
            ["-m", "IPython", "--no-banner", "--simple-prompt", "--no-confirm-exit", "--colors=NoColor"],
            env={**variables, **env, "TERM": "dumb", "NO_COLOR": "1"},
            encoding="utf-8",
            timeout=60,
            dimensions=(50, 200),
        )
        self.child.expect(PROMPT)
        assert "mlmagics" in self.run("%load_ext mlmagics")

    def send(self, line: str) -> None:
        self.child.sendline(line)
        self.child.expect_exact(line + "\r\n")

    def run(self, line: str) -> str:
        """What is shown until the next prompt."""
        self.send(line)
        self.child.expect(PROMPT)
        return str(self.child.before).replace("\r\n", "\n")

    def cell(self, options: str, source: str) -> str:
        return f"get_ipython().run_cell_magic('gpu-box', {options!r}, {source!r})"


@pytest.fixture
def terminal(settings: dict[str, str]) -> Iterator[Terminal]:
    made = Terminal(settings)
    try:
        yield made
    finally:
        made.child.close(force=True)


def test_short_cell_prints_its_output(terminal: Terminal) -> None:
    shown = terminal.run(terminal.cell("", "print('hello')\n6 * 7"))
    assert shown.split("\n")[0] == "Job gpu-box/1: queued"
    assert shown.split("\n")[3:5] == ["hello", "42"]
    assert "\x1b" not in shown


def test_failed_cell_shows_the_remote_traceback(terminal: Terminal) -> None:
    shown = terminal.run(terminal.cell("", "1 / 0"))
    assert "ZeroDivisionError: division by zero" in shown
    assert "Error: gpu-box/1 failed" in shown


def test_long_cell_comes_back_and_its_end_is_told_before_a_prompt(terminal: Terminal, tmp_path: Path) -> None:
    go = tmp_path / "go"
    source = (
        f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.02)\nprint('last')"
    )
    shown = terminal.run(terminal.cell("--name train", source))
    assert "gpu-box/1 goes on. To see it: %logs gpu-box/1   To cancel it: %cancel gpu-box/1" in shown
    assert "gpu-box/1" not in terminal.run("1")
    go.touch()
    told = ""
    for _ in range(200):
        told = terminal.run("import time; time.sleep(0.05)")
        if told.strip():
            break
    assert told.startswith("Job gpu-box/1 train: Finished after ")
    assert told.rstrip().endswith("(%logs gpu-box/1)")
    assert "gpu-box/1" not in terminal.run("1")
    assert terminal.run("%logs").split("\n")[2] == "last"


def test_interrupt_stops_the_watching_only(terminal: Terminal, tmp_path: Path) -> None:
    source = f"import pathlib, time\nprint('begun')\nwhile not pathlib.Path({str(tmp_path / 'go')!r}).exists(): time.sleep(0.02)"
    terminal.send(terminal.cell("--wait", source))
    terminal.child.expect_exact("begun")
    terminal.child.sendintr()
    terminal.child.expect(PROMPT)
    assert "stopped watching gpu-box/1, which goes on" in terminal.child.before
    (tmp_path / "go").touch()
    assert "Job gpu-box/1: Finished" in terminal.run("%wait")
