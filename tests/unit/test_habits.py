"""Which interpreters are held ready, and who may take them."""

from __future__ import annotations

import pytest

from cluster_agent.executors.habits import Habits, Kind, choose, first_imports, kind_of

VARIABLES = {"PATH": "/bin", "MLMAGICS_JOB_ID": "1", "CUDA_VISIBLE_DEVICES": "", "PROJECT_URL": "file:///p"}


def kind(source="", python="/bin/python", own_modules=(), **variables):
    return kind_of(python, {**VARIABLES, **variables}, source, own_modules=own_modules)


@pytest.mark.parametrize(
    ("source", "imports"),
    [
        ("import numpy as np\nfrom sklearn.ensemble import Forest\nx = 1", ("numpy", "sklearn.ensemble")),
        ("'''text'''\nfrom __future__ import annotations\nimport os, torch", ("torch",)),
        ("%matplotlib inline\n!nvidia-smi\nimport pandas", ("pandas",)),
        ("import os\nos.environ['OMP_NUM_THREADS'] = '1'\nimport numpy", ()),
        ("x = 1\nimport numpy", ()),
        ("try:\n    import cupy\nexcept ImportError:\n    import numpy", ()),
        ("import numpy\nfrom . import helpers\nimport torch", ("numpy",)),
        ("import numpy\nimport numpy", ("numpy",)),
        ("import numpy as\n", ()),
        ("", ()),
        ("\0", ()),
    ],
)
def test_what_a_cell_begins_with(source, imports):
    assert first_imports(source) == imports


def test_an_interpreter_serves_only_where_nobody_can_tell():
    bare, loaded = kind(), kind("import pandas, xgboost")
    assert bare.serves(kind("print(1)"))
    assert bare.serves(kind("import pandas"))
    assert loaded.serves(kind("import xgboost\nimport pandas\nimport numpy"))
    assert not loaded.serves(kind("import pandas"))
    assert not loaded.serves(kind("x = 1\nimport pandas, xgboost"))
    assert not bare.serves(kind(python="/other/python"))
    assert not bare.serves(kind(TOKEN="secret"))
    assert not bare.serves(kind(PATH="/elsewhere"))


def test_what_each_job_has_of_its_own_makes_no_difference():
    assert kind(MLMAGICS_JOB_ID="2", CUDA_VISIBLE_DEVICES="GPU-1", PROJECT_URL="s3://q") == kind()


def test_modules_that_travel_with_a_job_are_not_imported_ahead():
    assert kind("import numpy, helpers.text", own_modules={"helpers"}).imports == ("numpy",)


def test_a_job_takes_what_saves_it_most():
    bare, some, more = kind(), kind("import pandas"), kind("import pandas, xgboost")
    assert choose([bare, some, more], kind("import pandas, xgboost, numpy")) == more
    assert choose([bare, some, more], kind("import pandas")) == some
    assert choose([some, more], kind("print(1)")) is None
    assert choose([], bare) is None


def test_what_comes_often_is_held_ready():
    habits = Habits()
    assert habits.wanted(2) == []
    habits.note(kind("import pandas"))
    assert habits.wanted(2) == [kind(), kind()]
    habits.note(kind("import pandas"))
    assert habits.wanted(2) == [kind(), kind("import pandas")]
    for _ in range(3):
        habits.note(kind("import torch"))
    assert habits.wanted(2) == [kind(), kind("import torch")]
    assert habits.wanted(4) == [kind(), kind("import torch"), kind("import pandas"), kind()]
    assert habits.wanted(0) == []


def test_the_latest_interpreter_is_the_one_that_counts():
    habits = Habits()
    for _ in range(3):
        habits.note(kind("import pandas"))
    habits.note(kind("import pandas", python="/other/python"))
    assert habits.wanted(2) == [Kind("/other/python", kind().variables)] * 2


def test_what_cannot_be_made_ready_is_not_tried_again():
    habits = Habits()
    for _ in range(2):
        habits.note(kind("import broken"))
    habits.give_up(kind("import broken"))
    assert habits.wanted(2) == [kind(), kind()]
    habits.give_up(kind())
    assert habits.wanted(2) == []


def test_old_habits_are_forgotten():
    habits = Habits()
    for _ in range(2):
        habits.note(kind("import pandas"))
    for _ in range(30):
        habits.note(kind())
    assert habits.wanted(2) == [kind(), kind()]
