"""What to type when a job missed something that is here."""

import math

import pytest

from cluster_agent.protocol import Event
from mlmagics.job.hints import hint
from mlmagics.preflight.here import Here, here


def a_function():
    pass


HERE = Here(
    {"df": [1], "m": math, "math": math, "clean": a_function, "In": [], "_": 1},
    exists=lambda path: path in ("data", "data/trips.csv", "../raw/trips.csv", "it's.csv"),
    is_folder=lambda path: path == "data",
    cells=["", "df = []", "df = [1]", "%%gpu-box\ndf = [2]", "print(df)"],
)


def missed(name):
    return Event(type="error", ename="NameError", evalue=f"name {name!r} is not defined", name=name)


def no_file(path, ename="FileNotFoundError"):
    return Event(type="error", ename=ename, evalue="No such file", path=path)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (missed("df"), "df is defined in your notebook (In [2], list), not in the cell: add --send df"),
        (missed("clean"), "clean is defined in your notebook (function), not in the cell: add --send clean"),
        (missed("m"), "m is imported in your notebook, not in the cell: write import math as m into it"),
        (missed("math"), "math is imported in your notebook, not in the cell: write import math into it"),
        (
            no_file("data/trips.csv"),
            (
                "data/trips.csv exists beside your notebook, not in the job: put it into the project "
                "(import fsspec; fsspec.filesystem('project').put('data/trips.csv', 'data/trips.csv')) and read "
                "project://data/trips.csv in the job"
            ),
        ),
        (
            no_file("../raw/trips.csv"),
            (
                "../raw/trips.csv exists beside your notebook, not in the job: put it into the project "
                "(import fsspec; fsspec.filesystem('project').put('../raw/trips.csv', 'raw/trips.csv')) and read "
                "project://raw/trips.csv in the job"
            ),
        ),
        (
            no_file("data"),
            (
                "data exists beside your notebook, not in the job: put it into the project (import fsspec; "
                "fsspec.filesystem('project').put('data', 'data', recursive=True)) and read project://data in the job"
            ),
        ),
    ],
)
def test_what_is_here_is_told_with_what_to_type(error, line):
    assert hint(error, HERE) == line


@pytest.mark.parametrize(
    "error",
    [
        None,
        missed("nowhere"),
        missed("In"),
        missed("_"),
        Event(type="error", ename="ValueError", evalue="df", name="df"),
        Event(type="error", ename="NameError", evalue="name 'df' is not defined"),
        no_file("nowhere.csv"),
        no_file("/data/trips.csv"),
        no_file("it's.csv"),
        no_file("a\x1b[31m"),
        no_file("data/trips.csv", "PermissionError"),
    ],
)
def test_where_nothing_is_known_nothing_is_said(error):
    assert hint(error, HERE) == ""


def test_a_path_that_cannot_be_one_exists_nowhere():
    assert not here().exists("a\0b")
    assert not here().exists("x" * 10_000)
