"""Jobs run again, stopped, extended and waited for, by magic."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from front_end import FrontEnd

from running import AgentProcess, until

FOREVER = "import time\nwhile True: time.sleep(0.1)"
STUBBORN = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print('on', flush=True)
while True: time.sleep(0.1)
"""


def test_a_job_runs_again_as_it_was_or_otherwise(lab: FrontEnd) -> None:
    lab.run("import os\nos.environ['MY_KEY'] = 'first'")
    lab.run(
        "%%gpu-box --wait --name train --cpus 1 --timeout 1h --env MY_KEY --fetch key\nimport os\nkey = os.environ['MY_KEY']\nkey"
    )
    again = lab.run("os.environ['MY_KEY'] = 'second'\n%resubmit gpu-box/1 --memory 3G --wait")
    lines = again.text.splitlines()
    assert lines[0] == "Job gpu-box/2: queued"
    assert lines[2:] == [
        "no GPU, 1 CPU, 3 GiB, at most 1 h",
        "Repeats gpu-box/1",
        "'second'",
        "key (str, 6 characters) from gpu-box/2",
    ]
    assert lab.run("print(key)").text == "second\n"
    other = lab.run(
        "%resubmit gpu-box/2 --wait --name other --timeout 2h --priority low --env MY_KEY=third --as job --fetch other"
    )
    assert "at most 2 h" in other.text
    told = lab.run(
        "i = job.info\nprint(job.ref, i.name, i.priority, i.retry_of, i.fetch, i.memory_bytes >> 30)"
    )
    assert told.text == "gpu-box/3 other low 2 ['other'] 3\n"
    assert "'third'" in other.text


def test_a_job_of_another_kernel_runs_again_once_its_variables_are_here(
    lab: FrontEnd, open_front_end: Callable[..., FrontEnd]
) -> None:
    lab.run("import os\nos.environ.update(A_KEY='1', B_KEY='2')")
    lab.run(
        "%%gpu-box --wait --env A_KEY --env B_KEY\nimport os\nprint(os.environ['A_KEY'] + os.environ['B_KEY'])"
    )
    other = open_front_end()
    refused = other.run("%resubmit gpu-box/1")
    assert refused.text == (
        "Error: A_KEY, B_KEY are not set here: gpu-box/1 had them, and values are kept nowhere. Set them first "
        "(os.environ['A_KEY'] = ...)\n"
    )
    assert (
        "12"
        in other.run("import os\nos.environ['A_KEY'] = '1'\n%resubmit gpu-box/1 --wait --env B_KEY=2").text
    )


def test_wrong_lines_of_resubmit_send_nothing(lab: FrontEnd) -> None:
    lab.run("%%gpu-box --wait\n1")
    for line, said in {
        "": "missing: JOB",
        "gpu-box/9": "gpu-box has no job 9 of yours",
        "gpu-box/1 --gpu 2": "did you mean --gpus?",
        "gpu-box/1 --memory 900000G": "of memory: this box has",
        "gpu-box/1 --on bigbox": "no cluster 'bigbox' is attached",
    }.items():
        cell = lab.run(f"%resubmit {line}")
        assert cell.status == "error"
        assert said in cell.text, line
    assert "gpu-box/2" not in lab.run("%jobs").text


def test_cancel_tells_the_stages_and_sees_the_end(lab: FrontEnd) -> None:
    lab.run(f"%%gpu-box --name endless --no-wait\n{FOREVER}")
    lab.run("%%gpu-box --wait\n1")
    cell = lab.run("%cancel gpu-box/1 gpu-box/2")
    first, second, third = cell.text.splitlines()
    assert first == "gpu-box/1 endless: asked to stop: an interrupt now, TERM after 10 s, KILL 10 s later"
    assert second == "gpu-box/2: had ended already: Finished"
    assert re.fullmatch(r"Job gpu-box/1 endless: Cancelled after [\d.]+ m?s", third)


def test_cancel_does_not_stay_for_a_job_that_takes_its_time(lab: FrontEnd, agent: AgentProcess) -> None:
    lab.run(f"%%gpu-box --no-wait --grace 1s\n{STUBBORN}")
    client = agent.client()
    until(lambda: any(event.type == "output" for event in client.events(1)))
    cell = lab.run("%cancel gpu-box/1")
    assert "TERM after 1 s" in cell.text
    until(lambda: client.job(1).state.value == "cancelled")


