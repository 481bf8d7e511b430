"""What is said about a cell before it is sent: each line with what to type, and only what surely fails is an error."""

from __future__ import annotations

import dataclasses
import math
import sys

import pytest

from cluster_agent.protocol import Info, Limits, Packages, Submit
from mlmagics.errors import BadCell
from mlmagics.preflight import Finding, Target, check, refuse, remarks
from mlmagics.preflight.here import Here
from mlmagics.preflight.resources import check_resources


def clean(x):
    return x


HERE = Here(
    names={"df": [1], "m": math, "math": math, "clean": clean, "x": 3, "In": [], "_": 1},
    exists=lambda path: path in ("data/trips.csv", "m.pt", "data/labels.json"),
    cells=["", "import math as m\ndef clean(x): return x", "%%time\ndf = 3", "df = 4", "%%gpu-box\ndf = 5"],
    has_module=lambda name: name in ("helpers", "utils"),
)
PACKAGES = Packages(
    python="/opt/python",
    version="3.10.2",
    modules={
        "numpy": "numpy",
        "utils": "utils",
        "json": "",
        "math": "",
        "pyflakes": "pyflakes",
        "httpx": "httpx",
    },
    distributions={"numpy": "1.26.0", "pyflakes": "1.0.0", "utils": "1", "httpx": "0.1.0"},
)
TARGET = Target(
    cluster="gpu-box",
    python="3.10.2",
    ask_packages=lambda _again: PACKAGES,
    project_has=lambda path: path.startswith("models/"),
)


def errors(source: str, **more: object) -> list[str]:
    return told(source, "error", **more)


def warnings(source: str, **more: object) -> list[str]:
    return told(source, "warning", **more)


def told(source: str, level: str, *, sent: tuple[str, ...] = (), target: Target = TARGET) -> list[str]:
    return [
        found.message for found in check(source, sent=sent, here=HERE, target=target) if found.level == level
    ]


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("df", "df is defined in your notebook (In [3], list), not in the cell: add --send df"),
        ("clean(1)", "clean is defined in your notebook (In [1], function), not in the cell: add --send clean"),
        ("m.pi", "m is imported in your notebook, not in the cell: write import math as m into it"),
        ("math.pi", "math is imported in your notebook, not in the cell: write import math into it"),
        (
            "df = df.dropna()",
            ("df is defined in your notebook (In [3], list), and the cell uses it before it defines its own: "
            "add --send df"),
        ),
        (
            "claen(1)",
            "claen is defined nowhere, neither in the cell nor in your notebook: did you mean clean?",
        ),
        ("np.pi", "np is defined nowhere, neither in the cell nor in your notebook: write import numpy as np into it"),
        ("os.sep", "os is defined nowhere, neither in the cell nor in your notebook: write import os into it"),
        (
            "nothing_like_it",
            ("nothing_like_it is defined nowhere, neither in the cell nor in your notebook: define it, or import it in "
            "the cell"),
        ),
    ],
)  # fmt: skip
def test_names(source: str, line: str) -> None:
    assert errors(source) == [line]


def test_a_program_is_told_in_its_own_words() -> None:
    program = dataclasses.replace(HERE, notebook=False, cells=[])
    found = check("df\nnowhere_at_all\nimport helpers", here=program, target=TARGET)
    assert [finding.message for finding in found] == [
        "df is defined in your program (list), not in the cell: add send=['df']",
        "nowhere_at_all is defined nowhere: define it, or import it in the cell",
        "helpers is a module here, not in the job: add send=['helpers']",
    ]


def test_names_that_are_sent_are_there() -> None:
    assert not check("df = df + clean(x)", sent=["df", "clean", "x"], here=HERE, target=TARGET)


def test_where_names_may_come_from_elsewhere_they_are_a_warning() -> None:
    assert not errors("exec('df = 1')\ndf")
    assert warnings("exec('df = 1')\ndf")
    # and nothing is said where the module that gives them is known
    assert not warnings("from math import *\nprint(sqrt(pi))")


