"""What a job has kept, brought here: results and files, by magic and by call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from front_end import FrontEnd

import mlmagics
from mlmagics import api
from mlmagics.cluster.local import LocalAgent
from mlmagics.cluster.session import Session
from mlmagics.cluster.store import AttachmentStore
from mlmagics.errors import BadCell, BadValue, JobFailed, UserError, WaitTimeout
from mlmagics.job.handle import Job

KEEPS = "%%gpu-box --wait --fetch m,n,rmse\nm, n, rmse = {'a': [1, None]}, __import__('threading').Lock(), 0.25\nopen('report.txt', 'w').write('all good')"


@pytest.fixture
def submit(settings: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Job]]:
    session = Session(AttachmentStore(tmp_path / "config"), LocalAgent(tmp_path / "local"))
    yield lambda source, **options: api.submit(source, "gpu-box", session=session, **options)
    session.close()


# --- by magic --------------------------------------------------------------------------------------------


def test_what_there_is_is_listed_with_what_to_type(lab: FrontEnd) -> None:
    lab.run(KEEPS)
    listed = lab.run("%fetch gpu-box/1").text.splitlines()
    assert listed[0].split() == ["name", "type", "size", "note"]
    assert listed[1].split() == ["m", "dict", "14", "B", "result"]
    assert listed[2].startswith("n           lock         not kept: ")
    assert listed[3].split() == ["rmse", "float", "4", "B", "result"]
    assert listed[4].split() == ["report.txt", "8", "B", "file"]
    assert listed[5:] == [
        "To have results here: %fetch gpu-box/1 m, or %fetch gpu-box/1 --all",
        "To copy the files here: %fetch gpu-box/1 --files",
    ]


def test_results_come_into_variables_and_one_that_fails_spoils_no_other(lab: FrontEnd) -> None:
    lab.run(KEEPS)
    lab.run("m = 'mine'")
    cell = lab.run("%fetch gpu-box/1 m, nothing, n, rmse as error")
    assert cell.status == "error"
    lines = cell.text.splitlines()
    assert lines[:2] == [
        "m (dict, 1 item) from gpu-box/1; it replaces another value of this name (str)",
        "error (float) from gpu-box/1",
    ]
    assert lines[2].startswith(
        "Error: gpu-box/1 kept no 'nothing'; it kept m, rmse; n was not kept by gpu-box/1: "
    )
    assert lab.run("print(m, error, rmse)").text == "{'a': [1, None]} 0.25 0.25\n"
    every = lab.run("%fetch gpu-box/1 --all").text
    assert every.startswith("n was not kept by gpu-box/1: ")
    assert "rmse (float) from gpu-box/1; it replaces another value of this name (float)" in every


def test_files_are_never_overwritten_unasked(lab: FrontEnd, tmp_path: Path) -> None:
    lab.run("%%gpu-box --wait\nimport os\nos.mkdir('out')\nfor n in 'ab': open(f'out/{n}.txt', 'w').write(n)")
    target = tmp_path / "here"
    copied = lab.run(f"%fetch gpu-box/1 --files {target}").text
    assert copied == f"       1 B  {target}/out/a.txt\n       1 B  {target}/out/b.txt\n"
    assert "out/a.txt (already here)" in lab.run(f"%fetch gpu-box/1 --files {target}").text
    (target / "out" / "b.txt").write_text("mine")
    refused = lab.run(f"%fetch gpu-box/1 --files {target}")
    assert refused.status == "error"
    assert (
        f"Error: {target}/out/b.txt: another file of this name lies here, and nothing was copied"
        in refused.text
    )
    assert (target / "out" / "b.txt").read_text() == "mine"
    one = lab.run(f"%fetch gpu-box/1 out/b.txt --files {target} --overwrite").text
    assert one == f"       1 B  {target}/out/b.txt\n"
    assert (target / "out" / "b.txt").read_text() == "b"


def test_wrong_lines_say_what_is_right(lab: FrontEnd, tmp_path: Path) -> None:
    held = f"import pathlib, time\nwhile not pathlib.Path({str(tmp_path / 'go')!r}).exists(): time.sleep(0.02)\nm = 1"
    lab.run(f"%%gpu-box --no-wait --as held -o m\n{held}")
    lab.run("while held.state.value != 'running': pass")
    for line, said in {
        "gpu-box/1 report.txt": "'report.txt' is not a variable; for files say so: %fetch JOB report.txt --files",
        "gpu-box/1 m as": "m as '': that cannot be the name of a variable",
        "gpu-box/1 m --all": "--all brings all results",
        "gpu-box/1 m --overwrite": "--overwrite is for --files",
        "gpu-box/1 m": "gpu-box/1 is Running: results are there at its end. To wait: %wait gpu-box/1",
        "gpu-box/1 --overwite": "did you mean --overwrite?",
        "gpu-box/1 a.txt --files": "gpu-box/1 left no file 'a.txt'",
    }.items():
        cell = lab.run(f"%fetch {line}")
        assert cell.status == "error", line
        assert said in cell.text, line
    assert "results are there at its end; gpu-box/1 left no files" in lab.run("%fetch gpu-box/1").text
    (tmp_path / "go").touch()
    lab.run("%wait")
    lab.run("%%gpu-box --wait\n1")
    assert lab.run("%fetch gpu-box/2").text == (
        "gpu-box/2 kept no results (--fetch NAME asks for them); gpu-box/2 left no files in its working folder\n"
    )


# --- by call ---------------------------------------------------------------------------------------------


def test_results_of_a_job_in_python(submit: Callable[..., Job]) -> None:
    job = submit(
        "import time, mlmagics\nfor step in range(3): mlmagics.log(step=step, rmse=1 / (step + 1))\n"
        "time.sleep(0.3)\nm, n = (1, 2), __import__('threading').Lock()",
        fetch=["m", "n"],
    )
    assert job.result("m", timeout_s=30) == (1, 2)
    assert [(entry.name, entry.reason is None) for entry in job.results()] == [("m", True), ("n", False)]
    with pytest.raises(UserError, match="n was not kept by gpu-box/1: "):
        job.result("n")
    with pytest.raises(BadValue, match="gpu-box/1 kept no 'x'; it kept m"):
        job.result("x")
    assert job.metrics() == [{"step": step, "rmse": 1 / (step + 1)} for step in range(3)]
    assert repr(job) == "<Job gpu-box/1: Finished>"
    again = job.resubmit(name="second")
    assert again.result("m") == (1, 2)
    assert repr(again) == "<Job gpu-box/2 'second': Finished>"
    assert again.info.fetch == ["m", "n"]


def test_a_result_waits_for_its_job_and_raises_with_it(submit: Callable[..., Job]) -> None:
    job = submit("import time\nwhile True: time.sleep(0.1)", fetch="m")
    with pytest.raises(WaitTimeout):
        job.result("m", timeout_s=0.1)
    job.cancel("enough")
    with pytest.raises(JobFailed, match=r"gpu-box/1 cancelled: .*enough"):
        job.result("m")
    assert job.results() == []


def train() -> int:
    """What a job can run without anything from here."""
    import math

    return math.comb(4, 2)


def test_a_function_is_a_job(submit: Callable[..., Job]) -> None:
    job = submit(train)
    assert job.wait().logs() == "6\n"
    assert job.info.name == "train"
    with pytest.raises(
        BadCell, match=r"test_a_function_is_a_job\(\) is called without arguments and needs submit"
    ):
        submit(test_a_function_is_a_job)


def test_names_of_results_are_checked_before_anything_is_sent(submit: Callable[..., Job]) -> None:
    for wrong in ("1m", "for", "a b", ["m", ""]):
        with pytest.raises(BadValue, match="cannot be the name of a variable"):
            submit("1", fetch=wrong)
    assert submit("m = n = 1", fetch="m, n,m").info.fetch == ["m", "n"]


def test_the_last_job_is_at_hand(lab: FrontEnd) -> None:
    assert lab.run("import mlmagics\nprint(mlmagics.last)").text == "None\n"
    lab.run("%%gpu-box --wait --name one\n1")
    assert lab.run("print(mlmagics.last)").text == "<Job gpu-box/1 'one': Finished>\n"
    lab.run("%%gpu-box --wait\n1")
    assert lab.run("print(mlmagics.last, mlmagics.wait(mlmagics.last) == [mlmagics.last])").text == (
        "<Job gpu-box/2: Finished> True\n"
    )
    assert "last" in mlmagics.__all__
