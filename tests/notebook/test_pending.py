"""Results on their way: a cell that reads one waits for it, and no cell ever reads an older value."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from front_end import FrontEnd, Shown
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from test_terminal import Terminal

from cluster_agent.client import AgentClient
from running import AgentProcess, until, wait_ended

HOLD = "import pathlib, time\nwhile not pathlib.Path({!r}).exists(): time.sleep(0.02)\n"
STOPPED = "an interrupt stops the waiting only"


class Held:
    """Jobs that end when told to."""

    def __init__(self, lab: FrontEnd, folder: Path) -> None:
        self._lab = lab
        self._folder = folder
        self._count = 0

    def job(self, then: str, options: str = "--fetch m") -> Shown:
        """A cell whose job holds before ``then``; it has come back."""
        self._count += 1
        return self._lab.run(
            f"%%gpu-box --no-wait {options}\n{HOLD.format(str(self._go(self._count)))}{then}"
        )

    def release(self, number: int | None = None) -> None:
        """Let the last job go on, or the one of this number."""
        self._go(number or self._count).touch()

    def _go(self, number: int) -> Path:
        return self._folder / f"go-{number}"


@pytest.fixture
def held(lab: FrontEnd, tmp_path: Path) -> Held:
    return Held(lab, tmp_path)


@pytest.fixture
def client(agent: AgentProcess) -> AgentClient:
    return agent.client()


def last_line(cell: Shown) -> str:
    return cell.text.rstrip().splitlines()[-1]


EARLIER = """
def plain(): return m
def through(): return plain()
class Model:
    def answer(self): return m
