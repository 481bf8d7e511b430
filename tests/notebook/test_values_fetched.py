"""``--fetch``: values of many kinds come back as they were, small ones unasked, and nothing in them runs."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from front_end import FrontEnd

from mlmagics import api
from mlmagics.cluster.local import LocalAgent
from mlmagics.cluster.session import Session
from mlmagics.cluster.store import AttachmentStore
from mlmagics.errors import UserError
from mlmagics.job.handle import Job
from mlmagics.job.results import NotTrusted

pytest.importorskip("pandas")
pytest.importorskip("scipy")
import value_kinds

MODELS = """
import numpy as np
import matplotlib.pyplot as plt
import xgboost, lightgbm
from sklearn.linear_model import LogisticRegression
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X = np.random.default_rng(0).normal(size=(200, 4))
y = (X[:, 0] > 0).astype(int)
booster = xgboost.train({"max_depth": 2}, xgboost.DMatrix(X, y), 5)
classifier = xgboost.XGBClassifier(n_estimators=5, max_depth=2).fit(X, y)
light = lightgbm.train({"verbose": -1}, lightgbm.Dataset(X, y), 5)
light_model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(X, y)
linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
forest = RandomForestClassifier(5).fit(X, y)
figure = plt.figure()
expected = {name: globals()[name].predict(xgboost.DMatrix(X) if name == "booster" else X)
            for name in ("booster", "classifier", "light", "light_model", "linear", "forest")}
"""


@pytest.fixture
def submit(settings: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Job]]:
    session = Session(AttachmentStore(tmp_path / "config"), LocalAgent(tmp_path / "local"))
    yield lambda source, **options: api.submit(source, "gpu-box", session=session, **options)
    session.close()


def test_values_of_every_kind_are_equal_after_the_trip(submit: Callable[..., Job]) -> None:
    made = value_kinds.make()
    source = inspect.getsource(value_kinds.make) + "\nglobals().update(make())"
    job = submit(source, fetch=list(made)).wait(120)
    entries = {entry.name: entry for entry in job.results()}
    assert {name: entry.reason for name, entry in entries.items() if entry.reason} == {}
    assert {entry.format for entry in entries.values()} == {"json", "tagged", "npy", "npz", "arrow"}
    assert len(entries) == len(made) >= 40
    other = {name: value_kinds.same(value, job.value_of(entries[name])) for name, value in made.items()}
    assert {name: difference for name, difference in other.items() if difference} == {}


def test_values_of_every_kind_are_equal_after_the_trip_there(submit: Callable[..., Job]) -> None:
    source = f"{inspect.getsource(value_kinds)}\nother = {{n: d for n, v in make().items() if (d := same(v, sent[n]))}}"
    job = submit(source, send={"sent": value_kinds.make()}, fetch="other").wait(120)
    assert job.result("other") == {}


def test_models_and_figures_come_in_the_formats_of_their_libraries(submit: Callable[..., Job]) -> None:
    for name in ("xgboost", "lightgbm", "sklearn", "skops", "matplotlib"):
        pytest.importorskip(name)
    import numpy as np
    import xgboost

    names = ["booster", "classifier", "light", "light_model", "linear", "forest"]
    job = submit(MODELS, fetch=[*names, "figure", "expected", "X"]).wait(120)
    formats = {entry.name: entry.format or entry.reason for entry in job.results()}
    assert [formats[name] for name in names] == ["xgboost", "xgboost", "lightgbm", "skops", "skops", "skops"]
    expected, inputs = job.result("expected"), job.result("X")
    for name in names:
        model = job.result(name)
        found = model.predict(xgboost.DMatrix(inputs) if name == "booster" else inputs)
        np.testing.assert_array_equal(found, expected[name])
    assert job.result("classifier").get_params()["max_depth"] == 2
    assert job.result("figure").data.startswith(b"\x89PNG")


def test_small_values_are_kept_unasked_and_it_is_said_what_is_not(lab: FrontEnd) -> None:
    cell = lab.run(
        "%%gpu-box --wait --fetch asked\nimport numpy as np\nasked = 1\nrmse = 0.25\nhistory = [1.0, float('nan')]\n"
        "weights = np.ones(1000)\nbig = np.ones(4_000_000)\nlong = 'x' * 30_000_000\n_hidden = 5\ndef f(): pass\nlock = __import__('threading').Lock()"
    )
    assert cell.status == "ok", cell.text
    assert "Kept: rmse, history, weights (8 KiB): %fetch gpu-box/1 NAME\n" in cell.text, cell.text
    assert "Not kept: long (28.6 MiB), big (30.5 MiB), name what you need in --fetch\n" in cell.text, (
        cell.text
    )
    assert "asked (int) from gpu-box/1" in cell.text
    assert lab.run("%fetch gpu-box/1 history as h, weights\nprint(h, weights.sum())").text.endswith(
        "[1.0, nan] 1000.0\n"
    )
    listed = lab.run("%fetch gpu-box/1").text
    assert [line.split()[0] for line in listed.splitlines()[1:7]] == [
        "asked",
        "rmse",
        "history",
        "weights",
        "long",
        "big",
    ]
    assert "not kept: more than the 20 MiB that are kept unasked: name it in --fetch" in listed


def test_what_has_no_plain_form_is_kept_for_those_who_trust_it(
    lab: FrontEnd, submit: Callable[..., Job]
) -> None:
    cell = lab.run("%%gpu-box --wait --fetch thing,n\nclass Thing:\n    size = 3\nthing, n = Thing(), 5")
    assert "thing of gpu-box/1 is a Thing, which only a pickle holds" in cell.text, cell.text
    assert "%fetch gpu-box/1 thing --trust" in cell.text
    assert lab.run("print(n)").text == "5\n"
    refused = lab.run("%fetch gpu-box/1 thing")
    assert refused.status == "error"
    assert lab.run("%fetch gpu-box/1 thing --trust").text == "thing (Thing) from gpu-box/1\n"
    assert lab.run("print(thing.size)").text == "3\n"
    trusted = lab.run("%%gpu-box --wait --fetch other --trust\nclass Thing:\n    size = 4\nother = Thing()")
    assert trusted.text.splitlines()[-1] == "other (Thing) from gpu-box/2"
    assert lab.run("print(other.size)").text == "4\n"
    job = submit("thing = {1: object()}", fetch="thing").wait(60)
    with pytest.raises(NotTrusted):
        job.result("thing")
    assert list(job.result("thing", trust=True)) == [1]


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (self.mark, "w")


HOSTILE = """
import gc, io, os, pickle, sys, zipfile
import numpy as np, pyarrow as pa
from mlmagics_job.channel import Channel
from mlmagics_job import packing
[channel] = [thing for thing in gc.get_objects() if isinstance(thing, Channel)]

