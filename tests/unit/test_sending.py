"""How each name of a notebook travels with a cell, and what it takes along."""

from __future__ import annotations

import linecache
import math
import os.path
import sys
import threading
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mlmagics.display.transfer import Transfer
from mlmagics.errors import BadValue
from mlmagics.sending.cells import Cells
from mlmagics.sending.choosing import Luggage, constant
from mlmagics.sending.modules import LocalModules
from mlmagics.sending.parcel import pack, told
from mlmagics.sending.pickling import CannotTravel
from mlmagics_job.packing import NotPacked, pieces, taken_apart


class Notebook:
    """Cells that are run as a notebook runs them."""

    def __init__(self, folder: Path) -> None:
        self.main = ModuleType("__main__")
        self.space: dict[str, Any] = self.main.__dict__
        self.texts = [""]
        self.numbers: dict[str, int] = {}
        self.folder = folder

    def run(self, *cells: str) -> Notebook:
        for text in cells:
            number = len(self.texts)
            name = f"<cell {id(self)} {number}>"
            self.texts.append(text)
            self.numbers[name] = number
            linecache.cache[name] = (len(text), None, text.splitlines(True), name)
            exec(compile(text, name, "exec", dont_inherit=True), self.space)
        return self

    def luggage(self, *names: str) -> Luggage:
        found = Luggage(self.space, Cells(self.texts, self.numbers), LocalModules([""], self.folder))
        found.add(names)
        return found


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Notebook:
    made = Notebook(tmp_path)
    # classes and functions are looked up there when they are pickled
    monkeypatch.setitem(sys.modules, "__main__", made.main)
    return made


def test_a_function_goes_as_its_text_with_all_that_it_uses(notebook: Notebook) -> None:
    notebook.run(
        "import math\nRATE = 2",
        "def base(x):\n    return x * RATE\n\ndef f(x):\n    return math.sqrt(base(x))",
    )
    luggage = notebook.luggage("f")
    assert set(luggage.definitions) == {"f", "base", "RATE", "math"}
    f = luggage.definitions["f"]
    assert (f.text, f.origin, f.line) == ("def f(x):\n    return math.sqrt(base(x))", "In[2]", 4)
    assert luggage.definitions["RATE"].text == "RATE = 2"
    assert luggage.definitions["math"].text == "import math"
    assert luggage.values == {}


def test_definitions_come_behind_what_they_need_when_they_run(notebook: Notebook) -> None:
    notebook.run(
        "def wrap(f):\n    return lambda: f() + OFFSET",
        "OFFSET = [1, 2]\nOBJECT = {1: {2: object()}}",
        "class Base:\n    pass",
        "class Child(Base):\n    table = OBJECT\n\n@wrap\ndef g(): return 1\n",
    )
    luggage = notebook.luggage("Child")
    order = luggage.order()
    assert order.index("Base") < order.index("Child")
    assert order.index("OBJECT") < order.index("Child")
    parcel = pack(luggage)
    [value] = parcel.inputs.values
    assert (value.name, parcel.inputs.sources[value.before].name) == ("OBJECT", "Child")
    decorated = notebook.luggage("g")
    # it is a closure by now; its text is the decorated one
    assert decorated.values or decorated.order().index("OFFSET") < decorated.order().index("g")


def test_an_older_definition_of_the_same_name_is_not_taken(notebook: Notebook) -> None:
    notebook.run(
        "def f():\n    return 1",
        "def f():\n    return 2",
        "class A:\n    def one(self): ...",
        "class A:\n    def two(self): ...",
    )
    assert "return 2" in notebook.luggage("f").definitions["f"].text
    assert "two" in notebook.luggage("A").definitions["A"].text


@pytest.mark.parametrize(
    ("cell", "name", "text"),
    [
        ("import os.path", "os", "import os"),
        ("import collections.abc\nimport collections", "collections", "import collections"),
        ("from math import sqrt as root", "root", "from math import sqrt as root"),
        ("import xml.dom as dom", "dom", "import xml.dom as dom"),
        ("from collections import *", "Counter", "from collections import Counter"),
        ("f = lambda x: x + 1", "f", "f = lambda x: x + 1"),
        ("N = {'a': (1, 2.5, None, b'x')}", "N", "N = {'a': (1, 2.5, None, b'x')}"),
    ],
)
def test_imports_and_constants_are_source(notebook: Notebook, cell: str, name: str, text: str) -> None:
    notebook.run(cell)
    assert notebook.luggage(name).definitions[name].text.splitlines()[0] == text


def test_modules_within_packages_are_imported_by_their_whole_name(notebook: Notebook) -> None:
    notebook.run("import xml.etree.ElementTree\nimport xml.dom")
    text = notebook.luggage("xml").definitions["xml"].text
    assert text.splitlines() == ["import xml", "import xml.dom", "import xml.etree.ElementTree"]


def test_what_is_no_plain_constant_goes_as_a_value(notebook: Notebook) -> None:
    notebook.run(
        "big = list(range(5000))\nnan = float('nan')\ncount = __import__('collections').Counter('ab')"
    )
    notebook.run("def make():\n    k = 3\n    def inner(): return k\n    return inner\nclosure = make()")
    for name in ("big", "nan", "count", "closure"):
        assert list(notebook.luggage(name).values) == [name]
    assert constant("x" * 3000) is None
    assert constant([1, {"a": float("inf")}]) is None
    assert constant(Counter()) is None
    assert constant(True) == "True"
    # in no other order in another process
    assert constant([{"b", "a", ("z",)}, {"k": {2, 1}}]) == "[{'a', 'b', ('z',)}, {'k': {1, 2}}]"


