"""The command ``mlmagics``, as a process."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hosted import MLMAGICS, run_hosted


class Command:
    """Runs ``mlmagics`` as the person of ``settings``."""

    def __init__(self, settings, folder):
        self.env = {**os.environ, **settings, "BROWSER": "true", "PYTHONUNBUFFERED": "1"}
        self.env.pop("NO_COLOR", None)
        self.folder = folder

    def start(self, *words, **how):
        return subprocess.Popen(
            [sys.executable, "-m", "mlmagics", *words],
            env=self.env,
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **how,
        )

    def __call__(self, *words, given=b"", status=0):
        done = run_hosted(MLMAGICS, [*words], self.env, cwd=self.folder, given=given)
        assert done.returncode == status, (done.stdout, done.stderr)
        assert b"Traceback" not in done.stderr or b"ValueError" in done.stderr, done.stderr
        return done.stdout, done.stderr.decode()


@pytest.fixture
def mlmagics(settings, tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    return Command(settings, folder)


def write(mlmagics, source, name="cell.py"):
    (mlmagics.folder / name).write_text(source)
    return name


def test_a_file_runs_with_its_output_where_it_wrote_it(mlmagics, agent):
    file = write(
        mlmagics, "import sys, os\nos.write(1, b'a\\xff\\n')\nprint('oh', file=sys.stderr)\n40 + 2\n"
    )
    out, err = mlmagics("run", file, "--on", "gpu-box", "--timeout", "1h")
    assert out == b"a\xff\n42\n"
    lines = err.splitlines()
    assert lines[:2] == ["Job gpu-box/1: queued", f"History URL: {agent.url}/history/1"]
    assert "at most 1 h (defaults; --gpus --cpus --memory)" in lines[2]
    assert lines[3:] == ["oh"]
    assert agent.client().job(1).name == "cell.py"


def test_what_was_run_is_shown_once_more(mlmagics):
    file = write(mlmagics, "print('trained')")
    mlmagics("run", file, "--once")
    out, err = mlmagics("run", file, "--once")
    assert out == b"trained\n"
    lines = err.splitlines()
    assert lines[0] == "Job gpu-box/1: finished"
    assert lines[2] == "no GPU, 1 CPU, 2 GiB, at most 4 h"
    assert lines[3].startswith("Note: nothing was run: gpu-box/1, finished at ")
    assert "Job gpu-box/2: queued" in mlmagics("run", file)[1]


def test_standard_input_runs_as_a_cell(mlmagics):
    out, _ = mlmagics("run", "-", given=b"!echo from a shell\n")
    assert out.split() == [b"from", b"a", b"shell"]


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("raise SystemExit(3)", "gpu-box/1 failed: exit code 3."),
        ("raise ValueError('bad')", "gpu-box/1 failed: ValueError: bad."),
    ],
)
def test_a_job_that_fails_is_status_1_and_one_line(mlmagics, source, line):
    _, err = mlmagics("run", "-", given=source.encode(), status=1)
    assert err.splitlines()[-1] == f"mlmagics: {line} All of its output: mlmagics logs gpu-box/1"
    for options in ([], ["-n", "1"], ["--no-follow"]):
        _, err = mlmagics("logs", "gpu-box/1", *options)
        assert err.splitlines()[-1] == line.removesuffix(".")
    assert "\x1b" not in err


def test_a_traceback_is_coloured_in_a_terminal_unless_its_owner_wants_none(mlmagics):
    write(mlmagics, "raise ValueError('bad')")
    assert b"\x1b[" in in_terminal(mlmagics, "run", "cell.py")
    mlmagics.env["NO_COLOR"] = "1"
    plain = in_terminal(mlmagics, "run", "cell.py")
    assert b"ValueError" in plain
    assert b"\x1b[" not in plain


def in_terminal(mlmagics, *words):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mlmagics", *words],
        env=mlmagics.env,
        cwd=mlmagics.folder,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 65536):
            shown += data
    except OSError:
        pass  # how a terminal tells its end on Linux
    finally:
        process.wait(60)
        os.close(ours)
    return shown


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["rnu"], "'rnu' is not a command: did you mean run?"),
        (["run"], "mlmagics run: missing: FILE"),
        (["run", "nothing.py"], "nothing.py cannot be read: No such file or directory"),
        (["run", "cell.py", "--on", "gpubox"], "no cluster 'gpubox' is attached: did you mean gpu-box?"),
        (["run", "cell.py", "--timeout", "3"], "has no unit"),
        (["run", "cell.py", "--tiemout", "3h"], "unknown option --tiemout: did you mean --timeout?"),
        (["run", "cell.py", "--epochs", "3"], "unknown option --epochs: what FILE shall know goes by --env"),
        (["config", "--gpus", "2"], "say first for which cluster: mlmagics config NAME --gpus"),
        (["config", "gpubox", "--gpus", "2"], "no cluster 'gpubox' is attached: did you mean gpu-box?"),
        (["config", "gpu-box", "--gpu", "2"], "unknown option --gpu: did you mean --gpus?"),
        (["config", "gpu-box", "--reset", "gpu"], "'gpu' is not an option: did you mean gpus?"),
        (["enable", "--profile", "a/b"], "--profile: 'a/b' is not the name of a profile"),
        (["run", "cell.py", "--env", "MY_TOKEN=abc"], "this looks like a secret, and others on this machine"),
        (["run", "bad.py"], "syntax error in line 1 of bad.py, nothing was sent: '(' was never closed"),
        (["run", "empty.py"], "empty.py is empty"),
        (["logs", "7"], "no attached cluster has a job 7 of yours"),
        (["logs", "nonsense"], "'nonsense' is not a job: write for example gpu-box/42"),
        (
            ["logs", "--url", "http://evil.example/history/1"],
            "mlmagics attachments alias NAME http://evil.example",
        ),
        (["cancel"], "mlmagics cancel: missing: JOB"),
        (["attachments", "add", "time", "http://127.0.0.1:9"], "time is an IPython magic"),
        (["attachments", "add", "python", "http://127.0.0.1:9"], "python is an IPython magic"),
        (["attachments", "add", "box", "http://10.0.0.1:9"], "is not encrypted"),
        (["attachments", "ad"], "'ad' is none of add, alias, check, list, remove: did you mean add?"),
        (["local", "sotp"], "mlmagics local:"),
        (["jobs", "--state", "gone"], "'gone' is not a state"),
    ],
)
def test_wrong_use_is_status_2_and_one_line(mlmagics, agent, words, line):
    write(mlmagics, "print(1)")
    write(mlmagics, "x = (1,", "bad.py")
    write(mlmagics, "\n", "empty.py")
    out, err = mlmagics(*words, status=2)
    assert out == b""
    first = err.splitlines()[0]
    assert first.startswith("mlmagics: ")
    assert line in first
    assert agent.client().jobs().jobs == []


def test_a_dead_agent_is_status_1_and_one_line(mlmagics, agent):
    agent.stop()
    _, err = mlmagics("run", "-", given=b"print(1)", status=1)
    assert re.fullmatch(r"mlmagics: gpu-box: http://127.0.0.1:\d+: connection refused[^\n]*\n", err)


def test_an_interrupt_stops_the_watching_only(mlmagics, agent):
    process = mlmagics.start("run", "-", start_new_session=True)
    process.stdin.write(b"import time\nprint('on', flush=True)\nwhile True: time.sleep(0.1)\n")
    process.stdin.close()
    try:
        assert process.stdout.readline() == b"on\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        last = process.stderr.read().decode().splitlines()[-1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    assert last.startswith("stopped watching gpu-box/1, which goes on")
    assert "mlmagics logs gpu-box/1" in last
    assert agent.client().job(1).state.value == "running"
    out, _ = mlmagics("extend", "gpu-box/1", "2h")
    assert out == b"gpu-box/1: at most 6 h in all\n"
    out, _ = mlmagics("cancel", "gpu-box/1")
    assert out.decode().startswith("gpu-box/1: ")
    _, err = mlmagics("wait", "gpu-box/1", status=1)
    assert "gpu-box/1 cancelled: " in err.splitlines()[-1]


def test_a_job_of_no_wait_is_looked_at_later(mlmagics, agent):
    out, _ = mlmagics(
        "run", "-", "--no-wait", given=b"for i in range(5): print(i)\nx = open('a.txt', 'w').write('a')"
    )
    assert out == b"gpu-box/1\n"
    mlmagics("wait")
    out, err = mlmagics("logs", "gpu-box/1")
    assert out.split() == [b"0", b"1", b"2", b"3", b"4"]
    assert err.splitlines()[0] == "Job Status: Finished"
    assert "gpu-box/1, submitted" in err.splitlines()[1]
    out, _ = mlmagics("logs", "-n", "1")
    assert out.split() == [b"4"]
    out, _ = mlmagics("logs", "--no-follow", "--url", f"{agent.url}/history/1")
    assert out.split()[:2] == [b"0", b"1"]
    mlmagics("logs", "gpu-box/1", "--save", "log.txt")
    assert (mlmagics.folder / "log.txt").read_text().split()[:2] == ["0", "1"]
    out, _ = mlmagics("jobs")
    assert b"gpu-box/1" in out
    assert b"Finished" in out
    out, _ = mlmagics("fetch", "gpu-box/1")
    assert b"a.txt" in out
    mlmagics("fetch", "gpu-box/1", "--files", "got")
    assert (mlmagics.folder / "got" / "a.txt").read_text() == "a"
    mlmagics("fetch", "gpu-box/1", "--files")
    assert (mlmagics.folder / "a.txt").read_text() == "a"
    out, _ = mlmagics("fetch", "gpu-box/1", "a.txt")
    assert b"already here" in out
    (mlmagics.folder / "a.txt").write_text("mine")
    mlmagics("fetch", "gpu-box/1", "a.txt", status=2)
    mlmagics("fetch", "gpu-box/1", "a.txt", "--overwrite")
    assert (mlmagics.folder / "a.txt").read_text() == "a"
    out, _ = mlmagics("open", "gpu-box/1")
    assert out == b""


def test_results_are_printed_or_saved(mlmagics):
    numpy = pytest.importorskip("numpy")
    (mlmagics.folder / "train.py").write_text(
        "import numpy\nrmse = 0.25\npair = (1, 2)\ncurve = numpy.arange(3)\n"
    )
    mlmagics("run", "train.py")
    out, _ = mlmagics("fetch", "gpu-box/1", "rmse", "pair")
    assert out.splitlines() == [b"0.25", b'{"$":"tuple","v":[1,2]}']
    out, _ = mlmagics("fetch", "gpu-box/1", "curve")
    assert b"curve.npy" in out
    assert numpy.load(mlmagics.folder / "curve.npy").tolist() == [0, 1, 2]
    mlmagics("fetch", "gpu-box/1", "nothing", status=2)


def test_where_no_browser_starts_the_address_is_told(mlmagics, agent):
    mlmagics("run", "-", given=b"print(1)")
    mlmagics.env["BROWSER"] = "false"
    out, err = mlmagics("open")
    assert out.decode().startswith(f"{agent.url}/history/1#code=")
    assert "within 60 s" in err


def test_a_reader_that_leaves_is_no_fault(mlmagics):
    mlmagics("run", "-", given=b"for i in range(100000): print('line', i)")
    process = mlmagics.start("logs")
    try:
        process.stdout.readline()
        process.stdout.close()
        process.wait(60)
        assert b"Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stderr.close()


def test_clusters_are_added_checked_and_removed(mlmagics, agent):
    token = str(agent.home / "token")
    out, _ = mlmagics("attachments", "add", "other", agent.url, "--token-file", token)
    assert out.decode().splitlines()[1].split()[:2] == ["other", "Ready"]
    out, _ = mlmagics("attachments", "check", "other")
    assert out.count(b"ok ") >= 5
    mlmagics("attachments", "alias", "other", agent.url.replace("127.0.0.1", "localhost"))
    out, _ = mlmagics("attachments")
    assert out.decode().splitlines()[1].split()[:2] == ["gpu-box", "Ready"]
    mlmagics("attachments", "remove", "other")
    mlmagics("attachments", "check", "other", status=2)
    agent.stop()
    out, _ = mlmagics("attachments", "check", "gpu-box", status=1)
    assert out.decode().splitlines()[-1].startswith("FAILED  address")


def test_the_agent_of_ones_own_is_looked_after(mlmagics):
    out, _ = mlmagics("local", "status")
    assert b"it does not run" in out
    out, _ = mlmagics("run", "-", "--on", "local", given=b"print('hi')")
    assert out == b"hi\n"
    out, _ = mlmagics("local", "status")
    assert b"running for" in out
    out, _ = mlmagics("local", "stop")
    assert b"stopped; running jobs go on" in out
    out, _ = mlmagics("local", "stop")
    assert out == b"it does not run\n"


def ipython(mlmagics, code, *flags):
    """What IPython prints for ``code`` in a new shell."""
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--simple-prompt", *flags, "-c", code],
        env=mlmagics.env, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_enabled_kernels_load_the_magics_until_disabled(mlmagics):
    def kernel(*flags):
        code = "print('local' in get_ipython().magics_manager.magics['cell'], '_load_mlmagics' in globals())"
        return ipython(mlmagics, code, *flags).splitlines()[-1]

    assert kernel() == "False False"
    out, _ = mlmagics("enable")
    assert "profile_default/startup/50-mlmagics.py: written." in out.decode()
    out, _ = mlmagics("enable")
    assert "50-mlmagics.py: is there already." in out.decode()
    assert kernel() == "True False"
    mlmagics("disable")
    assert kernel() == "False False"
    out, _ = mlmagics("disable")
    assert out.decode().startswith("It was not enabled: there is no ")
    mlmagics("enable", "--profile", "lab")
    assert kernel() == "False False"
    assert kernel("--profile", "lab") == "True False"


def test_a_broken_installation_does_not_keep_a_kernel_from_starting(mlmagics, tmp_path):
    mlmagics("enable")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "mlmagics.py").write_text("raise ImportError('half of it is missing')")
    mlmagics.env["PYTHONPATH"] = str(broken)
    shown = ipython(mlmagics, "print('alive')")
    assert "mlmagics was not loaded (ImportError: half of it is missing)" in shown
    assert shown.splitlines()[-1] == "alive"


def test_a_startup_file_of_somebody_else_is_left_alone(mlmagics, settings):
    path = Path(settings["IPYTHONDIR"]) / "profile_default/startup/50-mlmagics.py"
    path.parent.mkdir(parents=True)
    path.write_text("x = 1\n")
    for command in ("enable", "disable"):
        _, err = mlmagics(command, status=1)
        assert err == f"mlmagics: {path} was not written by mlmagics enable: move it away\n"
    assert path.read_text() == "x = 1\n"


def test_what_a_person_has_configured_holds_for_a_run(mlmagics, agent):
    out, _ = mlmagics("config")
    assert out.startswith(b"usage: mlmagics config NAME")
    out, _ = mlmagics("config", "gpu-box", "--timeout", "8h", "--cpus", "1", "--env", "LEVEL=3")
    rows = [line.split() for line in out.decode().splitlines()]
    assert ["--timeout", "8h", "mlmagics", "config"] in rows
    out, err = mlmagics(
        "run", "-", "--timeout", "30m", given=b"import os; print(os.environ['LEVEL'], flush=True)"
    )
    assert out == b"3\n"
    assert "at most 30 min (config: --cpus --env; defaults: --gpus --memory)" in err.splitlines()[2]
    mlmagics("config", "gpu-box", "--reset", "env")
    out, _ = mlmagics("config")
    assert out == b"gpu-box  --timeout=8h --cpus=1\n"
    mlmagics("config", "gpu-box", "--reset")
    out, _ = mlmagics("config", "gpu-box")
    assert b"mlmagics config" not in out


def test_tables_for_programs(mlmagics, agent):
    out, _ = mlmagics("jobs", "--json")
    assert json.loads(out) == {"jobs": [], "missing": []}
    _, err = mlmagics("jobs")
    assert err == "No jobs of yours. A cell that begins with %%gpu-box becomes one.\n"
    mlmagics("run", "-", "--name", "tour", given=b"open('a.txt', 'w').write('abc')")
    out, _ = mlmagics("jobs", "--json", "-n", "1")
    (job,) = json.loads(out)["jobs"]
    assert (job["ref"], job["name"], job["state"]) == ("gpu-box/1", "tour", "succeeded")
    for words in (["attachments", "--json"], ["attachments", "list", "--json"]):
        out, _ = mlmagics(*words)
        (row,) = json.loads(out)["attachments"]
        assert (row["name"], row["state"], row["address"]) == ("gpu-box", "Ready", agent.url)


def test_a_job_is_run_again_with_other_options(mlmagics, agent):
    mlmagics("run", "-", "--cpus", "1", "--name", "tour", given=b"print('once more')")
    out, err = mlmagics("resubmit", "gpu-box/1", "--timeout", "30m")
    assert out == b"once more\n"
    assert err.splitlines()[:2] == ["The cell of gpu-box/1 again", "Job gpu-box/2: queued"]
    assert "1 CPU, " in err
    assert "at most 30 min\n" in err
    assert (agent.client().job(2).retry_of, agent.client().job(2).name) == (1, "tour")


def test_left_files_are_told_with_the_command_that_gets_them(mlmagics):
    _, err = mlmagics("run", "-", given=b"x = open('a.txt', 'w').write('abc')")
    assert err.splitlines()[-1] == "1 file, 3 B: mlmagics fetch gpu-box/1 --files"
    _, err = mlmagics("logs", "gpu-box/1")
    assert err.splitlines()[-1] == "1 file, 3 B: mlmagics fetch gpu-box/1 --files"
    _, err = mlmagics("logs", "gpu-box/1", "--no-follow")
    assert err.splitlines()[-1] == "1 file, 3 B: mlmagics fetch gpu-box/1 --files"


def test_help_and_version_need_no_cluster(mlmagics):
    out, _ = mlmagics("--help")
    assert out.startswith(b"usage: mlmagics COMMAND")
    commands = re.findall(r"^  (\w+) ", out.decode().split("Examples:")[0], re.MULTILINE)
    assert {"run", "config", "enable"} <= set(commands)
    for command in commands:
        text, _ = mlmagics(command, "--help")
        assert text.startswith(f"usage: mlmagics {command}".encode())
        lines = text.decode().splitlines()
        assert len(lines) <= 32
        assert max(map(len, lines)) <= 80
    out, _ = mlmagics("--version")
    assert re.fullmatch(rb"mlmagics \d+\.\d+\.\d+\n", out)


@pytest.mark.parametrize(
    ("where", "status", "told"), [(">&-", 0, b""), (">/dev/full", 1, b"mlmagics: No space left")]
)
def test_output_that_cannot_be_written_is_told_in_one_line(mlmagics, where, status, told):
    command = f'exec "{sys.executable}" -m mlmagics --help {where}'
    found = subprocess.run(["sh", "-c", command], env=mlmagics.env, capture_output=True, check=False)
    assert (found.returncode, found.stderr.splitlines()[1:], found.stderr[:23]) == (status, [], told)
