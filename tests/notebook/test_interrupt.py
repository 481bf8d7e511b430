"""An interrupt stops the watching at once, in whatever state it is, and the job goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from front_end import FrontEnd, Shown

from cluster_agent.protocol import ACTIVE
from running import AgentProcess

FOREVER = "import time\nprint('begun', flush=True)\nwhile True: time.sleep(0.1)"
FLOOD = "import sys\nwhile True: sys.stdout.write('x' * 90 + '\\n')"
#: Far below every limit that would end the waiting without an interrupt.
SOON_S = 8.0


@contextmanager
def stopped(agent: AgentProcess) -> Iterator[None]:
    """The agent answers nobody, as if the network hung."""
    os.kill(agent.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(agent.pid, signal.SIGCONT)


def interrupted(lab: FrontEnd, cell: Shown) -> list[str]:
    """The last lines of ``cell``, which an interrupt ends."""
    assert cell.status is None
    lab.interrupt()
    lab.wait(lambda: cell.idle and cell.status is not None, within_s=SOON_S)
    assert cell.status == "error"
    return cell.text.splitlines()


STOPPED = (
    "Error: stopped watching gpu-box/{}, which goes on. To come back: %logs gpu-box/{}   "
    "To cancel it: %cancel gpu-box/{}"
)


def goes_on(agent: AgentProcess, job_id: int) -> None:
    assert agent.client().job(job_id).state in ACTIVE


@pytest.mark.parametrize("begin", ["%%gpu-box --wait\n", "%%gpu-box --no-wait\n"])
def test_interrupt_of_a_cell_or_logs_of_a_quiet_job(lab: FrontEnd, agent: AgentProcess, begin: str) -> None:
    cell = lab.send(begin + FOREVER)
    if "--no-wait" in begin:
        lab.wait(lambda: cell.idle)
        cell = lab.send("%logs")
    lab.wait(lambda: "begun" in cell.streams)
    # the end of the line may not have come yet
    assert interrupted(lab, cell)[-1].removeprefix("begun") == STOPPED.format(1, 1, 1)
    goes_on(agent, 1)


def test_interrupt_while_the_job_waits_in_the_queue(lab: FrontEnd, agent: AgentProcess) -> None:
    cpus = agent.client().info().cpus
    lab.run(f"%%gpu-box --no-wait --cpus {cpus}\n{FOREVER}")
    cell = lab.send("%%gpu-box --wait\n1")
    lab.wait(lambda: "Job gpu-box/2: queued, place 1: " in cell.streams)
    assert interrupted(lab, cell)[-1] == STOPPED.format(2, 2, 2)
    goes_on(agent, 2)


def test_interrupt_within_a_flood(lab: FrontEnd, agent: AgentProcess) -> None:
    cell = lab.send(f"%%gpu-box --wait\n{FLOOD}")
    lab.wait(lambda: "more lines, as of " in cell.text)
    assert interrupted(lab, cell)[-1] == STOPPED.format(1, 1, 1)
    goes_on(agent, 1)
    # the kernel is at hand at once, and so is what the job says now
    assert lab.run("6 * 7", within_s=SOON_S).text == "42\n"
    assert len(lab.run("%logs -n 3 --no-follow").text.splitlines()) in (5, 6)


def test_interrupt_while_the_network_hangs(lab: FrontEnd, agent: AgentProcess) -> None:
    lab.run(f"%%gpu-box --no-wait\n{FOREVER}")
    watching = lab.send("%logs gpu-box/1")
    lab.wait(lambda: "begun" in watching.streams)
    with stopped(agent):
        assert interrupted(lab, watching)[-1].removeprefix("begun") == STOPPED.format(1, 1, 1)
        # nothing is known yet, not even whether there is such a job; or the magic has not begun
        asking = lab.send("print('asking', flush=True)\n%logs gpu-box/1")
        lab.wait(lambda: "asking" in asking.streams)
        assert interrupted(lab, asking)[-1] in (
            "Error: interrupted before there was anything to show; no job is affected",
            "KeyboardInterrupt: ",
        )
    goes_on(agent, 1)
    again = lab.send("%logs gpu-box/1")
    lab.wait(lambda: "begun" in again.streams)
    assert interrupted(lab, again)[-1].removeprefix("begun") == STOPPED.format(1, 1, 1)


def test_interrupt_while_what_was_displayed_is_fetched(
    lab: FrontEnd, agent: AgentProcess, tmp_path: Path
) -> None:
    lab.run(
        "%%gpu-box --wait\nfrom IPython.display import HTML, display\nprint('first')\n"
        "for n in range(30): display(HTML(f'<b>{n}</b>' + 'x' * 1_500_000))"
    )
    cell = lab.send("%logs gpu-box/1")
    lab.wait(lambda: len(cell.displays) >= 2)
    with stopped(agent):
        assert interrupted(lab, cell)[-1] == (
            "Error: stopped showing gpu-box/1, which has ended. To see it again: %logs gpu-box/1"
        )
    assert len(cell.displays) < 30


def test_interrupts_leave_no_thread_behind(lab: FrontEnd, open_front_end: Callable[..., FrontEnd]) -> None:
    lab.run(f"%%gpu-box --no-wait\n{FOREVER}")
    for _ in range(5):
        cell = lab.send("%logs gpu-box/1")
        lab.wait(lambda: "begun" in cell.streams)  # noqa: B023 - called at once
        interrupted(lab, cell)
    lab.run(
        "import threading\n"
        "def feeds(): return [t for t in threading.enumerate() if t.name.startswith('mlmagics-feed')]\n"
        # one is the card's
        "while len(feeds()) > 1: feeds()[-1].join(0.1)",
        within_s=SOON_S,
    )


def test_interrupt_before_a_submit_was_answered(lab: FrontEnd, agent: AgentProcess) -> None:
    lab.run("%%gpu-box\n1")
    cell = "%%gpu-box --wait\nprint('ran')"
    with stopped(agent):
        sending = lab.send(cell)
        lab.wait(lambda: [*(agent.home.parent / "config" / "submits").glob("*.json")])
        assert interrupted(lab, sending)[-1] == (
            "Error: interrupted before the cluster had answered: %jobs shows the job if it was accepted. The same "
            "cell, run again, is taken for it and does not run twice"
        )
    again = lab.run(cell)
    assert "Job gpu-box/2: queued" in again.streams
    assert "the same cell was sent at " in again.streams
    assert len(agent.client().jobs().jobs) == 2