def test_an_object_of_a_notebook_class_takes_the_class_along_as_source(notebook: Notebook) -> None:
    notebook.run(
        "LIMIT = 5\nclass Config:\n    def ok(self, x):\n        return x < LIMIT\nconfig = Config()\nconfigs = [config, config]"
    )
    luggage = notebook.luggage("configs")
    parcel = pack(luggage)
    assert [part.name for part in parcel.inputs.sources] == ["Config", "LIMIT"]
    [value] = parcel.inputs.values
    data = b"".join(bytes(piece) for piece in parcel.blobs[value.sha256].pieces)
    assert b"Config" in data
    assert b"LIMIT" not in data
    # the same value has the same bytes
    assert pack(notebook.luggage("configs")).inputs.values == parcel.inputs.values


def test_what_cannot_be_pickled_is_named_with_the_way_to_it(notebook: Notebook) -> None:
    notebook.run(
        "class T:\n    pass\nt = T()\nt.deep = [0, {'k': (1, __import__('threading').Lock())}]\nlock = __import__('threading').Lock()"
    )
    with pytest.raises(
        CannotTravel, match=r"^t cannot be sent: t\.deep\[1\]\['k'\]\[1\] is a _thread\.lock, which cannot"
    ):
        pack(notebook.luggage("t"))
    with pytest.raises(CannotTravel, match=r"^lock cannot be sent: a _thread\.lock cannot be pickled"):
        pack(notebook.luggage("lock"))
    assert isinstance(notebook.space["lock"], type(threading.Lock()))


# --- modules beside the notebook -------------------------------------------------------------------------


def test_local_modules_go_with_what_they_import_and_nothing_else(tmp_path: Path) -> None:
    files = {
        "helpers.py": "import json, numpy\nfrom pkg import part\n",
        "pkg/__init__.py": "from . import base\n",
        "pkg/base.py": "",
        "pkg/part.py": "def f():\n    from ..helpers import x\n    from .sub.deep import y\n    import other\n",
        "pkg/sub/deep.py": "",
        "pkg/unused.py": "",
        "other.py": "syntax error(",
        "json.py": "",
        "unused.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    local = LocalModules(["", *sys.path], tmp_path)
    found = [file.path for file in local.needed(["helpers"])]
    assert found == [
        "helpers.py",
        "other.py",
        "pkg/__init__.py",
        "pkg/base.py",
        "pkg/part.py",
        "pkg/sub/deep.py",
    ]
    assert [file.path for file in local.needed(["pkg.base"])] == ["pkg/__init__.py", "pkg/base.py"]
    for name in ("json", "numpy", "pytest", "mlmagics", "nothing"):
        assert not local.has(name)


def test_installed_packages_do_not_go_even_from_within_the_folder(tmp_path: Path) -> None:
    inside = tmp_path / ".venv" / "lib" / "site-packages"
    inside.mkdir(parents=True)
    (inside / "dep.py").write_text("")
    assert not LocalModules(["", str(inside)], tmp_path).has("dep")
    beside = tmp_path / "lib"
    beside.mkdir()
    (beside / "own.py").write_text("")
    assert LocalModules(["", str(beside)], tmp_path).has("own")


def test_an_empty_module_still_has_a_byte(tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("")
    luggage = Luggage({}, Cells(), LocalModules([""], tmp_path))
    luggage.add_modules(["empty", "os"])
    parcel = pack(luggage)
    assert [(file.path, file.size) for file in parcel.inputs.files] == [("empty.py", 1)]
    assert told(parcel) == "1 file, 1 B"


# --- bytes -----------------------------------------------------------------------------------------------


def test_a_packed_value_is_taken_apart_without_copies() -> None:
    buffers = [bytearray(b"abc"), bytearray(), bytearray(range(200))]
    data = b"".join(bytes(piece) for piece in pieces({"python": "3.13"}, b"pickle", buffers))
    info, pickled, parts = taken_apart(data)
    assert (info, bytes(pickled), [bytes(part) for part in parts]) == (
        {"python": "3.13"},
        b"pickle",
        [*map(bytes, buffers)],
    )
    whole = bytearray(data)
    _, _, parts = taken_apart(whole)
    parts[0][0] = ord("z")
    assert b"zbc" in whole
    starts = [data.index(b"pickle"), data.index(bytes(range(200)))]
    assert [start % 64 for start in starts] == [0, 0]


@pytest.mark.parametrize("damage", [slice(0, 0), slice(0, 7), slice(0, 40), slice(0, -1), slice(1, None)])
def test_half_a_packed_value_is_none(damage: slice) -> None:
    data = b"".join(bytes(piece) for piece in pieces({}, b"pickle", [b"x" * 100]))
    with pytest.raises(NotPacked):
        taken_apart(data[damage])


def test_a_transfer_tells_how_far_it_is() -> None:
    transfer = Transfer(2 * 2**20)
    transfer.moved("df", 2**20)
    assert transfer.line(2.0) == f"sending df |{'█' * 15}{'░' * 15}| 1 MiB of 2 MiB, 512 KiB/s"
    transfer.close()


def test_no_value_of_that_kind_is_lost() -> None:
    with pytest.raises(BadValue):
        Luggage({"main": sys.modules["__main__"]}, Cells(), LocalModules([], Path())).add(["main"])
    assert math.isfinite(os.path.getmtime(__file__))
