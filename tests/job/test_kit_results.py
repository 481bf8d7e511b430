"""Variables that a job was asked to keep: their values, or why they are not kept."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit_harness import Record, Runner, run_cell

from mlmagics_job.packing import taken_apart

Cell = Callable[..., Record]


def value_of(record: Record, name: str) -> Any:
    (frame,) = [frame for frame in record.frames("result") if frame["name"] == name]
    assert frame["format"] == "json", frame
    return frame["data"]["application/json"]


def reason_of(record: Record, name: str) -> str:
    (frame,) = [frame for frame in record.frames("result") if frame["name"] == name]
    assert "format" not in frame
    return frame["reason"]


@pytest.mark.parametrize(
    ("expression", "value", "kind"),
    [
        ("None", None, "NoneType"),
        ("True", True, "bool"),
        ("-5", -5, "int"),
        ("2**100", 2**100, "int"),
        ("0.1 + 0.2", 0.1 + 0.2, "float"),
        ("-0.0", -0.0, "float"),
        ("'grüße ☃\\n\\x00'", "grüße ☃\n\0", "str"),
        ("[1, [2.5, 'x'], None]", [1, [2.5, "x"], None], "list"),
        ("{'a': {'b': [True]}}", {"a": {"b": [True]}}, "dict"),
        ("{}", {}, "dict"),
        ("__import__('collections').OrderedDict(rmse=[1.5])", {"rmse": [1.5]}, "OrderedDict"),
        ("__import__('collections').defaultdict(list, a=[1])", {"a": [1]}, "defaultdict"),
    ],
)
def test_a_plain_value_is_kept_exactly(cell: Cell, expression: str, value: Any, kind: str) -> None:
    record = cell(f"m = {expression}", fetch=["m"])
    assert record.exit_code == 0
    found = value_of(record, "m")
    assert (repr(found), record.frames("result")[0]["kind"]) == (repr(value), kind)


def test_numbers_of_numpy_are_kept(cell: Cell) -> None:
    pytest.importorskip("numpy")
    record = cell(
        "import numpy as np\na = np.float32(0.1)\nb = {'n': np.int64(2**60), 'ok': np.bool_(True), 's': np.str_('x')}",
        fetch=["a", "b"],
    )
    assert value_of(record, "a") == pytest.approx(0.1, rel=1e-6)
    assert value_of(record, "b") == {"n": 2**60, "ok": True, "s": "x"}


@pytest.mark.parametrize(
    ("expression", "made"),
    [
        ("float('nan')", {"$": "float", "v": "nan"}),
        ("(1, (2, 3))", {"$": "tuple", "v": [1, {"$": "tuple", "v": [2, 3]}]}),
        ("{'loss': [1.0, float('-inf')]}", {"loss": [1.0, {"$": "float", "v": "-inf"}]}),
        ("{3: 'x'}", {"$": "dict", "v": [[3, "x"]]}),
        ("{'$': 1}", {"$": "dict", "v": [["$", 1]]}),
        ("b'ab'", {"$": "bytes", "v": "YWI="}),
        ("__import__('datetime').date(2024, 1, 2)", {"$": "date", "v": "2024-01-02"}),
    ],
)
def test_what_json_lacks_has_a_tag(cell: Cell, expression: str, made: Any) -> None:
    (frame,) = cell(f"m = {expression}", fetch=["m"]).frames("result")
    assert (frame["format"], frame["data"]["application/json"]) == ("tagged", made)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("class Booster: pass\nm = [Booster()]", "list"),
        ("m = 'bad \\udce4'", "str"),
        ("m = 10**5000", "int"),
        ("m = []\nm.append(m)", "list"),
    ],
)
def test_what_has_no_plain_form_is_pickled(cell: Cell, source: str, kind: str) -> None:
    pytest.importorskip("cloudpickle")
    record = cell(f"{source}\nother = [1]", fetch=["m", "other"])
    (frame,) = [frame for frame in record.frames("result") if frame["name"] == "m"]
    assert (frame["format"], frame["kind"]) == ("pickle", kind)
    info, pickled, buffers = taken_apart(frame["file"])
    assert info["python"].startswith("3.")
    assert (len(bytes(pickled)) > 0, buffers) == (True, [])
    assert value_of(record, "other") == [1]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "m = __import__('threading').Lock()",
            "m is of type lock, and it cannot be pickled: TypeError: cannot pickle",
        ),
        ("m = 'x' * 2**25\nm = [m, m]", "m has more than 64 MiB as JSON: write it to a file"),
        ("m = ['x' * 99]\nfor _ in range(60): m = [m, m]", "m has more than 64 MiB as JSON"),
        ("x = 1", "the cell made no variable of this name"),
    ],
)
def test_what_cannot_be_kept_has_a_reason_and_loses_no_other(cell: Cell, source: str, reason: str) -> None:
    record = cell(f"{source}\nother = [1]", fetch=["m", "other"])
    assert reason in reason_of(record, "m")
    assert value_of(record, "other") == [1]
    assert record.exit_code == 0
    assert record.stderr == ""


def test_a_frame_and_an_array_go_as_files(cell: Cell) -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    record = cell(
        "import pandas as pd\nt = pd.DataFrame({'a': [1]})\nv = t['a'].to_numpy()", fetch=["t", "v"]
    )
    frame, array = record.frames("result")
    assert (frame["format"], frame["kind"], frame["file"][:4]) == ("arrow", "DataFrame", b"\xff\xff\xff\xff")
    assert (array["format"], array["kind"], array["file"][:6]) == ("npy", "ndarray", b"\x93NUMPY")


def test_a_value_that_changes_while_it_is_read_loses_no_other(cell: Cell) -> None:
    record = cell(
        "class Odd(dict):\n    def items(self):\n        raise RuntimeError('changed')\n"
        "Odd.__module__ = 'collections'\nm = Odd(a=1)\nn = 5",
        fetch=["m", "n"],
    )
    assert "RuntimeError: changed" in reason_of(record, "m")
    assert value_of(record, "n") == 5


@pytest.mark.parametrize(
    "source", ["%time m = 5", "!true\nm = 5", "import asyncio\nm = await asyncio.sleep(0, 5)"]
)
def test_cells_of_every_kind_keep_theirs(cell: Cell, source: str) -> None:
    assert value_of(cell(source, fetch=["m"]), "m") == 5


@pytest.mark.parametrize(
    "end", ["1 / 0", "import sys; sys.exit(3)", "raise SystemExit('no')", "!true\n1 / 0"]
)
def test_a_cell_that_fails_keeps_nothing(cell: Cell, end: str) -> None:
    assert cell(f"m = 5\n{end}", fetch=["m"]).frames("result") == []


@pytest.mark.parametrize("end", ["import sys; sys.exit()", "raise SystemExit(0)"])
def test_a_cell_that_ends_itself_well_keeps_its_own(cell: Cell, end: str) -> None:
    assert value_of(cell(f"m = 5\n{end}", fetch=["m"]), "m") == 5


def test_results_come_behind_all_that_the_cell_shows(cell: Cell) -> None:
    record = cell("print('text')\nm = 5\nm", fetch=["m"])
    assert [kind for kind, _ in record.merged()] == ["stdout", "display", "result"]


def test_a_forked_child_sends_none(cell: Cell) -> None:
    record = cell("import os\nm = os.fork()\nif m:\n    os.waitpid(m, 0)", fetch=["m"])
    assert len(record.frames("result")) == 1
    assert value_of(record, "m") > 0


def test_a_large_value_arrives_whole(cell: Cell) -> None:
    record = cell("m = [number / 3 for number in range(200_000)]", fetch=["m"])
    assert math.fsum(value_of(record, "m")) == math.fsum(number / 3 for number in range(200_000))


def test_an_interrupt_meanwhile_ends_the_job_quietly(kit: Path, tmp_path: Path) -> None:
    source = (
        "class Slow(dict):\n    def items(self):\n        print('slow', flush=True)\n"
        "        while True: pass\nSlow.__module__ = 'collections'\nm = Slow()"
    )
    runner = Runner(kit, source, tmp_path, fetch=["m"])

    def interrupt(runner: Runner, kind: str, value: Any) -> None:
        if kind == "stdout":
            os.kill(runner.process.pid, signal.SIGINT)

    record = runner.run(interrupt)
    assert record.exit_code == 130
    assert record.stderr == ""


def test_a_job_without_names_imports_nothing_more(cell: Cell) -> None:
    record = cell("import atexit, sys\natexit.register(lambda: print('mlmagics_job.results' in sys.modules))")
    assert record.stdout == "False\n"


def test_it_works_in_a_python_that_has_nothing(kit: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    record = run_cell(kit, tmp_path, "m = {'a': 1.5}", python=str(bare / "bin" / "python"), fetch=["m"])
    assert value_of(record, "m") == {"a": 1.5}
