"""What a cell lacks is told before anything is queued, in a real kernel with a real agent."""

from __future__ import annotations

from pathlib import Path

from front_end import FrontEnd

from running import AgentProcess


def test_what_the_cell_lacks_is_refused_before_anything_is_queued(
    lab: FrontEnd, agent: AgentProcess, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "trips.csv").write_text("miles\n1\n")
    (tmp_path / "helpers.py").write_text("def half(x): return x / 2\n")
    lab.run(f"%cd {tmp_path}")
    lab.run("import math as calc\nframe = [4, 9]\ndef clean(x):\n    return x")
    cells = {
        "print(clean(frame), calc.pi)": (
            "the cell cannot run on gpu-box, nothing was sent (--no-check sends it as it is):",
            "line 1: clean is defined in your notebook (In [3], function), not in the cell: add --send clean",
            "line 1: frame is defined in your notebook (In [3], list), not in the cell: add --send frame",
            "line 1: calc is imported in your notebook, not in the cell: write import math as calc into it",
            "all at once: --send clean,frame   or --send auto",
        ),
        "frmae": ("frmae is defined nowhere", "did you mean frame?"),
        "import helpers": ("helpers is a module beside your notebook, not in the job: add --send helpers",),
        "import no_such_package": ("no_such_package is not installed on gpu-box: add --with PACKAGE",),
        "open('data/trips.csv')": ("data/trips.csv exists beside your notebook, not in the job: put it into the ",),
        "import fsspec, pandas\npandas.read_csv('project://no/such.csv')": ("no project://no/such.csv on gpu-box",),
        "open('project://x.txt', 'w')": ("write mlmagics.project.open('x.txt', 'w') in its place",),
        "__file__": ("a cell has no __file__",),
        f"key = '{'gh' + 'p_'}{'a1B2c3D4e5' * 4}'"[:-5] + "'": ("a GitHub Personal Access Token (ghp_****) in the cell",),
    }  # fmt: skip
    for source, lines in cells.items():
        cell = lab.run(f"%%gpu-box\n{source}")
        assert cell.status == "error"
        for line in lines:
            assert line in cell.text, source
    assert agent.client().jobs().jobs == []


def test_what_it_lacks_is_sent_as_the_lines_say(lab: FrontEnd, tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text("def half(x): return x / 2\n")
    lab.run(f"%cd {tmp_path}")
    lab.run("frame = [4, 9]\ndef clean(x):\n    return x[1:]")
    shown = lab.run(
        "%%gpu-box --wait --send clean,frame,helpers\nimport helpers\nprint(helpers.half(clean(frame)[0]))"
    )
    assert "4.5" in shown.text
    shown = lab.run("%%gpu-box --wait --send auto\nimport helpers\nprint(helpers.half(clean(frame)[0]))")
    assert "4.5" in shown.text


def test_what_may_be_right_is_a_line_and_the_job_goes_on(lab: FrontEnd) -> None:
    lab.run("x = 1")
    shown = lab.run("%%gpu-box --wait\ntry:\n    print(x)\nexcept Exception:\n    print('none')")
    assert (
        "Note: line 2: x is defined in your notebook (In [2], int, 28 B), not in the cell: add --send x"
        in shown.text
    )
    assert "none" in shown.text
    assert shown.status == "ok"


def test_no_check_sends_whatever_it_is(lab: FrontEnd) -> None:
    lab.run("x = 1")
    shown = lab.run("%%gpu-box --wait --no-check\nprint(x)")
    assert "NameError" in shown.text
    assert "Note:" not in shown.text


def test_the_agent_of_ones_own_is_checked_like_any_other(lab: FrontEnd) -> None:
    lab.run("x = 1")
    shown = lab.run("%%local\nprint(x)")
    assert "x is defined in your notebook" in shown.text
    assert shown.status == "error"