def test_cancel_of_all_that_is_mine_asks_first(lab: FrontEnd) -> None:
    lab.run(f"%%gpu-box --name one --no-wait\n{FOREVER}")
    lab.run(f"%%gpu-box --no-wait\n{FOREVER}")
    asked = lab.run("%cancel --mine --cluster gpu-box").text.splitlines()
    assert re.fullmatch(r"gpu-box/2: (Queued|Preparing|Running)", asked[0])
    assert asked[1].startswith("gpu-box/1 one: ")
    assert asked[2:] == ["To cancel all of them: %cancel --mine --cluster gpu-box --yes"]
    done = lab.run("%cancel --mine --yes").text
    assert done.count("asked to stop") + done.count("Cancelled") >= 2
    lab.run("import mlmagics\nfor job in mlmagics.jobs().jobs: job.wait_for_end()")
    assert lab.run("%cancel --mine --yes").text == "No job of yours is active\n"


def test_with_one_wrong_name_nothing_is_cancelled(lab: FrontEnd, agent: AgentProcess) -> None:
    lab.run(f"%%gpu-box --no-wait\n{FOREVER}")
    cell = lab.run("%cancel gpu-box/1 gpu-box/7")
    assert cell.text == "Error: gpu-box has no job 7 of yours (nothing was cancelled)\n"
    assert not agent.client().job(1).stopping
    for line in ("", "--mine gpu-box/1", "gpu-box/1 --yes"):
        assert lab.run(f"%cancel {line}").status == "error"
    assert not agent.client().job(1).stopping


def test_more_time_is_given_or_refused_in_one_line(lab: FrontEnd) -> None:
    lab.run(f"%%gpu-box --name long --timeout 1h --no-wait\n{FOREVER}")
    assert lab.run("%extend gpu-box/1 2h").text.startswith("gpu-box/1 long: at most 3 h in all")
    too_much = lab.run("%extend gpu-box/1 999d")
    assert len(too_much.text.splitlines()) == 1
    assert "is the most" in too_much.text
    assert "has no unit" in lab.run("%extend gpu-box/1 2").text
    lab.run("%cancel gpu-box/1")
    lab.run("import mlmagics\nmlmagics.last.wait_for_end()")
    assert lab.run("%extend gpu-box/1 2h").text == (
        "Error: gpu-box/1 has ended (Cancelled), no time can be added. To run it again with more: %resubmit "
        "gpu-box/1 --timeout D\n"
    )


def test_wait_takes_several_jobs_and_a_limit(lab: FrontEnd, tmp_path: Path) -> None:
    go = tmp_path / "go"
    hold = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.02)\n"
    lab.run(f"%%gpu-box --no-wait\n{hold}")
    lab.run(f"%%gpu-box --no-wait\n{hold}1 / 0")
    limited = lab.run("%wait gpu-box/1 gpu-box/2 --timeout 200ms")
    assert limited.text.splitlines()[-1] == (
        "Error: gpu-box/1 has not ended; it goes on. To wait again: %wait gpu-box/1"
    )
    go.touch()
    cell, following = lab.send("%wait gpu-box/1 gpu-box/2"), lab.send("print('not reached')")
    lab.wait(lambda: cell.idle and following.status)
    assert (cell.status, following.status) == ("error", "aborted")
    assert re.search(r"Job gpu-box/1: Finished after [\d.]+ ", cell.text)
    assert cell.text.rstrip().endswith(
        "gpu-box/2 failed: ZeroDivisionError: division by zero. All of its output: %logs gpu-box/2"
    )


def test_with_one_wrong_name_nothing_is_waited_for(lab: FrontEnd) -> None:
    lab.run(f"%%gpu-box --no-wait\n{FOREVER}")
    for line in ("%wait gpu-box/1 gpu-box/8", "%wait nonsense gpu-box/1"):
        assert "(nothing was waited for)" in lab.run(line).text
    lab.run("%cancel gpu-box/1")
