"""The magics as a person in JupyterLab sees them: a real kernel, a real agent, real jobs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from front_end import FrontEnd

from mlmagics.cluster.store import Attachment, AttachmentStore
from running import AgentProcess, until

#: a job that runs until the file named in its cell is there
HOLD = """
import pathlib, time
while not pathlib.Path({path!r}).exists():
    time.sleep(0.02)
"""


def held(path: Path, before: str = "", after: str = "") -> str:
    return before + HOLD.format(path=str(path)) + after


def test_cell_that_ends_soon_looks_like_a_cell(lab: FrontEnd) -> None:
    cell = lab.run("%%gpu-box\nprint('hello')\nimport sys; print('warned', file=sys.stderr)\n6 * 7")
    lines = cell.streams.splitlines()
    assert lines[0] == "Job gpu-box/1: queued"
    assert re.fullmatch(r"History URL: http://127\.0\.0\.1:\d+/history/1", lines[1])
    assert re.fullmatch(
        r"no GPU, \d+ CPUs?, [\d.]+ GiB, at most 4 h \(defaults; --gpus --cpus --memory --timeout\)", lines[2]
    )
    assert lines[3:] == ["hello", "warned"]
    assert cell.displays == [{"text/plain": "42"}]
    assert cell.status == "ok"


def test_cell_resources_line_brackets_what_was_not_given(lab: FrontEnd) -> None:
    cell = lab.run("%%gpu-box --cpus 1 --timeout 30m\n1")
    assert "1 CPU, " in cell.text
    assert "at most 30 min (defaults; --gpus --memory)" in cell.text


def test_cell_rich_displays_come_as_they_are(lab: FrontEnd) -> None:
    cell = lab.run(
        "%%gpu-box --wait 30s\nfrom IPython.display import display, HTML, Javascript\n"
        "handle = display(HTML('<b>0</b>'), display_id=True)\n"
        "handle.update(HTML('<b>1</b>'))\ndisplay(Javascript('alert(1)'))"
    )
    assert cell.displays[0]["text/html"] == "<b>1</b>"
    assert all("application/javascript" not in data for data in cell.displays)


def test_cell_big_display_is_fetched_as_a_blob(lab: FrontEnd) -> None:
    cell = lab.run("%%gpu-box --wait 30s\nfrom IPython.display import HTML\nHTML('<p>' + 'x' * 2_000_000)")
    assert len(cell.displays[-1]["text/html"]) == 2_000_003


def test_cell_that_fails_shows_the_jobs_own_traceback_and_stops_the_queue(lab: FrontEnd) -> None:
    cell = lab.send("%%gpu-box --wait 30s\ndef f(x):\n    return 1 / x\nprint('before')\nf(0)")
    following = lab.send("print('not reached')")
    lab.wait(lambda: cell.idle and following.status is not None)
    assert "before" in cell.streams
    assert (cell.status, following.status) == ("error", "aborted")
    assert cell.text.count("ZeroDivisionError: division by zero") == 2
    assert "line 2" in cell.text
    assert cell.text.rstrip().splitlines()[-1] == (
        "Error: gpu-box/1 failed: ZeroDivisionError: division by zero. All of its output: %logs gpu-box/1"
    )
    assert "mlmagics/" not in cell.text


def test_cell_ended_by_exit_code_or_signal_says_so(lab: FrontEnd) -> None:
    assert "failed: exit code 3." in lab.run("%%gpu-box --wait 30s\nimport sys; sys.exit(3)").text
    assert (
        "SIGKILL"
        in lab.run("%%gpu-box --wait 30s\nimport os, signal; os.kill(os.getpid(), signal.SIGKILL)").text
    )


def test_wait_shows_the_output_live_and_raises(lab: FrontEnd, tmp_path: Path) -> None:
    go = tmp_path / "go"
    cell = lab.send(f"%%gpu-box --wait\n{held(go, 'print(55)', 'raise ValueError(2)')}")
    lab.wait(lambda: cell.streams.endswith("55\n"))
    assert cell.status is None
    go.touch()
    lab.wait(lambda: cell.idle)
    assert cell.status == "error"
    assert "ValueError: 2" in cell.text
    assert not cell.displays


def test_interrupt_stops_the_watching_not_the_job(lab: FrontEnd, tmp_path: Path, agent: AgentProcess) -> None:
    go = tmp_path / "go"
    cell = lab.send(f"%%gpu-box --wait\n{held(go, 'print(55)')}")
    following = lab.send("print('not reached')")
    lab.wait(lambda: cell.streams.endswith("55\n"))
    lab.interrupt()
    lab.wait(lambda: cell.idle and following.status is not None)
    assert (cell.status, following.status) == ("error", "aborted")
    assert cell.text.rstrip().splitlines()[-1] == (
        "Error: stopped watching gpu-box/1, which goes on. To come back: %logs gpu-box/1   "
        "To cancel it: %cancel gpu-box/1"
    )
    assert agent.client().job(1).ended_at is None
    logs = lab.send("%logs")
    lab.wait(lambda: logs.streams.endswith("55\n"))
    lab.interrupt()
    lab.wait(lambda: logs.idle)
    assert "stopped watching gpu-box/1" in logs.text
    go.touch()
    waited = lab.run("%wait")
    assert waited.status == "ok"
    assert re.search(r"Job gpu-box/1: Finished after ", waited.text)


def test_logs_follow_to_the_end_and_never_raise(lab: FrontEnd, tmp_path: Path) -> None:
    go = tmp_path / "go"
    lab.run(f"%%gpu-box --no-wait --name train\n{held(go, 'print(1)', 'print(2); 1/0')}")
    until((tmp_path / "agent-0/jobs/1/work").exists)
    logs = lab.send("%logs")
    lab.wait(lambda: logs.streams.endswith("1\n"))
    go.touch()
    lab.wait(lambda: logs.idle and logs.status)
    assert logs.status == "ok"
    lines = logs.text.splitlines()
    assert lines[0] in ("Job Status: Running", "Job Status: Preparing")
    assert re.fullmatch(r"gpu-box/1 train, submitted \d\d:\d\d:\d\d", lines[1])
    assert lines[2:4] == ["1", "2"]
    assert "ZeroDivisionError: division by zero" in lines
    assert re.fullmatch(r"Job gpu-box/1 train: Failed after .+", lines[-2])
    assert lines[-1] == "gpu-box/1 failed: ZeroDivisionError: division by zero"


def test_logs_of_an_ended_job_by_name_url_and_tail(
    lab: FrontEnd, agent: AgentProcess, tmp_path: Path
) -> None:
    lab.run("%%gpu-box\nfor n in range(50): print(n)")
    assert lab.run("%logs gpu-box/1").text.splitlines() == ["Job Status: Finished", *map(str, range(50))]
    assert lab.run(f"%logs --url {agent.url}/history/1").text.splitlines()[2] == "0"
    assert lab.run("%logs 1 -n 2").text.splitlines() == ["Job Status: Finished", "48", "49"]
    assert lab.run("%logs 1 -f --no-follow").text.splitlines()[-1] == "49"
    saved = tmp_path / "out.log"
    assert "written to" in lab.run(f"%logs 1 --save {saved}").text
    assert saved.read_text().splitlines() == [str(n) for n in range(50)]


def test_logs_from_a_new_kernel_finds_this_notebooks_job(
    lab: FrontEnd, open_front_end: Callable[..., FrontEnd]
) -> None:
    lab.run("%%gpu-box --name mine\nprint('kept')")
    lab.kill()
    other = open_front_end(JPY_SESSION_NAME="other.ipynb")
    other.run("%%gpu-box\nprint('not this one')")
    again = open_front_end()
    assert again.run("%logs").text.splitlines()[-1] == "kept"


def test_long_output_is_shown_by_its_ends(lab: FrontEnd) -> None:
    cell = lab.run("%%gpu-box --wait\nfor n in range(30_000): print('line', n)")
    lines = cell.text.splitlines()
    gap = next(line for line in lines if "left out" in line)
    assert gap == "... 25,000 lines left out; all of it: %logs gpu-box/1 --save FILE"
    assert lines[-1] == "line 29999"
    assert "line 0" in lines


def test_progress_bar_is_one_line(lab: FrontEnd) -> None:
    cell = lab.run(
        "%%gpu-box --wait\nimport time\nfor n in range(20): print(f'\\r{n}', end=''); time.sleep(0.02)\nprint()"
    )
    assert cell.streams.split("\n")[3].split("\r")[-1] == "19"
    assert cell.streams.count("\r") < 20


def test_clear_output_keeps_the_first_lines(lab: FrontEnd) -> None:
    cell = lab.run(
        "%%gpu-box --wait\nfrom IPython.display import clear_output\n"
        "import time\nfor n in range(4):\n    clear_output(wait=True)\n    print('at', n, flush=True)\n    time.sleep(0.2)"
    )
    assert cell.text.splitlines()[0] == "Job gpu-box/1: queued"
    assert cell.text.splitlines()[3:] == ["at 3"]


def test_jobs_cancel_and_wait(lab: FrontEnd, tmp_path: Path) -> None:
    lab.run(f"%%gpu-box --no-wait --name long\n{held(tmp_path / 'never')}")
    assert re.search(r"gpu-box/1\s+long\s+(Running|Preparing)", lab.run("%jobs").text)
    assert "gpu-box/1" not in lab.run("%jobs --state done").text
    assert lab.run("%cancel gpu-box/1").text.startswith("gpu-box/1 long: asked to stop")
    waited = lab.run("%wait gpu-box/1")
    assert waited.status == "error"
    assert "gpu-box/1 cancelled" in waited.text
    assert lab.run("%cancel 1").text == "gpu-box/1 long: had ended already: Cancelled\n"


def test_wait_with_a_timeout_leaves_the_job_alone(lab: FrontEnd, tmp_path: Path) -> None:
    lab.run(f"%%gpu-box --no-wait\n{held(tmp_path / 'never')}")
    waited = lab.run("%wait --timeout 200ms")
    assert waited.status == "error"
    assert "gpu-box/1 has not ended; it goes on" in waited.text


def test_as_binds_the_job_and_env_reaches_it(lab: FrontEnd) -> None:
    cell = lab.run("%%gpu-box --as job --env A={x}$HOME\nimport os; print(os.environ['A'])")
    assert "{x}$HOME" in cell.text
    assert lab.run("print(job.ref, job.state.value)").text == "gpu-box/1 succeeded\n"


def test_wrong_cells_cost_one_line_and_no_job(lab: FrontEnd, agent: AgentProcess) -> None:
    for cell, says in {
        "%%gpu-box --gpu 2\n1": "Error: %%gpu-box: unknown option --gpu: did you mean --gpus?",
        "%%gpu-box --timeout 4\n1": "'4' has no unit: write 4s, 4m or 4h",
        "%%gpu-box --gpus 9\n1": "9 GPUs: this box has no GPU (ask for less with --gpus, or see %attachments",
        "%%gpu-box\nx = 1 +": "Error: syntax error in line 1 of the cell, nothing was sent",
        "%%on nobox\n1": "Error: no cluster 'nobox' is attached",
        "%%on --name x\n1": "say on which cluster",
        "# comment\n%%gpu-box\n1": "Error: %%gpu-box must be the first line of its cell",
        "%%gpu-box\n ": "Error: the cell is empty",
        "%logs nonsense": "is not a job: write for example gpu-box/42",
        "%logs gpu-box/99": "Error: gpu-box has no job 99 of yours",
        "%logs --url https://example.org/history/1": "example.org is not attached",
        "%attachments add python https://localhost:1": "python is an IPython magic: choose another name",
    }.items():
        shown = lab.run(cell)
        assert shown.status == "error", cell
        assert says in shown.text, cell
        assert "Traceback" not in shown.text
    assert agent.client().jobs().jobs == []


def test_help_is_shown_for_every_magic(lab: FrontEnd) -> None:
    assert "usage: %%gpu-box [options]" in lab.run("%gpu-box help").text
    assert "usage: %%gpu-box [options]" in lab.run("%%gpu-box --help\n1").text
    for magic in ("logs", "wait", "jobs", "cancel", "fetch", "attachments add"):
        shown = lab.run(f"%{magic} --help")
        assert f"%{magic}" in shown.text
        assert shown.status == "ok"


def test_attachments_are_listed_added_and_removed(
    open_front_end: Callable[..., FrontEnd], agent: AgentProcess
) -> None:
    lab = open_front_end()
    table = lab.run("%attachments")
    assert re.search(rf"gpu-box\s+Ready\s+0/0\s+0/0\s+\d+ ms\s+{re.escape(agent.url)}", table.text)
    added = lab.run(f"%attachments add second {agent.url} --token-file {agent.home / 'token'}")
    assert "A cell that begins with %%second runs there." in added.text
    assert lab.run("%%second\nprint(5)").text.splitlines()[3] == "5"
    assert lab.run("%second").status == "ok"
    assert "second is no longer attached" in lab.run("%attachments remove second").text
    assert "not found" in lab.run("%%second\n1").text
    assert lab.run("%attachments check gpu-box").status == "ok"


def test_attachment_made_elsewhere_is_a_magic_in_the_next_cell(
    lab: FrontEnd, settings: dict[str, str], agent: AgentProcess
) -> None:
    store = AttachmentStore(Path(settings["MLMAGICS_CONFIG_DIR"]))
    token_file = str(agent.home / "token")
    store.put(Attachment(name="lab.gpu-1", url=agent.url, credential="file", credential_from=token_file))
    assert lab.run("%%lab.gpu-1\nprint(5)").text.splitlines()[3] == "5"


def test_existing_magics_are_never_replaced(open_front_end: Callable[..., FrontEnd]) -> None:
    lab = open_front_end(load=False)
    lab.run(
        "from IPython.core.magic import register_line_magic, register_cell_magic\n"
        "@register_cell_magic('gpu-box')\ndef other(line, cell): print('theirs')\n"
        "@register_line_magic('logs')\ndef logs(line): print('their logs')"
    )
    loaded = lab.run("%load_ext mlmagics")
    assert "gpu-box is the name of another magic: use %%on gpu-box" in loaded.text
    assert lab.run("%%gpu-box\n1").text == "theirs\n"
    assert lab.run("%logs").text == "their logs\n"
    assert lab.run("%%on gpu-box\nprint(5)").text.splitlines()[3] == "5"
    lab.run("%unload_ext mlmagics")
    assert lab.run("%%gpu-box\n1").text == "theirs\n"


def test_magic_that_was_taken_over_later_is_told_once(lab: FrontEnd) -> None:
    lab.run(
        "from IPython.core.magic import register_cell_magic\n"
        "@register_cell_magic('gpu-box')\ndef other(line, cell): print('theirs')"
    )
    assert "Another extension has taken the magic %%gpu-box: use %%on gpu-box" in lab.run("1").text
    assert "Another extension" not in lab.run("1").text


def test_unload_leaves_nothing_behind(lab: FrontEnd) -> None:
    lab.run("%unload_ext mlmagics")
    names = lab.run(
        "m = get_ipython().magics_manager.magics\n"
        "ours = {'gpu-box', '%gpu-box', 'local', '%local', 'on', '%on', 'logs', 'jobs', 'wait', 'cancel', 'fetch'}\n"
        "print(sorted(ours & ({*m['line']} | {*m['cell']})), get_ipython().Completer.custom_matchers)"
    )
    assert names.text == "[] []\n"
    assert lab.run("%load_ext mlmagics\n%gpu-box help").status == "ok"


def test_local_starts_an_agent_of_ones_own(lab: FrontEnd) -> None:
    cell = lab.run("%%local\nimport sys; print(sys.executable)")
    assert cell.text.splitlines()[0] == "Job local/1: queued"
    assert cell.text.splitlines()[3] == lab.run("import sys; print(sys.executable)").text.strip()
    assert re.search(r"local\s+Ready", lab.run("%attachments").text)
