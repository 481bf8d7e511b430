"""Which names a cell lacks: the cases that trip one of the two analysers, and what is said of each."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import pytest

from mlmagics.preflight.names import Missing, missing_names

HELD = {"df", "total", "t", "x"}


def names(found: dict[str, tuple[int, ...]]) -> set[str]:
    return set(found)


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("clean(df)", {"clean", "df"}),
        ("def f(x=d, *a, k: T = e, **kw) -> R:\n    return x, q", {"T", "R", "d", "e", "q"}),
        ("lambda v=w: v + u", {"w", "u"}),
        ("class A(Base, metaclass=Meta):\n    @decorated\n    def f(self): return self.x", {"Base", "Meta", "decorated"}),
        ("[a for a in b if c]", {"b", "c"}),
        ("[z for z in [1]]\nz", {"z"}),
        ("x: int\nprint(x)", {"x"}),
        ("await foo(bar)", {"foo", "bar"}),
        ("async with a as b: print(b)", {"a"}),
        ("with open(path) as f: pass", {"path"}),
        ("f'{a!r:>{b}}'", {"a", "b"}),
        ("match q:\n  case {'a': 1, **r}: print(r)\n  case [1, *s]: print(s)\n  case [2, t] as u: print(t, u)", {"q"}),
        ("if (n := f()) > 3: print(n)", {"f"}),
        ("[(w := i) for i in range(3)]\nw", set()),
        ("import os.path as p, a.b\nfrom c import d as e\np, a, e", set()),
        ("def f():\n    global g\n    g = 1\nf()\nprint(g)", set()),
        ("def f():\n    return g()\ndef g(): pass", set()),
        ("def f(n): return f(n - 1)", set()),
        ("for i in range(3): pass\nprint(i)", set()),
        ("try:\n    import ujson as json\nexcept ImportError:\n    import json\njson", set()),
        ("print(__name__, __doc__, display, get_ipython, In, Out, _, __, _12, _i3, exit)", set()),
        ("class A:\n    n = 3\n    m = n + 1\n    def f(self): return __class__", set()),
        ("# nothing", set()),
    ],
)  # fmt: skip
def test_what_both_report_is_missing(source: str, missing: set[str]) -> None:
    found = missing_names(source)
    assert names(found.errors) == missing
    assert not found.later
    assert not found.dynamic


@pytest.mark.parametrize(
    "source", ["df = df.dropna()", "df += 1", "del df", "df = 1\ndel df\ndf", "print(df); df = 1"]
)
def test_a_use_before_the_cell_has_defined_it_is_an_error_where_the_notebook_has_it(source: str) -> None:
    assert names(missing_names(source, held=HELD).errors) == {"df"}
    found = missing_names(source)
    assert names({**found.later, **found.errors}) == {"df"}


@pytest.mark.parametrize(
    "source",
    [
        # carried round a loop
        "for i in range(3):\n    if i: print(x)\n    x = i",
        "while go():\n    use(x) if go() else None\n    x = 1\ndef go(): pass\ndef use(x): pass",
        # only where a condition says so
        "if False:\n    print(x)\nx = 1",
    ],
)
def test_what_may_be_right_is_a_warning_even_where_the_notebook_has_it(source: str) -> None:
    found = missing_names(source, held=HELD)
    assert "x" not in found.errors
    assert "x" in found.later


def test_a_sum_that_nobody_has_begun_is_an_error_where_the_notebook_has_it() -> None:
    assert names(missing_names("for i in range(3):\n    total += i", held=HELD).errors) == {"total"}


@pytest.mark.parametrize(
    "source",
    [
        "from __future__ import annotations\ndef f(a: Foo) -> Bar: pass",
        "def f(a: 'Foo'): pass",
        "x: 'Foo' = 1",
        "try:\n    df\nexcept NameError:\n    df = 3\nprint(df)",
        "class A:\n    def f(self):\n        for i in range(3):\n            if i: print(prev)\n            prev = i",
    ],
)
def test_what_is_right_in_spite_of_pyflakes_is_passed_over(source: str) -> None:
    found = missing_names(source)
    assert not found.errors
    assert not found.later


def test_annotations_are_looked_at_where_python_evaluates_them() -> None:
    assert names(missing_names("def f(a: Foo): pass", later_annotations=False).errors) == {"Foo"}
    assert not missing_names("def f(a: Foo): pass", later_annotations=True).errors


@pytest.mark.parametrize(
    "source",
    [
        "from numpy import *\narray(3)",
        "exec('array = 1')\narray",
        "globals()['array'] = 1\narray",
        "locals()\narray",
        "vars()['array'] = 1\narray",
        "if 'array' not in dir(): array()",
        "%run x.py\narray",
        "%pylab\narray",
        "%%cython\ncdef int a = 1",
        "get_ipython().push({'array': 1})\narray",
        "import sys\nsys.modules[__name__].array = 1\narray",
        "import builtins\nbuiltins.array = 1\narray",
    ],
)
def test_code_that_may_bind_anything_is_dynamic(source: str) -> None:
    assert missing_names(source).dynamic


def test_a_star_tells_its_module() -> None:
    assert missing_names("from numpy import *\nfrom os.path import *").stars == ("numpy", "os.path")


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("try:\n    foo()\nexcept Exception as e:\n    print(e)", {"foo"}),
        ("try:\n    foo()\nexcept:\n    pass", {"foo"}),
        ("from contextlib import suppress\nwith suppress(NameError):\n    foo()", {"foo"}),
        ("import sys\nif sys.version_info < (3,):\n    text = unicode\nelse:\n    text = str", {"unicode"}),
        ("import sys\nn = 1 if sys else foo", {"foo"}),
    ],
)
def test_what_may_be_meant_to_fail_is_unsure(source: str, missing: set[str]) -> None:
    found = missing_names(source)
    assert not found.errors
    assert names(found.unsure) == missing


def test_a_name_of_the_notebook_is_an_error_under_a_condition_too() -> None:
    assert names(missing_names("import sys\nif sys.argv:\n    print(df)", held=HELD).errors) == {"df"}


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("%time x = f()\nx", {"f"}),
        ("y = %time f(a)\ny", {"f", "a"}),
        ("%timeit -n 10 -r3 y = f(a)\ny", {"f", "a", "y"}),
        ("%prun -s cumulative f(a)", {"f", "a"}),
        ("%%time\nx = q\nprint(x)", {"q"}),
        ("%%timeit n = m\nn + q", {"m", "q"}),
        ("%%capture out\nfoo()\n", {"foo"}),
        ("%%capture out\nx = 1\n%time y = x", set()),
        ("for i in range(3):\n    %time f(i)", {"f"}),
        ("%matplotlib inline\n%load_ext autoreload\nprint(a)", {"a"}),
        ("files = !ls\nfiles", set()),
        ("%%bash\necho $x", set()),
        ("%%bash --out lines\nls", set()),
        ("np.array?", set()),
    ],
)
def test_magics_are_unwrapped(source: str, missing: set[str]) -> None:
    found = missing_names(source)
    assert names(found.errors) == missing
    assert not found.dynamic


@pytest.mark.parametrize(
    ("source", "mentioned"),
    [
        ("!echo {x} $y", {"x", "y"}),
        ("x = 1\n!echo {x}", set()),
        ("import pandas as pd\npd.DataFrame().query('a > @t')", {"t"}),
        ("def f(df, t):\n    return df.query('a > @t')", set()),
        ("%cd {folder}", {"folder"}),
    ],
)
def test_names_in_texts_for_others_are_mentioned(source: str, mentioned: set[str]) -> None:
    assert names(missing_names(source).mentioned) == mentioned


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("\n\n\na\nb = 1\na", (4, 6)),
        ("\n\n%time 1\na", (4,)),
        ("\n%%time\n\na", (4,)),
        ("  x = 1\n  a", (2,)),
    ],
)
def test_lines_count_from_the_top_of_the_cell(source: str, lines: tuple[int, ...]) -> None:
    assert missing_names(source).errors == {"a": lines}


@pytest.mark.parametrize("source", ["x = = 1", "def f(:", "\0", "(" * 300])
def test_what_cannot_be_read_is_not_judged(source: str) -> None:
    assert missing_names(source) == Missing(dynamic=True)


def test_the_standard_library_lacks_nothing() -> None:
    folder = Path(sysconfig.get_paths()["stdlib"])
    files = [file for file in folder.glob("*.py") if file.stat().st_size < 40_000]
    assert len(files) > 50
    wrong = {}
    for file in sorted(files):
        found = missing_names(file.read_text(encoding="utf-8"))
        if found.errors and not found.dynamic:
            wrong[file.name] = found.errors
    assert not wrong


def test_what_is_taken_away_is_missed() -> None:
    cell = (
        "import os\nfrom json import dumps\nimport numpy as np\ndef clean(x):\n    return dumps(x)\nclass Model:\n    pass\n"
        "rate = 3\nfor i in range(rate):\n    print(os.getcwd(), clean(i), Model(), np.zeros(i))\n"
    )
    assert not missing_names(cell).errors
    for name, line in {"os": 0, "dumps": 1, "np": 2, "rate": 7}.items():
        lines = cell.splitlines()
        del lines[line]
        assert name in missing_names("\n".join(lines)).errors, name


@pytest.mark.skipif(sys.version_info < (3, 12), reason="new syntax")
def test_type_parameters_are_bound() -> None:
    assert not missing_names("def f[T](x: T) -> T: return x\nclass A[K]: k: K\ntype P = list[int]\nP").errors