class Bomb:
    def __reduce__(self):
        return open, (mark, "w")

def keep(name, format, data):
    fd = os.memfd_create("x")
    os.write(fd, data)
    channel.send({"type": "result", "name": name, "kind": "list", "format": format}, wait=True, fd=fd)
    os.close(fd)

bomb = pickle.dumps(Bomb())
objects = io.BytesIO(); np.save(objects, np.array([Bomb()], dtype=object), allow_pickle=True)
keep("npy", "npy", objects.getvalue())
packed = io.BytesIO(); np.savez(packed, **{"0": np.array([Bomb()], dtype=object), "is list": np.empty(0, bool)})
keep("npz", "npz", packed.getvalue())
keep("npy_pickle", "npy", bomb)
keep("packed", "npy", b"".join(packing.pieces({}, bomb, [])))

field = pa.field("x", pa.int64(), metadata={"ARROW:extension:name": "mlmagics.test.evil", "ARROW:extension:metadata": bomb})
table = pa.Table.from_arrays([pa.array([1])], schema=pa.schema([field]))
sink = io.BytesIO()
with pa.ipc.new_stream(sink, table.schema) as writer: writer.write_table(table)
keep("arrow", "arrow", sink.getvalue())
lying = pa.schema([pa.field("x", pa.int64())], metadata={b"mlmagics": b'{"kind": "DataFrame", "columns": [{"kind": "__init__"}], "index": {}}'})
sink = io.BytesIO()
with pa.ipc.new_stream(sink, lying) as writer: writer.write_table(pa.Table.from_arrays([pa.array([1])], schema=lying))
keep("notes", "arrow", sink.getvalue())
import skops.io
from sklearn.preprocessing import FunctionTransformer
keep("skops", "skops", skops.io.dumps(FunctionTransformer(os.system)))
keep("xgboost", "xgboost", bomb)
keep("lightgbm", "lightgbm", bomb)
keep("png", "png", b"<svg onload=alert(1)>")
archive = io.BytesIO()
with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as z: z.writestr("0.npy", bytes(10**7))
keep("zip_bomb", "npz", archive.getvalue())
head = io.BytesIO(); np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
keep("huge", "npy", head.getvalue())
channel.send({"type": "result", "name": "tags", "kind": "list", "format": "tagged",
              "data": {"application/json": {"$": "eval", "v": "open(mark)"}}}, wait=True)
channel.send({"type": "result", "name": "deep", "kind": "list", "format": "tagged",
              "data": {"application/json": {"$": "ndarray", "v": "x"}}}, wait=True)
"""


@pytest.fixture
def careless(tmp_path: Path) -> Iterator[None]:
    """An extension type that somebody has registered, and that runs what it is told to."""
    pa = pytest.importorskip("pyarrow")

    class Careless(pa.ExtensionType):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(pa.int64(), "mlmagics.test.evil")

        def __arrow_ext_serialize__(self) -> bytes:
            return b""

        @classmethod
        def __arrow_ext_deserialize__(cls, _storage: object, data: bytes) -> Careless:
            pickle.loads(data).close()
            return cls()

    pa.register_extension_type(Careless())
    yield
    pa.unregister_extension_type("mlmagics.test.evil")


@pytest.mark.usefixtures("careless")
def test_a_hostile_result_runs_nothing_here(submit: Callable[..., Job], tmp_path: Path) -> None:
    for name in ("pyarrow", "skops", "sklearn", "xgboost", "lightgbm"):
        pytest.importorskip(name)
    mark = tmp_path / "mark"
    names = [
        *("npy", "npz", "npy_pickle", "packed", "arrow", "notes", "skops", "xgboost", "lightgbm", "png"),
        *("zip_bomb", "huge", "tags", "deep"),
    ]
    job = submit(f"mark = {str(mark)!r}\n{HOSTILE}", fetch=names).wait(120)
    entries = {entry.name: entry for entry in job.results() if entry.name in names}
    assert list(entries) == names
    for name, entry in entries.items():
        with pytest.raises(UserError):
            job.value_of(entry)
        assert not mark.exists(), name
    # the bomb is one
    pickle.loads(pickle.dumps(Bomb(str(mark)))).close()
    assert mark.exists()
