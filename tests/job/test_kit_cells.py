"""What a cell of plain Python shows, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit_harness import Record, build_kit, run_cell

Cell = Callable[..., Record]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("x = 2\nx + 1", "3"),
        ("'text'", "'text'"),
        ("1\n2", "2"),
        ("1; 2", "2"),
        ("{'a': [1, (2.5, None)]}", "{'a': [1, (2.5, None)]}"),
        ("(1 +\n 2\n)", "3"),
        ('x = """\n1\n"""\nx', "'\\n1\\n'"),
        ("# first\n\n7  # last\n# end", "7"),
        ("import asyncio\nasync def f():\n    return 5\nawait f()", "5"),
        ("import asyncio\nx = await asyncio.sleep(0, 4)\nx", "4"),
        ("from __future__ import annotations\ndef f(a: nothing): ...\nf(1) or 8", "8"),
    ],
)
def test_the_last_expression_is_shown(cell: Cell, source: str, shown: str) -> None:
    record = cell(source)
    (frame,) = record.frames("display")
    assert frame["data"] == {"text/plain": shown}
    assert frame["result"] is True
    assert record.exit_code == 0


@pytest.mark.parametrize(
    "source",
    [
        "",
        "   \n",
        "None",
        "x = 1",
        "1;",
        "1 ;  # why",
        "(1);",
        "if True:\n    1",
        "print()",
        "# only a comment",
        "pass",
    ],
)
def test_nothing_is_shown_without_a_value_or_with_a_semicolon(cell: Cell, source: str) -> None:
    record = cell(source)
    assert record.frames("display") == []
    assert record.exit_code == 0


@pytest.mark.parametrize(
    ("source", "code", "stderr"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit()", 0, ""),
        ("raise SystemExit('no data')", 1, "no data\n"),
        ("exit(4)", 4, ""),
        ("import os; os._exit(7)", 7, ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15, ""),
    ],
)
def test_a_cell_that_ends_itself_gives_its_code_and_no_error(
    cell: Cell, source: str, code: int, stderr: str
) -> None:
    record = cell(source)
    assert record.exit_code == code
    assert record.stderr == stderr
    assert record.frames("error") == []


def test_a_crash_leaves_pythons_own_trace(cell: Cell) -> None:
    record = cell("print('before', end='')\nimport ctypes\nctypes.string_at(0)")
    assert record.exit_code == -11
    assert record.stdout == "before"
    assert "Segmentation fault" in record.stderr
    assert "<cell gpu-box/42>" in record.stderr


def test_the_cell_runs_as_main_in_its_folder_with_nothing_of_the_kit_in_sight(
    cell: Cell, tmp_path: Path
) -> None:
    (tmp_path / "neighbour.py").write_text("name = 'found'\n")
    record = cell(
        """
import os, sys, __main__, pickle, neighbour
class A: ...
assert __name__ == "__main__" and __main__.A is A and "__file__" not in globals()
assert sys.path[0] == "" and sys.argv == [""]
assert "MLMAGICS_CONTROL_FD" not in os.environ
assert type(pickle.loads(pickle.dumps(A()))) is A
assert not sys.stdout.isatty() and sys.stdout.fileno() == 1 and sys.stdout.encoding == "utf-8"
names = sorted(name for name in globals() if not name.startswith("__"))
print(neighbour.name, names, sys.stdin.read() == "")
"""
    )
    assert record.exit_code == 0, record.traceback
    assert record.stdout == "found ['A', 'neighbour', 'os', 'pickle', 'sys'] True\n"


def test_started_programs_have_the_streams_but_not_the_control_channel(cell: Cell) -> None:
    record = cell("import subprocess\nsubprocess.run(['sh', '-c', 'ls /proc/self/fd; echo error >&2']);")
    assert record.stdout.split() == ["0", "1", "2", "3"]  # 3 is the folder that ls reads
    assert record.stderr == "error\n"


def test_warnings_appear_once_with_their_line(cell: Cell) -> None:
    record = cell("import warnings\nfor i in range(3):\n    warnings.warn('old', DeprecationWarning)")
    assert (
        record.stderr
        == "<cell gpu-box/42>:3: DeprecationWarning: old\n  warnings.warn('old', DeprecationWarning)\n"
    )


def test_a_syntax_warning_appears_once(cell: Cell) -> None:
    record = cell("x = 1\nx is 'a'\nif x:\n    pass")
    assert record.stderr.count("SyntaxWarning") == 1


def test_inspect_finds_the_source_of_a_function(cell: Cell) -> None:
    record = cell("import inspect\ndef f():\n    return 1\nprint(inspect.getsource(f))")
    assert record.stdout == "def f():\n    return 1\n\n"


@pytest.mark.parametrize(
    ("source", "advice"),
    [("input('name? ')", "--env"), ("import getpass\ngetpass.getpass()", "--env")],
)
def test_asking_for_input_says_that_there_is_no_keyboard(cell: Cell, source: str, advice: str) -> None:
    record = cell(source)
    assert record.error["ename"] == "EOFError"
    assert "a job has no keyboard" in record.error["evalue"]
    assert advice in record.error["evalue"]
    assert "mlmagics_job" not in record.traceback


def test_what_happens_at_the_end_is_done_and_told(cell: Cell) -> None:
    record = cell(
        """
