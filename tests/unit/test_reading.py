"""Which names a cell reads before it sets them."""

import ast

import pytest

from mlmagics.magics.reading import names_deleted, names_read

EARLIER = """
import functools

def f():
    return m

def g():
    return f()

def takes(m):
    return m

def sets():
    global m
    m = 1

class Trainer:
    def fit(self):
        return [m for _ in range(2)]

trainer = Trainer()
bound = trainer.fit
partial = functools.partial(print, f)
cached = functools.lru_cache(f)
by_lambda = lambda: m
holder = [f]
"""


@pytest.fixture(scope="module")
def space():
    made = {"__name__": "__main__"}
    exec(EARLIER, made)
    return made


@pytest.mark.parametrize(
    "cell",
    [
        "m",
        "m.predict(1)",
        "print(f'{m}')",
        "m = m + 1",
        "m += 1",
        "x = [1 for _ in m]",
        "[m * x for x in y]",
        "sorted(y, key=lambda row: m[row])",
        "for x in m: pass",
        "while m: break",
        "if m: pass",
        "with m as x: pass",
        "with open(m) as m: pass",
        "if x:\n    m = 3\nprint(m)",
        "try:\n    m = 3\nexcept OSError:\n    pass\nprint(m)",
        "for m in y: pass\nprint(m)",
        "for x in y:\n    if x:\n        break\n    m.step()",
        "def h(a=m): pass",
        "class A:\n    x = m",
        "@m\ndef h(): pass",
        "@decorator\ndef h():\n    return m",
        "def h():\n    return m\nh()",
        "def h():\n    return inner()\ndef inner():\n    return m\nh()",
        "class A:\n    def go(self):\n        return m\nA().go()",
        "f()",
        "g()",
        "run = f",
        "map(g, y)",
        "trainer.fit()",
        "Trainer()",
        "bound()",
        "partial()",
        "cached()",
        "by_lambda()",
        "await m",
        "async with m: pass",
        "match m:\n    case 1: pass",
        "x: m = 3",
        "del m.attribute",
        "m[0] = 1",
        "get_ipython().run_line_magic('prun', 'f(m)')",
        "get_ipython().run_line_magic('prun', 'g()')",
        "get_ipython().run_cell_magic('prun', '', 'x = 1\\nm')",
        "get_ipython().system('echo {m}')",
        "files = get_ipython().getoutput('ls $m')",
    ],
)
def test_reads_it(cell, space):
    assert names_read(ast.parse(cell), space, {"m", "other"}) == {"m"}


@pytest.mark.parametrize(
    "cell",
    [
        "x = 1",
        "m = 3",
        "m = 3\nprint(m)",
        "m: int = 3\nm",
        "(m := 3)",
        "a, (b, *m) = y\nm",
        "import m",
        "import numpy as m\nm.zeros(3)",
        "from x import y as m\nm",
        "def m(): return 1\nm()",
        "class m: pass\nm()",
        "for m in y:\n    print(m)",
        "with open('x') as m:\n    m.read()",
        "try:\n    1 / 0\nexcept ZeroDivisionError as m:\n    print(m)",
        "if x:\n    m = 3\nelse:\n    m = 4\nprint(m)",
        "try:\n    m = 3\nfinally:\n    pass\nm",
        "del m",
        "x.m",
        "x(m=3)",
        "'m'",
        "[m for m in y]",
        "def h():\n    return m",
        "def h(m):\n    return m\nh(1)",
        "def h():\n    m = 1\n    return m\nh()",
        "class A:\n    def go(self):\n        return m",
        "takes(3)",
        "sets()",
        "m = 1\ndef h():\n    return m\nh()",
        "m = 1\nf()",
        "get_ipython().run_cell_magic('gpu-box', '--fetch m', 'm = train()')",
        "get_ipython().run_line_magic('fetch', 'gpu-box/42 m as n')",
        "get_ipython().run_line_magic('pip', 'install m')",
        "get_ipython().system('echo m')",
        "break",
        "return m_is_not_it",
    ],
)
def test_does_not_read_it(cell, space):
    assert names_read(ast.parse(cell), space, {"m"}) == set()


def test_functions_that_call_each_other_are_followed_once(space):
    cell = "def a():\n    return b()\ndef b():\n    return a() or m\na()"
    assert names_read(ast.parse(cell), space, {"m"}) == {"m"}


def test_an_object_with_hooks_is_looked_at_without_running_them():
    class Trap:
        def __getattribute__(self, name):
            raise AssertionError(name)

    assert names_read(ast.parse("trap"), {"trap": Trap()}, {"m"}) == set()


def test_deleted_names_are_those_of_del():
    assert names_deleted(ast.parse("del m, x.y\nif a:\n    del (n)\nm = 1")) == {"m", "n"}