model = Model()
"""


def test_a_cell_that_reads_it_waits_whatever_way_it_reads(lab: FrontEnd, held: Held) -> None:
    lab.run(EARLIER)
    for number, source in enumerate(
        [
            "print(m)",
            "%time print(m)",
            "%%time\nprint(m)",
            "%%timeit -n1 -r1\nprint(m)",
            "for n in range(2):\n    if n: print(through())",
            "print(model.answer())",
            "def inside():\n    return m\nprint(inside())",
            "import asyncio\nasync def later():\n    return m\nprint(await later())",
            "!echo {m}",
        ],
        start=1,
    ):
        shown = held.job(f"m = {number * 1000}")
        assert f"gpu-box/{number} makes m: a cell that uses it waits for it" in shown.text
        assert lab.run("print('free')").text == "free\n"
        cell = lab.send(source)
        lab.wait(lambda cell=cell: "Waiting" in cell.text)
        assert cell.text == f"Waiting for gpu-box/{number}, which makes m; {STOPPED}\n"
        held.release()
        lab.wait(lambda cell=cell: cell.idle and cell.status)
        assert cell.text.splitlines()[1:3] == [f"m (int) from gpu-box/{number}", str(number * 1000)], source
        assert cell.status == "ok"


def test_a_cell_in_a_cell_waits_too(lab: FrontEnd, held: Held) -> None:
    held.job("m = 41")
    cell = lab.send("%%capture kept\nprint(m)")
    assert not cell.idle
    held.release()
    lab.wait(lambda: cell.idle and cell.status)
    assert lab.run("print(kept.stdout)").text.splitlines()[-2] == "41"


def test_a_cell_gives_its_values_at_its_end_and_tells_what_was_not_kept(lab: FrontEnd) -> None:
    cell = lab.run(
        "%%gpu-box --wait --fetch history,rmse -o thing\nhistory, rmse = [1, 2], 0.5\nthing = __import__('threading').Lock()"
    )
    assert cell.status == "ok"
    told = cell.text.splitlines()[3:]
    assert told[0].startswith("thing was not kept by gpu-box/1: ")
    assert told[1:] == ["history (list, 2 items), rmse (float) from gpu-box/1"]
    assert lab.run("print(history, rmse)").text == "[1, 2] 0.5\n"
    stopped = lab.run("thing")
    assert stopped.status == "error"
    assert stopped.text.startswith("Error: thing was not kept by gpu-box/1: ")


def test_a_cell_that_needs_what_was_not_kept_is_told_so_once(lab: FrontEnd, held: Held) -> None:
    held.job("m = __import__('threading').Lock()")
    held.release()
    lab.run("%wait gpu-box/1")
    # the wait's own end may have been before the results were looked at
    stopped = lab.run("m")
    assert stopped.status == "error"
    assert stopped.text.count("m was not kept by gpu-box/1: ") == 1


def test_an_older_value_is_never_read(lab: FrontEnd, held: Held) -> None:
    lab.run("m = 'old'\ndef f(): return m + '!'\nhandlers = [f]")
    held.job("m = 'new'")
    assert "old" not in lab.run("eval('m')").text
    cell = lab.run("handlers[0]()")
    assert cell.status == "error"
    assert cell.text.startswith("Error: m is not here yet: gpu-box/1 makes it")
    assert len(cell.text.splitlines()) == 1
    assert "Placeholder" in lab.run("%whos").text
    assert lab.run("import IPython; print('m.' in IPython.get_ipython().complete('m.')[0])").status == "ok"
    held.release()
    assert last_line(lab.run("m\nprint(handlers[0]())")) == "new!"


def test_values_arrive_between_cells_only(lab: FrontEnd, held: Held, tmp_path: Path) -> None:
    held.job("m = 41")
    cell = lab.run(
        "import pathlib, threading, time\n"
        f"pathlib.Path({str(tmp_path / 'go-1')!r}).touch()\n"
        "while any('results' in thread.name for thread in threading.enumerate()): time.sleep(0.01)\n"
        "get_ipython().run_cell('x = 1')\n"
        "get_ipython().run_cell('')\n"
        "print(type(globals()['m']).__name__)"
    )
    assert cell.text == "Placeholder\nm (int) from gpu-box/1\n"
    assert lab.run("print(m)").text == "41\n"


def test_an_interrupt_stops_the_waiting_only(lab: FrontEnd, held: Held) -> None:
    held.job("m = 41")
    for source in ("m", "%time m", "import asyncio\nawait asyncio.sleep(0)\nm"):
        cell = lab.send(source)
        lab.wait(lambda cell=cell: "Waiting" in cell.text)
        lab.interrupt()
        lab.wait(lambda cell=cell: cell.idle and cell.status)
        assert last_line(cell) == (
            "Error: stopped waiting for gpu-box/1; jobs go on. To wait again: run this cell again   To cancel: "
            "%cancel gpu-box/1"
        )
        # what makes a front end leave out the cells that were to follow
        assert cell.status == "error"
    asleep = lab.send("print('on')\nawait asyncio.sleep(60)")
    lab.wait(lambda: "on" in asleep.text)
    lab.interrupt()
    # its answer is ipykernel's, which loses it now and then
    lab.wait(lambda: asleep.idle)
    assert "callback" not in asleep.text
    held.release()
    assert last_line(lab.run("print(m)")) == "41"


def test_a_failed_job_stops_the_cells_that_need_it(lab: FrontEnd, held: Held) -> None:
    lab.run("m = 'old'")
    held.job("raise ValueError('bad trips')", "--fetch m,n")
    cell, following = lab.send("m"), lab.send("print('not reached')")
    lab.wait(lambda: "Waiting" in cell.text)
    held.release()
    lab.wait(lambda: cell.idle and following.status is not None)
    assert (cell.status, following.status) == ("error", "aborted")
    assert cell.text.splitlines()[1:] == [
        (
            "Error: m was not made (del m gives back the value from before): gpu-box/1 failed: ValueError: bad trips. "
            "All of its output: %logs gpu-box/1"
        )
    ]
    assert lab.run("1 + 1").status == "ok"
    again = lab.run("%time print(n)")
    assert again.text == (
        "Error: n was not made: gpu-box/1 failed: ValueError: bad trips. All of its output: %logs gpu-box/1\n"
    )
    assert lab.run("del m").text == "m has the value again that it had before gpu-box/1\n"
    assert lab.run("print(m)").text == "old\n"


@pytest.mark.parametrize("options", ["--wait", "--wait 30s"])
def test_a_cell_that_waits_has_the_values_at_its_end(lab: FrontEnd, tmp_path: Path, options: str) -> None:
    go = tmp_path / "go"
    cell = lab.send(f"%%gpu-box {options} --fetch m\n{HOLD.format(str(go))}m = 41")
    following = lab.send("print(m)")
    lab.wait(lambda: "History URL" in cell.text)
    go.touch()
    lab.wait(lambda: following.idle and following.status)
    assert "m (int) from gpu-box/1" in cell.streams
    assert following.text == "41\n"


def test_giving_the_name_another_meaning_drops_the_delivery(lab: FrontEnd, held: Held) -> None:
    held.job("m = 'from the job'")
    line = "so the value from gpu-box/{0} {1} (to have it: %fetch gpu-box/{0} m)"
    meanings = {
        "m = 3": "m",
        "for m in [3]: pass": "m",
        "import math as m": "m.floor(3.5)",
        "with open('/dev/null') as m: pass": "3 * m.closed",
        "def m(): return 3": "m()",
        "%time m = 3": "m",
        "globals().update(m=3)": "m",
        "m = 3\nprint(end='')\nm": "m",
    }
    for number, (source, value) in enumerate(meanings.items(), start=1):
        cell = lab.run(source)
        assert "Waiting" not in cell.text, source
        assert f"m was assigned here, {line.format(number, 'will not replace it')}" in cell.text, source
        held.release()
        assert last_line(lab.run(f"print({value})")) == "3", source
        held.job("m = 'from the job'")
    lab.run("del m")
    assert last_line(lab.run("print(m.closed if hasattr(m, 'closed') else m)")) == "3"
    held.job("n = 1", "--fetch n")
    assert (
        f"n was deleted here, {line.format(len(meanings) + 2, 'does not come')}"[:40] in lab.run("del n").text
    )
    assert "NameError" in lab.run("n").text
    lab.run("n = 'old'")
    held.job("n = 1", "--fetch n")
    assert "n was deleted here" in lab.run("%reset -f").text
    assert "NameError" in lab.run("n").text


def test_of_two_jobs_the_later_one_counts(lab: FrontEnd, held: Held) -> None:
    held.job("m = 'first'", "--fetch m,k")
    second = held.job("m = 'second'", "--fetch m")
    assert "m comes from gpu-box/2 now, no longer from gpu-box/1" in second.text
    held.release(1)
    cell = lab.send("print(m)")
    lab.wait(lambda: "Waiting for gpu-box/2" in cell.text)
    held.release(2)
    lab.wait(lambda: cell.idle and cell.status)
    assert "second" in cell.text.splitlines()


def test_fetching_takes_the_place_of_waiting(lab: FrontEnd, held: Held, client: AgentClient) -> None:
    lab.run("%%gpu-box --wait --fetch m\nm = 'first'")
    held.job("m = 'second'")
    assert lab.run("%fetch gpu-box/1 m").text == (
        "m (str, 5 characters) from gpu-box/1; the value from gpu-box/2 will not replace it\n"
    )
    held.release()
    wait_ended(client, 2)
    assert lab.run("print(m)").text == "first\n"


def test_silent_code_of_a_front_end_never_waits(lab: FrontEnd, held: Held) -> None:
    held.job("m = 41")
    request = lab._client.execute("seen = type(m).__name__", silent=True)
    assert until(lambda: lab._client.get_shell_msg(timeout=30)["parent_header"].get("msg_id") == request)
    assert lab.run("print(seen)").text == "Placeholder\n"


def test_after_a_restart_of_the_kernel_results_can_be_fetched(
    open_front_end: Callable[..., FrontEnd], lab: FrontEnd, held: Held, client: AgentClient
) -> None:
    held.job("m, n = {'a': 1}, __import__('threading').Lock()", "--fetch m,n")
    lab.kill()
    held.release()
    wait_ended(client, 1)
    again = open_front_end()
    listed = again.run("%fetch gpu-box/1").text
    assert "m     dict" in listed
    assert "not kept: " in listed
    assert again.run("%fetch gpu-box/1 m").text == "m (dict, 1 item) from gpu-box/1\n"
    assert again.run("print(m)").text == "{'a': 1}\n"


def test_an_agent_that_is_away_is_waited_for(lab: FrontEnd, held: Held, agent: AgentProcess) -> None:
    held.job("m = 41")
    cell = lab.send("print(m)")
    lab.wait(lambda: "Waiting" in cell.text)
    agent.kill()
    lab.wait(lambda: "No contact with gpu-box" in cell.text)
    held.release()
    agent.flags = ("--port", agent.url.rpartition(":")[2].strip("/"))
    agent.start()
    lab.wait(lambda: cell.idle and cell.status)
    assert last_line(cell) == "41"


def test_without_the_magics_names_mean_again_what_they_meant(lab: FrontEnd, held: Held) -> None:
    lab.run("m = 'old'")
    held.job("m = n = 'new'", "--fetch m,n")
    lab.run("%unload_ext mlmagics")
    assert lab.run("print(m)").text == "old\n"
    assert "NameError" in lab.run("n").text


def test_the_job_is_bound_and_one_name_is_not_both(lab: FrontEnd) -> None:
    assert lab.run("%%gpu-box --wait --as job -o m\nm = 41").status == "ok"
    assert lab.run("print(job, job.result('m'))").text == "<Job gpu-box/1: Finished> 41\n"
    refused = lab.run("%%gpu-box --as m --fetch m\nm = 41")
    assert "one name cannot be both" in refused.text


# --- other front ends ------------------------------------------------------------------------------------


@pytest.fixture
def run_headless(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    for name in [name for name in os.environ if name.startswith(("VSCODE_", "MLMAGICS_"))]:
        monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    def run(*cells: str) -> list[str]:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        try:
            NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
        finally:
            run.texts = [  # type: ignore[attr-defined]
                "".join(output.get("text", "") for output in cell.outputs) for cell in notebook.cells
            ]
        return run.texts  # type: ignore[attr-defined]

    return run


def test_headless_a_cell_has_its_values_at_its_end(run_headless: Callable[..., list[str]]) -> None:
    texts = run_headless(
        "%load_ext mlmagics", "%%gpu-box --fetch m\nimport time; time.sleep(2.5)\nm = 41", "print(m)"
    )
    assert texts[1].splitlines()[-1] == "m (int) from gpu-box/1"
    assert texts[2] == "41\n"


def test_headless_a_cell_that_comes_back_at_once_is_waited_for(
    run_headless: Callable[..., list[str]],
) -> None:
    texts = run_headless(
        "%load_ext mlmagics", "%%gpu-box --no-wait -o m\nimport time; time.sleep(1)\nm = 41", "print(m)"
    )
    assert texts[2].splitlines() == [
        f"Waiting for gpu-box/1, which makes m; {STOPPED}",
        "m (int) from gpu-box/1",
        "41",
    ]


def test_headless_a_failed_job_fails_the_run(run_headless: Callable[..., list[str]]) -> None:
    fails = "%%gpu-box --no-wait --fetch m\nraise ValueError('bad')"
    with pytest.raises(CellExecutionError, match="gpu-box/1 failed: ValueError: bad"):
        run_headless("%load_ext mlmagics", fails, "%wait", "print(1)")
    assert run_headless.texts[3] == ""  # type: ignore[attr-defined]


def test_headless_every_way_to_need_a_job_fails_with_it(open_front_end: Callable[..., FrontEnd]) -> None:
    headless = open_front_end(person=False)
    headless.run("%%gpu-box --no-wait --fetch m\nraise ValueError('bad')")
    for source in ("m", "%time m", "%resubmit gpu-box/1", "import mlmagics\nmlmagics.last.result('m')"):
        cell = headless.run(source)
        assert cell.status == "error", source
        assert "failed: ValueError: bad. All of its output: %logs gpu-box/" in last_line(cell)


@pytest.fixture
def terminal(settings: dict[str, str]) -> Iterator[Terminal]:
    made = Terminal(settings)
    try:
        yield made
    finally:
        made.child.close(force=True)


def test_in_a_terminal_too(terminal: Terminal, tmp_path: Path) -> None:
    go = tmp_path / "go"
    shown = terminal.run(terminal.cell("--no-wait --fetch m", HOLD.format(str(go)) + "m = 41"))
    assert "gpu-box/1 makes m: a cell that uses it waits for it" in shown
    terminal.send("m")
    terminal.child.expect_exact("Waiting for gpu-box/1, which makes m")
    terminal.child.kill(signal.SIGINT)
    terminal.child.expect_exact("Error: stopped waiting for gpu-box/1")
    terminal.child.expect(r"In \[\d+\]: ")
    go.touch()
    assert "41" in terminal.run("m")
