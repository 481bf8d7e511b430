"""Supervisor and kit together: what a cell does and what its log says."""

from __future__ import annotations

import importlib.util
import marshal
import os
import subprocess
import sys
import venv
from functools import partial
from pathlib import Path

import pytest
from supervised import until

from cluster_agent.executors.kit import compile_kit, install_kit


@pytest.fixture
def run(supervise, tmp_path):
    return partial(supervise, kit=install_kit(tmp_path / "home"))


def test_cell_prints_and_displays_in_order(run):
    job = run(
        """
import sys
from IPython.display import HTML, display
for number in range(200):
    print("out", number)
    print("err", number, file=sys.stderr)
    display(HTML(f"<b>{number}</b>"))
number
"""
    )
    assert job.ended().state == "succeeded", job.events()[-2:]
    out, err, shown = "", "", 0
    for event in job.events():
        if event.type == "output":
            if event.stream == "stdout":
                out += event.text
            else:
                err += event.text
        elif event.type == "display" and not event.result:
            assert event.data["text/html"] == f"<b>{shown}</b>"
            shown += 1
            assert out == "".join(f"out {number}\n" for number in range(shown))
            assert err == "".join(f"err {number}\n" for number in range(shown))
    assert shown == 200
    assert job.of("display")[-1].data["text/plain"] == "199"


@pytest.mark.parametrize(
    ("source", "state", "code", "reason"),
    [
        ("import sys; sys.exit(3)", "failed", 3, "it exited with code 3"),
        ("1/0", "failed", 1, "ZeroDivisionError: division by zero"),
        ("def f(:", "failed", 1, "SyntaxError"),
        ("'fine'", "succeeded", 0, None),
    ],
)
def test_cell_ends_as_its_log_says(run, source, state, code, reason):
    ended = run(source).ended()
    assert (ended.state, ended.exit_code) == (state, code)
    assert (ended.reason or "").startswith(reason or "")
    assert bool(ended.reason) == bool(reason)


def test_cell_that_is_cancelled_may_finish_what_it_does(run):
    job = run(
        """
import time
print("ready", flush=True)
try:
    time.sleep(600)
except KeyboardInterrupt:
    open("model.json", "w").write("saved")
    raise
"""
    )
    job.until_text("ready")
    job.cancel()
    ended = job.ended()
    assert (ended.state, ended.exit_code) == ("cancelled", 130)
    assert [event.path for event in job.of("file")] == ["model.json"]


def test_cell_shows_a_picture_larger_than_a_line(run):
    job = run(
        """
import os
from IPython.display import Image, display
print("before")
display(Image(data=b"\\x89PNG\\r\\n\\x1a\\n" + os.urandom(3_000_000), format="png"))
print("after")
"""
    )
    assert job.ended().state == "succeeded"
    [picture] = job.of("display")
    assert "image/png" in picture.blobs
    types = [event.type for event in job.events()]
    assert types.index("output") < types.index("display") < len(types) - 1 - types[::-1].index("output")


def test_cell_forks_and_floods_without_losing_a_byte(run):
    job = run(
        """
import os
lines = "".join(f"{number:08}\\n" for number in range(300_000))
children = []
for number in range(4):
    pid = os.fork()
    if pid == 0:
        os.write(1, f"child {number}\\n".encode())
        os._exit(0)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
print(lines, end="")
open("truth", "w").write(lines)
"""
    )
    assert job.ended().state == "succeeded"
    text = job.text()
    assert text.endswith((job.folder.work / "truth").read_text())
    assert sorted(text[: 4 * len("child 0\n")].splitlines()) == [f"child {number}" for number in range(4)]


def test_cell_runs_in_an_environment_that_has_nothing(run, tmp_path):
    venv.create(tmp_path / "bare", with_pip=False)
    python = str(tmp_path / "bare" / "bin" / "python")
    job = run(
        """
import sys
from pathlib import Path
try:
    import msgspec
except ImportError:
    print("bare")
import mlmagics
mlmagics.log(step=1, rmse=0.5)
print(sys.prefix)
1 + 1
""",
        python=python,
    )
    assert job.ended().state == "succeeded", job.events()
    assert job.text() == f"bare\n{tmp_path / 'bare'}\n"
    assert job.of("metric")[0].values == {"rmse": 0.5}
    assert job.of("display")[0].data == {"text/plain": "2"}


def test_kit_is_installed_once_and_never_changed(tmp_path):
    first = install_kit(tmp_path)
    entries = {path.relative_to(first): path.stat().st_mtime_ns for path in first.rglob("*")}
    assert install_kit(tmp_path) == first
    assert {path.relative_to(first): path.stat().st_mtime_ns for path in first.rglob("*")} == entries
    assert list((tmp_path / "kit").iterdir()) == [first]
    [info] = first.glob("*.dist-info")
    assert "project = mlmagics_job.project:ProjectFileSystem" in (info / "entry_points.txt").read_text()


def test_daemon_of_a_cell_does_not_outlive_it(run):
    job = run("import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True); print('left')")
    assert job.ended().state == "succeeded"
    until(lambda: not job.processes(), "the end of the daemon")


def test_bytecode_is_made_once_for_an_interpreter_and_repairs_what_is_torn(tmp_path):
    kit = install_kit(tmp_path)
    sources = list(kit.rglob("*.py"))
    targets = [Path(importlib.util.cache_from_source(source)) for source in sources]
    targets[0].parent.mkdir(exist_ok=True)
    targets[0].write_bytes(importlib.util.MAGIC_NUMBER + bytes(20))
    compile_kit(kit, sys.executable, {})
    for target in targets:
        assert marshal.loads(target.read_bytes()[16:])
    assert sorted(kit.rglob("*.pyc*")) == sorted(targets)
    before = [target.stat().st_ino for target in targets]
    compile_kit(kit, sys.executable, {})
    assert [target.stat().st_ino for target in targets] == before


def test_bytecode_that_the_disk_refuses_leaves_nothing(tmp_path):
    kit = install_kit(tmp_path)
    limited = tmp_path / "python"
    limited.write_text(f'#!/bin/sh\ntrap "" XFSZ\nulimit -f 1\nexec {sys.executable} "$@"\n')
    limited.chmod(0o755)
    with pytest.raises(subprocess.CalledProcessError):
        compile_kit(kit, str(limited), {"PATH": os.environ["PATH"]})
    for path in kit.rglob("*.pyc*"):
        assert marshal.loads(path.read_bytes()[16:])
    assert not list(kit.glob(".compiled-*"))
