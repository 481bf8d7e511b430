"""How a failed job looks in a notebook: its own traceback, and a last line that says what to type."""

from __future__ import annotations

from pathlib import Path

from front_end import FrontEnd, Shown

ALL = "All of its output: %logs gpu-box/{}"


def last_line(cell: Shown) -> str:
    assert cell.status == "error"
    return cell.text.rstrip().splitlines()[-1]


def test_a_traceback_looks_native(lab: FrontEnd) -> None:
    source = (
        "def load(path):\n    return {}['trips']\n\ndef train():\n    try:\n        load('x')\n"
        "    except KeyError as error:\n        raise RuntimeError('no trips') from error\n\ntrain()"
    )
    cell = lab.run(f"%%gpu-box --wait\n{source}")
    error = next(output for output in cell.outputs if output["type"] == "error")
    coloured = "\n".join(error["traceback"])
    assert "\x1b[" in coloured
    for line in (
        "KeyError: 'trips'",
        "The above exception was the direct cause of the following exception",
        "---> 10 train()",
        "----> 2     return {}['trips']",
        "      8         raise RuntimeError('no trips') from error",
        "RuntimeError: no trips",
    ):
        assert line.strip("- >") in cell.text
    assert "mlmagics" not in coloured
    assert last_line(cell) == f"Error: gpu-box/1 failed: RuntimeError: no trips. {ALL.format(1)}"


def test_a_name_that_is_only_here(lab: FrontEnd) -> None:
    lab.run("import math as calc\ndf = [1, 2]\ndef clean(): pass")
    cells = {
        "df.mean()": "df is defined in your notebook (In [2], list), not in the cell: add --send df",
        "clean()": "clean is defined in your notebook (In [2], function), not in the cell: add --send clean",
        "calc.sqrt(2)": "calc is imported in your notebook, not in the cell: write import math as calc into it",
        "def f():\n    return df\nf()": "df is defined in your notebook (In [2], list), not in the cell: add --send df",
    }
    for number, (source, hint) in enumerate(cells.items(), start=1):
        line = last_line(lab.run(f"%%gpu-box --wait --no-check\n{source}"))
        assert line.endswith(f"is not defined. {ALL.format(number)}. {hint}"), source
    assert last_line(lab.run("%%gpu-box --wait --no-check\nnowhere")).endswith(ALL.format(len(cells) + 1))


def test_a_file_that_is_only_here_and_what_the_hint_says_works(lab: FrontEnd, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "trips.csv").write_text("miles\n1\n")
    lab.run(f"%cd {tmp_path}")
    line = last_line(lab.run("%%gpu-box --wait --no-check\nopen('data/trips.csv').read()"))
    assert (
        f"failed: FileNotFoundError: [Errno 2] No such file or directory: 'data/trips.csv'. {ALL.format(1)}. "
        in line
    )
    hint = line.rpartition(f"{ALL.format(1)}. ")[2]
    assert hint.startswith(
        "data/trips.csv exists beside your notebook, not in the job: put it into the project (import fsspec; "
    )
    typed = hint.partition("project (")[2].partition(") and read ")[0]
    assert lab.run(typed).status == "ok"
    assert (
        lab.run(
            "%%gpu-box --wait\nimport fsspec\nprint(fsspec.open('project://data/trips.csv', 'r').open().read())"
        ).status
        == "ok"
    )


def test_causes_are_told_apart(lab: FrontEnd) -> None:
    cuda = "class OutOfMemoryError(RuntimeError): pass\nraise OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB')"
    cells = {
        "raise MemoryError('no room')": ("failed: out of memory: it used up to ", "--memory "),
        cuda: (
            "failed: OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
            "make the batches smaller",
        ),
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)": ("failed: ended by SIGTERM", "%logs"),
        "import sys; sys.exit(3)": ("failed: exit code 3", "%logs"),
    }
    for number, (source, (cause, typed)) in enumerate(cells.items(), start=1):
        line = last_line(lab.run(f"%%gpu-box --wait\n{source}"))
        assert line.startswith(f"Error: gpu-box/{number} {cause}"), line
        assert typed in line
        told = lab.run(f"%logs gpu-box/{number}").text.rstrip().splitlines()[-1]
        assert told.startswith(f"gpu-box/{number} {cause}"), told


def test_a_log_begins_with_the_state_whatever_comes_first(lab: FrontEnd) -> None:
    lab.run("%%gpu-box\nimport sys\nprint('oh', file=sys.stderr)")
    # what is written goes out late, unless it is told to go
    lab.run("import sys\nsys.stdout.flush_interval = 30")
    cell = lab.run("%logs gpu-box/1")
    assert [output["text"] for output in cell.outputs] == ["Job Status: Finished\n", "oh\n"]


def test_a_timeout_ends_with_what_gives_more_time(lab: FrontEnd) -> None:
    cell = lab.run("%%gpu-box --wait --timeout 1s --grace 1s\nimport time\nwhile True: time.sleep(0.1)")
    assert last_line(cell) == (
        f"Error: gpu-box/1 timed out: its time limit of 1 s was reached. {ALL.format(1)}. "
        "More time: %resubmit gpu-box/1 --timeout 2s"
    )


def test_who_cancelled_is_told(lab: FrontEnd) -> None:
    lab.run("%%gpu-box --no-wait --fetch m\nimport time\nwhile True: time.sleep(0.1)")
    lab.run("import mlmagics\nmlmagics.last.cancel('wrong data')")
    line = last_line(lab.run("%wait"))
    assert line.startswith("Error: gpu-box/1 cancelled: cancelled by ")
    assert line.endswith(f": wrong data. {ALL.format(1)}")
    assert "m was not made: gpu-box/1 cancelled: cancelled by " in lab.run("m").text


def test_a_late_failure_says_it_on_the_card_and_in_the_log(lab: FrontEnd, tmp_path: Path) -> None:
    lab.run("df = [1, 2]")
    go = tmp_path / "go"
    hold = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.02)\n"
    cell = lab.run(f"%%gpu-box --no-wait --no-check\n{hold}df.mean()")
    go.touch()
    hint = "df is defined in your notebook (In [2], list), not in the cell: add --send df"
    lab.wait(lambda: hint in cell.text)
    assert hint in cell.displays[-1]["text/html"]
    assert lab.run("%logs gpu-box/1").text.rstrip().endswith(hint)