def test_names_in_a_command_are_a_warning() -> None:
    assert warnings("!echo {x} $HOME") == [
        "x is defined in your notebook (int, 28 B), not in the cell: add --send x"
    ]


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("import helpers", "helpers is a module beside your notebook, not in the job: add --send helpers"),
        ("import torch", "torch is not installed on gpu-box: add --with torch"),
        (
            "from sklearn.metrics import r2_score",
            "sklearn is not installed on gpu-box: add --with scikit-learn",
        ),
        ("import no_such", "no_such is not installed on gpu-box: add --with PACKAGE"),
        ("import pytest", "pytest is not installed on gpu-box: add --with pytest"),
        ("import cv2", "cv2 is not installed on gpu-box: add --with opencv-python-headless"),
        ("import tomllib", "tomllib is not in Python 3.10.2, which gpu-box runs"),
        (
            "from google.colab import drive",
            "google.colab is on Colab only: read and write under project:// where the cell used drive or files",
        ),
    ],
)
def test_imports(source: str, line: str) -> None:
    if sys.version_info >= (3, 11) or "tomllib" not in source:
        assert errors(source) == [line]


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    import torch\nexcept ImportError:\n    torch = None",
        "import sys\nif sys.argv:\n    import torch",
        "def f():\n    import torch",
        "import json, numpy, sys, mlmagics",
        "from . import torch",
    ],
)
def test_imports_that_need_not_fail_are_no_errors(source: str) -> None:
    assert not errors(source)


def test_modules_that_are_sent_and_packages_of_ones_own() -> None:
    target = Target(cluster="gpu-box", ask_packages=lambda _again: PACKAGES, sent_modules=["helpers"])
    assert not check("import helpers", here=HERE, target=target)
    target = Target(cluster="gpu-box", ask_packages=lambda _again: PACKAGES, more_packages=True)
    assert not check("import torch", here=HERE, target=target)


def test_before_something_is_said_to_lack_the_cluster_is_asked_again() -> None:
    asked: list[bool] = []

    def ask(again: bool) -> Packages:
        asked.append(again)
        return (
            PACKAGES
            if not again
            else Packages(python="", version="3.10.2", modules={"torch": "torch"}, distributions={})
        )

    assert not check("import torch", here=HERE, target=Target(cluster="gpu-box", ask_packages=ask))
    assert asked == [False, True]
    asked.clear()
    assert not check("x = 1", here=HERE, target=Target(cluster="gpu-box", ask_packages=ask))
    assert not asked


def test_a_module_of_ones_own_that_a_package_hides_is_told() -> None:
    assert warnings("import utils") == [
        (
            "utils is a module beside your notebook, and gpu-box has a package of that name, which the job takes: "
            "add --send utils for yours"
        )
    ]


def test_other_versions_are_told_where_they_matter() -> None:
    from importlib.metadata import version

    ours = version("pyflakes")
    assert warnings("import pyflakes") == [
        f'pyflakes is {ours} here and 1.0.0 on gpu-box: add --with "pyflakes=={ours}" for the same'
    ]
    assert not warnings(
        "import pyflakes",
        target=Target(cluster="local", own_python=True, ask_packages=lambda _again: PACKAGES),
    )


PUT = (
    "data/trips.csv exists beside your notebook, not in the job: put it into the project (import fsspec; "
    "fsspec.filesystem('project').put('data/trips.csv', 'data/trips.csv')) and read project://data/trips.csv in the job"
)


@pytest.mark.parametrize(
    "source",
    [
        "import pandas as pd\ndf = pd.read_csv('data/trips.csv')",
        "from pandas import read_csv\nread_csv('data/trips.csv')",
        "import pandas as pd\nN = 3\ndef f(): pass\npd.set_option('display.width', N)\npd.read_csv(filepath_or_buffer='data/trips.csv')",
        "path = 'data/trips.csv'\nwith open(path) as file:\n    print(file.read())",
        "from pathlib import Path\nimport pandas as pd\npd.read_csv(Path('data/trips.csv'))",
    ],
)
def test_a_file_beside_the_notebook(source: str) -> None:
    target = Target(cluster="gpu-box")
    assert errors(source, target=target) == [PUT]


@pytest.mark.parametrize(
    "source",
    [
        # something before may make it, or nothing reads it for sure
        "def download(): pass\nimport pandas as pd\ndownload()\npd.read_csv('data/trips.csv')",
        "import os\nos.chdir('/data')\nopen('data/trips.csv')",
        "def f():\n    return open('data/trips.csv')",
        "try:\n    open('data/trips.csv')\nexcept OSError:\n    pass",
        "import sys\nif sys.argv:\n    open('data/trips.csv')",
        "print\nprint.Dataset('data/trips.csv')",
    ],
)
def test_a_file_that_may_be_made_is_a_warning(source: str) -> None:
    target = Target(cluster="gpu-box")
    assert not errors(source, target=target)
    assert warnings(source, target=target) == [PUT]


