"""Jobs in a Python that has neither IPython nor mlmagics, and in other versions of Python."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from pathlib import Path

import pytest
from kit_harness import find_python, run_cell

VERSIONS = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"]

RICH = """
import sys
class Table:
    def __repr__(self): return "table"
    def _repr_html_(self): return "<table>"
    def _repr_png_(self): return b"png", {"width": 5}
class Own:
    def _ipython_display_(self): print("own")
display(Table(), Own())
handle = display("first", display_id=True)
handle.update("second")
print(len(list(range(100))))
Table
"""


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return str(folder / "bin" / "python")


def test_objects_are_shown_by_their_own_methods(kit: Path, tmp_path: Path, bare_python: str) -> None:
    record = run_cell(kit, tmp_path, RICH, python=bare_python)
    assert record.exit_code == 0
    first, second, third, last = record.frames("display")
    assert first["data"]["text/plain"] == "table"
    assert first["data"]["text/html"] == "<table>"
    assert base64.b64decode(first["data"]["image/png"]) == b"png"
    assert first["metadata"] == {"image/png": {"width": 5}}
    assert second["display_id"] == third["display_id"]
    assert third["update"] is True
    assert last["data"] == {"text/plain": "<class '__main__.Table'>"}
    assert record.stdout == "own\n100\n"
    assert record.stderr == ""


def test_a_broken_representation_is_told_and_fails_nothing(
    kit: Path, tmp_path: Path, bare_python: str
) -> None:
    source = """
class Broken:
    def _repr_html_(self): raise ValueError("no html")
    def _repr_png_(self): raise NotImplementedError
    def __repr__(self): return "text"
class Worse:
    def __repr__(self): raise ValueError("no text")
display(Broken(), Worse())
print("on")
"""
    record = run_cell(kit, tmp_path, source, python=bare_python)
    assert record.exit_code == 0
    assert [line for line in record.stderr.splitlines() if not line.startswith("  ")] == [
        "Traceback (most recent call last):",
        "ValueError: no html",
        "Traceback (most recent call last):",
        "ValueError: no text",
    ]
    assert "mlmagics_job" not in record.stderr
    assert record.data == [{"text/plain": "text"}]
    assert record.stdout == "on\n"


@pytest.mark.parametrize("source", ["%%time\nprint(1)", "x = 1\n!nvidia-smi", "len?", "y = %pwd"])
def test_ipython_syntax_is_refused_with_advice(
    kit: Path, tmp_path: Path, bare_python: str, source: str
) -> None:
    record = run_cell(kit, tmp_path, source, python=bare_python)
    assert record.exit_code == 1
    assert "no IPython" in record.error["evalue"]
    assert f"{bare_python} -m pip install ipython" in record.error["evalue"]
    assert record.stdout == ""


def test_the_shim_gives_log_and_says_what_it_lacks(kit: Path, tmp_path: Path, bare_python: str) -> None:
    source = "import mlmagics\nmlmagics.log(a=1)\nmlmagics.submit"
    record = run_cell(kit, tmp_path, source, python=bare_python)
    assert record.frames("metric")[0]["values"] == {"a": 1}
    assert "only log and project, not 'submit'" in record.error["evalue"]


def test_an_installed_mlmagics_wins_over_the_shim(kit: Path, tmp_path: Path) -> None:
    record = run_cell(kit, tmp_path, "import mlmagics\nprint(mlmagics.__file__)")
    assert "shim" not in record.stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_a_plain_cell_works_in_every_python(kit: Path, tmp_path: Path, version: str) -> None:
    python = find_python(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    source = """
import asyncio, os, sys, threading, warnings
warnings.warn("mind")
for i in range(3000):
    print(i)
    if i % 100 == 0:
        print(i, file=sys.stderr)
        display(i)
        pid = os.fork()
        if pid == 0:
            print("child", flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
thread = threading.Thread(target=print, args=("thread",))
thread.start()
thread.join()
await asyncio.sleep(0.01)
def fail():
    raise ValueError("wrong")
fail()
"""
    record = run_cell(kit, tmp_path, source, python=python)
    assert record.exit_code == 1
    expected = [line for i in range(3000) for line in ([str(i)] if i % 100 else [str(i), "child"])]
    assert record.stdout.split() == [*expected, "thread"]
    assert 'warnings.warn("mind")' in record.stderr
    assert record.stderr.split()[-1] == "2900"
    assert [data["text/plain"] for data in record.data] == [str(i) for i in range(0, 3000, 100)]
    assert record.error["ename"] == "ValueError"
    assert "fail()" in re.sub(r"\x1b\[[0-9;]*m", "", record.traceback)
    assert "mlmagics_job" not in record.traceback