import atexit, threading, time
class Last:
    def __del__(self):
        print("deleted")
last = Last()
@atexit.register
def fail():
    print("at exit")
    raise RuntimeError("late")
def slow():
    time.sleep(0.05)
    print("thread done")
threading.Thread(target=slow).start()
print("cell done")
"""
    )
    assert record.stdout == "cell done\nthread done\nat exit\ndeleted\n"
    assert "RuntimeError: late" in record.stderr
    assert record.exit_code == 0


def test_metrics_become_frames_with_numbers(cell: Cell) -> None:
    record = cell(
        """
import mlmagics
from mlmagics_job.metrics import log
class Tensor:
    def item(self): return 1.5
mlmagics.log(step=3, rmse=0.4, lr=Tensor())
log(rows=10, good=True, bad=float("nan"))
try:
    log(name="text")
except TypeError as error:
    print(error)
"""
    )
    assert [(frame["step"], frame["values"]) for frame in record.frames("metric")] == [
        (3, {"rmse": 0.4, "lr": 1.5}),
        (None, {"rows": 10, "good": True, "bad": "nan"}),
    ]
    assert record.stdout == "log(name=...) takes a number\n"


def test_programs_started_by_a_job_print_their_metrics(cell: Cell) -> None:
    source = "import mlmagics_job.metrics as m; m.log(step=1, rmse=0.5); m.log(a=2)"
    record = cell(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {source!r}]);")
    assert record.stdout == "step 1: rmse=0.5\na=2\n"


def test_a_display_can_be_replaced_and_cleared(cell: Cell) -> None:
    record = cell(
        """
from mlmagics_job.display import clear_output
handle = display("one", display_id=True)
handle.update("two")
display("three", display_id="mine")
clear_output(wait=True)
"""
    )
    first, second, third = record.frames("display")
    assert first["display_id"] == second["display_id"] is not None
    assert (first["update"], second["update"], third["update"]) == (False, True, False)
    assert third["display_id"] == "mine"
    assert record.frames("clear") == [{"type": "clear", "wait": True}]


def test_run_by_hand_it_says_what_it_is(kit: Path) -> None:
    import subprocess
    import sys

    run: Any = subprocess.run(
        [sys.executable, str(kit / "mlmagics_job" / "run.py")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert run.stderr == "mlmagics_job/run.py is started by the supervisor of a job, not by hand\n"


@pytest.mark.parametrize("step", ["float('nan')", "float('-inf')", "10**400", "10**5000"])
def test_a_step_that_is_not_finite_loses_no_metric(cell: Cell, step: str) -> None:
    record = cell(f"import mlmagics_job.metrics as m; m.log(step={step}, rmse=0.5)")
    assert record.exit_code == 0
    assert [(frame["step"], frame["values"]) for frame in record.frames("metric")] == [(None, {"rmse": 0.5})]


def test_the_kit_writes_no_bytecode_and_the_cell_does(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("x = 1")
    own = build_kit(tmp_path / "own")
    record = run_cell(own, tmp_path, "import mine, mlmagics_job.project\ndisplay('x')\n1 / 0")
    assert record.exit_code == 1
    assert not list(own.rglob("*.pyc"))
    assert list((tmp_path / "__pycache__").glob("mine.*.pyc"))