@pytest.mark.parametrize(
    "source",
    [
        "open('data/trips.csv', 'w').write('')",
        "out = open('data/trips.csv', mode='w')\nout.close()\nopen('data/trips.csv')",
        "!wget -O data/trips.csv https://example.org/trips.csv\nopen('data/trips.csv')",
        "open('nowhere.csv')",
        "print('data/trips.csv')",
        "open('/data/trips.csv')",
        "open(f'data/{1}.csv')",
    ],
)
def test_files_about_which_nothing_is_said(source: str) -> None:
    assert not check(source, here=HERE, target=TARGET)


def test_a_file_of_the_project_that_is_not_there() -> None:
    line = "there is no project://data/x.csv on gpu-box: see what is there with fsspec.filesystem('project').ls('data')"
    source = "import numpy\nimport pandas as pd\npd.read_csv('project://data/x.csv')"
    target = Target(cluster="gpu-box", project_has=lambda _path: False)
    assert errors(source, target=target) == [line]
    busy = Target(cluster="gpu-box", project_has=lambda _path: False, busy=True)
    assert (errors(source, target=busy), warnings(source, target=busy)) == ([], [line])
    for has in (True, None):
        assert not check(
            source, here=HERE, target=Target(cluster="gpu-box", project_has=lambda _path, has=has: has)
        )
    assert not errors(
        "import pandas as pd\npd.DataFrame().to_csv('project://data/x.csv')\npd.read_csv('project://data/x.csv')",
        target=target,
    )


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (
            "open('project://a.txt', 'w').write('a')",
            "open() takes no project:// path: write mlmagics.project.open('a.txt', 'w') in its place (import mlmagics)",
        ),
        (
            "open('project://models/a.txt').read()",
            "open() takes no project:// path: write mlmagics.project.open('models/a.txt') in its place (import mlmagics)",
        ),
        (
            "import numpy as np\nnp.load('project://models/a.npy')",
            (
                "numpy.load() takes no project:// path: give it mlmagics.project.path('models/a.npy'), which is a path that "
                "it can open (import mlmagics)"
            ),
        ),
        (
            "import xgboost\nmodel = xgboost.Booster()\nmodel.save_model('project://m.json')",
            (
                "save_model() takes no project:// path: write with mlmagics.project.path('m.json', 'w') as path: "
                "save_model(path) (import mlmagics)"
            ),
        ),
        (
            "import torch\ntorch.save({}, 'project://m.pt')",
            (
                "torch.save() takes no project:// path: write with mlmagics.project.path('m.pt', 'w') as path: "
                "torch.save(..., path) (import mlmagics)"
            ),
        ),
        (
            "import os\nos.listdir('project://models')",
            (
                "os.listdir() takes no project:// path: give it mlmagics.project.path('models'), which is a path that it "
                "can open (import mlmagics)"
            ),
        ),
    ],
)
def test_calls_that_take_no_path_of_the_project(source: str, line: str) -> None:
    assert errors(source, target=Target(cluster="gpu-box")) == [line]


@pytest.mark.parametrize(
    "source",
    [
        "import pandas as pd\npd.read_csv('project://models/a.csv')",
        "import fsspec\nfsspec.open('project://a.txt')",
        "import os\nos.path.join('project://a', 'b')",
        "def open(path): pass\nopen('project://a')",
        "class Model:\n    def save_model(self, path): pass\nModel().save_model('project://m')\nimport xgboost",
        "def f():\n    open('project://a')",
    ],
)
def test_calls_that_may_take_one_are_no_errors(source: str) -> None:
    assert not errors(source, target=Target(cluster="gpu-box"))


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("print(__file__)", "a cell has no __file__: write Path.cwd() for the job's own folder, or a path under project://"),
        (
            "name = input('who? ')",
            "input() is called, but a job has no keyboard: write the value into the cell, or pass it with --param NAME=VALUE",
        ),
        (
            "from getpass import getpass\ngetpass()",
            ("getpass() is called, but a job has no keyboard: set the secret in the environment here and pass it with "
            "--env NAME"),
        ),
        (
            "print(_12)",
            ("_12 is an earlier input or output of your notebook, which the job has not: give the value a name and send "
            "it with --send NAME"),
        ),
    ],
)  # fmt: skip
def test_habits(source: str, line: str) -> None:
    assert errors(source, target=Target(cluster="gpu-box")) == [line]


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    here = __file__\nexcept NameError:\n    here = ''",
        "here = __file__ if '__file__' in globals() else ''",
        "def ask():\n    return input()",
        "for _ in range(3): print(_)",
        "def f(_): return _",
    ],
)
def test_habits_that_do_no_harm(source: str) -> None:
    assert not errors(source, target=Target(cluster="gpu-box"))


