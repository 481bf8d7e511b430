"""IPython in a terminal: plain lines only, and a line before the prompt when a job has ended."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pexpect = pytest.importorskip("pexpect")

PROMPT = r"In \[\d+\]: "


class Terminal:
    """IPython in a pseudo terminal; a dumb one, or with ``tab`` one that completes."""

    def __init__(self, env: dict[str, str], *, tab: bool = False) -> None:
        variables = {
            name: value for name, value in os.environ.items() if not name.startswith(("JPY_", "VSCODE_"))
        }
        self.child = pexpect.spawn(
            sys.executable,
            ["-m", "IPython", "--no-banner", "--no-confirm-exit", "--colors=NoColor"]
            + ([] if tab else ["--simple-prompt"]),
            env={
                **variables,
                **env,
                "TERM": "xterm" if tab else "dumb",
                "NO_COLOR": "1",
                "PROMPT_TOOLKIT_NO_CPR": "1",
            },
            encoding="utf-8",
            timeout=60,
            dimensions=(50, 200),
        )
        self.child.expect(PROMPT.rstrip())
        if tab:
            self.type("%load_ext mlmagics\r", until="mlmagics: ")
        else:
            assert "mlmagics" in self.run("%load_ext mlmagics")

    def type(self, keys: str, *, until: str) -> str:
        """What is drawn after ``keys`` were pressed, up to ``until``, without the escapes of the line editor."""
        self.child.send(keys)
        self.child.expect(until)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", str(self.child.before) + str(self.child.after))

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


@pytest.fixture
def typing(settings: dict[str, str]) -> Iterator[Terminal]:
    made = Terminal(settings, tab=True)
    try:
        yield made
    finally:
        made.child.close(force=True)


def test_tab_completes_magics_options_values_and_jobs(typing: Terminal) -> None:
    # the line editor completes beside the typing, so each Tab is waited for by what it adds
    typing.type("%%gp\t", until="u-box")
    typing.type(" --prio\t", until="rity")
    typing.type(" lo\t", until="w")
    typing.type(" --nam\t", until="e")
    # escape and return end a cell of several lines
    typing.type(" tour\rprint(6 * 7)\x1b\r", until="Job gpu-box/1: queued")
    typing.type("", until=r"In \[")
    typing.type("%logs gpu-b\t", until="ox/1")
    assert "42" in typing.type("\r", until=r"42\r?\n")
    typing.type("", until=r"In \[")
    typing.type("%jobs --sta\t", until="te")
    typing.type(" succ\t", until="eeded")
    assert re.search(r"gpu-box/1 +tour", typing.type("\r", until="tour "))


def test_config_and_help_print_plain_lines(terminal: Terminal) -> None:
    assert "--timeout  8h     this notebook" in terminal.run("%gpu-box config --timeout 8h")
    assert "at most 8 h (config: --timeout; defaults:" in terminal.run(terminal.cell("", "1"))
    shown = terminal.run("%gpu-box help")
    assert shown.startswith("usage: %%gpu-box [options]")
    assert len(shown.rstrip().splitlines()) <= 32
    assert "Did you mean %%gpu-box?" in terminal.run("get_ipython().run_cell_magic('gpubox', '', '1')")


def test_short_cell_prints_its_output(terminal: Terminal) -> None:
    shown = terminal.run(terminal.cell("--wait 30s", "print('hello')\n6 * 7"))
    assert shown.split("\n")[0] == "Job gpu-box/1: queued"
    assert shown.split("\n")[3:5] == ["hello", "42"]
    assert "\x1b" not in shown


def test_failed_cell_shows_the_remote_traceback(terminal: Terminal) -> None:
    shown = terminal.run(terminal.cell("--wait 30s", "1 / 0"))
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


def test_end_of_a_job_that_was_waited_for_is_told_once(terminal: Terminal, tmp_path: Path) -> None:
    go = tmp_path / "go"
    source = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.02)"
    terminal.run(terminal.cell("", source))
    go.touch()
    told = terminal.run("%wait gpu-box/1")
    for _ in range(20):
        told += terminal.run("import time; time.sleep(0.05)")
    assert told.count("Job gpu-box/1: Finished after ") == 1