@pytest.mark.parametrize(
    ("source", "since", "needs"),
    [
        ("match 3:\n    case 3: pass", (3, 9), (3, 10)),
        ("try:\n    pass\nexcept* ValueError:\n    pass", (3, 10), (3, 11)),
        ("def f[T](x: T): return x", (3, 11), (3, 12)),
        ("d = {}\nf'{d['a']}'", (3, 11), (3, 12)),
        ("f'{'\\n'.join([])}'", (3, 11), (3, 12)),
    ],
)
def test_syntax_that_is_too_new(source: str, since: tuple[int, int], needs: tuple[int, int]) -> None:
    if sys.version_info[:2] < needs:
        pytest.skip("new syntax")
    old = Target(cluster="gpu-box", python=f"{since[0]}.{since[1]}.4")
    (line,) = errors(source, target=old)
    assert f"gpu-box runs Python {since[0]}.{since[1]}.4" in line
    new = Target(cluster="gpu-box", python=f"{needs[0]}.{needs[1]}.0")
    assert not errors(source, target=new)


@pytest.mark.parametrize(
    "source",
    [
        'd = w = 1\nprint(f"{d!r:>{w}}" f\'{1}\' "it\'s")',
        "f'''{1} \"x\" {'a'}'''",
        "rf'\\d{1}'",
        "f'{1}' 'it\\'s'",
    ],
)
def test_old_fstrings_are_no_news(source: str) -> None:
    assert not errors(source, target=Target(cluster="gpu-box", python="3.8.1"))


def info(**more: object) -> Info:
    fields = {
        "agent_id": "a", "version": "1", "protocol": 1, "public_url": "", "user": "ada", "role": "user", "gpus": 8,
        "gpus_free": 8, "gpu_names": [], "cpus": 64, "cpus_free": 1, "memory_bytes": 2**38, "memory_free_bytes": 1,
        "default_gpus": 1, "default_timeout_s": 60, "max_timeout_s": 86400.0, "running": 0, "queued": 0, "python": "",
        "python_version": "", "projects": [], "capabilities": [], "durability": "", "isolation": "",
        "survives_restart": True, "limits": Limits(gpus=4, timeout_s=86400.0), **more,
    }  # fmt: skip
    return Info(**fields)


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"gpus": 9}, "--gpus 9: gpu-box has 8 GPUs"),
        ({"gpus": 5}, "--gpus 5: your limit on gpu-box is 4 at once"),
        ({"cpus": 65}, "--cpus 65: gpu-box has 64"),
        ({"memory_bytes": 2**39}, "--memory 512 GiB: gpu-box has 256 GiB"),
        ({"timeout_s": 90000.0}, "--timeout 1 d 1 h: at most 1 d for you on gpu-box"),
    ],
)
def test_resources_that_the_box_never_has(asked: dict[str, object], line: str) -> None:
    found = list(check_resources(Submit(source="1", **asked), info(), "gpu-box"))
    assert [finding.message for finding in found] == [line]
    assert found[0].level == "error"


def test_resources_that_it_has() -> None:
    fits = Submit(source="1", gpus=4, cpus=64, memory_bytes=2**38, timeout_s=86400.0)
    assert not list(check_resources(fits, info(), "gpu-box"))
    assert not list(check_resources(Submit(source="1"), info(gpus=0), "gpu-box"))


def test_one_error_is_one_line_and_several_say_what_to_type_for_all() -> None:
    with pytest.raises(BadCell) as one:
        refuse(check("print(df)", here=HERE, target=TARGET), "gpu-box")
    assert one.value.message == (
        "nothing was sent: line 1: df is defined in your notebook (In [3], list), not in the cell: add --send df "
        "(--no-check sends it as it is)"
    )
    with pytest.raises(BadCell) as several:
        refuse(check("clean(df)\nm.pi\nx", here=HERE, target=TARGET), "gpu-box")
    first, *lines = several.value.message.splitlines()
    assert first == "the cell cannot run on gpu-box, nothing was sent (--no-check sends it as it is):"
    assert len(lines) == 5
    assert lines[-1].strip() == "all at once: --send clean,df,x   or --send auto"


def test_warnings_refuse_nothing_and_are_few() -> None:
    found = [
        Finding(level="warning", code="name_later", message=f"m{number}", line=number) for number in range(20)
    ]
    refuse(found, "gpu-box")
    shown = remarks(found)
    assert shown[:2] == ["m0", "line 1: m1"]
    assert shown[-1] == "and 12 more of this kind"


@pytest.mark.parametrize("source", ["x = = 1", "(" * 300, "\0"])
def test_what_cannot_be_read_is_not_judged(source: str) -> None:
    assert check(source, here=HERE, target=TARGET) == []
