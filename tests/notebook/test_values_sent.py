"""``--send``: what a cell needs of its notebook goes with it, each thing in its own way."""

from __future__ import annotations

from pathlib import Path

import pytest
from front_end import FrontEnd

pytest.importorskip("pandas")

CELLS = [
    "import numpy as np\nimport pandas as pd\nfrom collections import Counter\nimport os.path\nimport helpers",
    "SCALE = 2.5\nLABELS = ['a', 'b']",
    "def double(x):\n    # twice\n    return x * 2\n\n\ndef scaled(x):\n    return double(x) * SCALE",
    "from functools import lru_cache\n\n@lru_cache\ndef label(n):\n    return LABELS[n % len(LABELS)]",
    (
        "class Model:\n    '''Fits.'''\n    rate = SCALE\n\n    def __init__(self, frame):\n        self.frame = frame\n\n"
        "    def fit(self):\n        return helpers.total(self.frame) + scaled(1)"
    ),
    "class Config:\n    depth = 3\n\nconfig = Config()\nconfig.depth = 7",
    "df = pd.DataFrame({'x': np.arange(5.0), 'k': list('aabbc')})\nrow = df.iloc[0]",
    "square = lambda x: x ** 2\nprefix = 'never used'",
]

TRAINING = """%%gpu-box --send auto --wait
model = Model(df)
print(model.fit(), Counter(df.k)['a'], label(3), square(3), os.path.basename('a/b'))
print(config.depth, type(config) is Config, Model.rate, prefix if False else '')
import inspect
print(inspect.getsource(double).splitlines()[1])
from shop.items import price
print(price('tea'))
"""


@pytest.fixture
def notebook(lab: FrontEnd, tmp_path: Path) -> FrontEnd:
    """A notebook beside which modules lie, with its cells run."""
    beside = tmp_path / "beside"
    (beside / "shop" / "inner").mkdir(parents=True)
    (beside / "helpers.py").write_text(
        "from shop import tax\n\ndef total(frame):\n    return frame.x.sum() * tax.RATE\n"
    )
    (beside / "unused.py").write_text("raise RuntimeError('nobody imports this')\n")
    (beside / "shop" / "__init__.py").write_text("")
    (beside / "shop" / "tax.py").write_text("RATE = 10\n")
    (beside / "shop" / "items.py").write_text(
        "from .inner import deep\n\ndef price(name):\n    return deep.PRICES[name]\n"
    )
    (beside / "shop" / "inner" / "deep.py").write_text("PRICES = {'tea': 3}\n")
    lab.run(f"import os, sys\nos.chdir({str(beside)!r})\nsys.path.insert(0, '')")
    for cell in CELLS:
        assert lab.run(cell).status == "ok"
    return lab


def test_a_training_cell_runs_unchanged_with_what_it_uses(notebook: FrontEnd) -> None:
    cell = notebook.run(TRAINING)
    assert cell.status == "ok", cell.text
    assert cell.text.splitlines()[3:7] == ["105.0 2 b 9 b", "7 True 2.5 ", "    # twice", "3"]
    sent = notebook.run(
        "import mlmagics\nmlmagics.last.refresh()\n"
        "print(*(p.name for p in mlmagics.last.info.sources))\n"
        "print(*(v.name for v in mlmagics.last.info.values))\n"
        "print(*(f.path for f in mlmagics.last.info.files))"
    )
    sources, values, files = sent.text.splitlines()
    assert set(sources.split()) == {
        *(
            "Config",
            "Counter",
            "LABELS",
            "Model",
            "SCALE",
            "double",
            "helpers",
            "label",
            "lru_cache",
            "os",
            "prefix",
        ),
        *("scaled", "square"),
    }
    assert set(values.split()) == {"config", "df"}
    assert files == "helpers.py shop/__init__.py shop/inner/deep.py shop/items.py shop/tax.py"


def test_a_traceback_names_the_cell_and_line_of_the_notebook(notebook: FrontEnd) -> None:
    cell = notebook.run("%%gpu-box --send auto --wait\nscaled(None)")
    assert cell.status == "error"
    assert "Cell In[5], line 3" in cell.text, cell.text
    assert "return x * 2" in cell.text
    assert "mlmagics_job" not in cell.text


def test_a_dry_run_tells_what_would_go_and_sends_nothing(notebook: FrontEnd) -> None:
    cell = notebook.run(
        "%%gpu-box --send auto --dry-run --param rate=0.5 --param mode=fast\ntotal = helpers.total(df)"
    )
    assert cell.status == "ok", cell.text
    rows = [line.split() for line in cell.text.splitlines()]
    assert rows[0] == ["name", "travels", "as", "from", "size"]
    told = {row[0]: row[1:] for row in rows[1:]}
    assert told["rate"][:2] == ["constant", "0.5"]
    assert told["mode"][:2] == ["constant", "'fast'"]
    assert told["helpers"][:2] == ["source", "notebook"]
    assert told["shop/tax.py"][0] == "file"
    assert told["df"][:2] == ["value", "DataFrame"]
    assert "Nothing was sent. To gpu-box would go: the cell, 1 definition, 3 files, 1 value, " in cell.text
    assert "gpu-box/" not in notebook.run("%jobs").text


def test_parameters_are_there_before_the_first_line_and_in_the_record(notebook: FrontEnd) -> None:
    cell = notebook.run(
        "%%gpu-box --wait --param rate=0.5 --param 'where=a b' --param LABELS --param n=(1,)\nprint(rate, where, LABELS, n)"
    )
    assert "0.5 a b ['a', 'b'] (1,)\n" in cell.text, cell.text
    record = notebook.run("import mlmagics\nprint(mlmagics.last.info.params)").text
    assert record == "{'rate': '0.5', 'where': \"'a b'\", 'LABELS': \"['a', 'b']\", 'n': '(1,)'}\n"
    again = notebook.run("%resubmit gpu-box/1 --wait --param rate=2")
    assert "0.5 a b" not in again.text
    assert notebook.run("%%gpu-box --param df\n1").text.startswith(
        "Error: --param df: a DataFrame is no plain constant"
    )


def test_what_cannot_be_pickled_is_named_and_nothing_is_sent(notebook: FrontEnd) -> None:
    notebook.run(
        "import threading\nclass Trainer:\n    pass\ntrainer = Trainer()\ntrainer.parts = {'lock': [threading.Lock()]}"
    )
    cell = notebook.run("%%gpu-box --send trainer\ntrainer")
    assert cell.status == "error"
    assert cell.text.startswith(
        "Error: trainer cannot be sent: trainer.parts['lock'][0] is a _thread.lock, which cannot be pickled ("
    )
    assert "gpu-box/" not in notebook.run("%jobs").text
    assert notebook.run("%%gpu-box --send dff\n1").text.splitlines() == [
        "Error: --send dff: there is no dff here: did you mean df?"
    ]


def test_the_same_value_is_sent_once_and_repeats_find_it(notebook: FrontEnd) -> None:
    notebook.run("big = np.arange(200_000)")
    count = (
        "import cluster_agent.file_calls as calls\nsent = []\nplain = calls.FileCalls.send_blob\n"
        "calls.FileCalls.send_blob = lambda self, sha, *rest: (sent.append(sha), plain(self, sha, *rest))[1]"
    )
    notebook.run(count)
    for _ in range(2):
        cell = notebook.run(
            "%%gpu-box --send big --wait\nbig[3] = 7\nprint(int(big.sum()), big.flags.writeable)"
        )
        assert "19999900004 True" in cell.text, cell.text
    assert notebook.run("print(len(sent), int(big[3]))").text == "1 3\n"
    again = notebook.run("%resubmit gpu-box/1 --wait")
    assert "19999900004 True" in again.text
    assert notebook.run("print(len(sent))").text == "1\n"


def test_a_value_whose_module_the_job_lacks_says_so(notebook: FrontEnd) -> None:
    notebook.run(
        "import sys, types\nmade = types.ModuleType('onlyhere')\nexec('class Thing: pass', made.__dict__)"
    )
    notebook.run("sys.modules['onlyhere'] = made\nthing = made.Thing()")
    cell = notebook.run("%%gpu-box --send thing --wait --no-check\nprint('never')")
    assert cell.status == "error"
    assert "thing (Thing), which was sent with this cell, needs the module onlyhere" in cell.text, cell.text
    assert "add --with onlyhere" in cell.text
    assert "Traceback" not in cell.text


def test_a_value_that_a_job_still_makes_is_waited_for(lab: FrontEnd) -> None:
    lab.run("%%gpu-box --no-wait --fetch m,scale\nimport time\ntime.sleep(0.5)\nm, scale = [1, 2], 3")
    cell = lab.run("%%gpu-box --send auto --wait\nprint(m * scale)")
    assert "[1, 2, 1, 2, 1, 2]\n" in cell.text, cell.text
    assert "which makes m and scale" in cell.text or "from gpu-box/1" in cell.text


def test_on_one_s_own_machine_files_take_the_place_of_copies(notebook: FrontEnd) -> None:
    notebook.run("big = np.arange(500_000)")
    notebook.run(
        "import cluster_agent.file_calls as calls\ndone = []\n"
        "for name in ('send_blob', 'give_blob', 'result_of'):\n"
        "    def spy(self, *given, name=name, plain=getattr(calls.FileCalls, name)):\n"
        "        done.append(name)\n        return plain(self, *given)\n"
        "    setattr(calls.FileCalls, name, spy)"
    )
    cell = notebook.run(
        "%%local --send big --fetch twice --wait\ntwice = big * 2\ntwice[0] = 1", within_s=120
    )
    assert cell.status == "ok", cell.text
    assert notebook.run("print(done, int(twice.sum()), int(big[0]))").text == "['give_blob'] 249999500001 0\n"
    # what came is one's own: a change stays here
    notebook.run(
        "twice[0] = 5\nagain = mlmagics_job = None\nimport mlmagics\nagain = mlmagics.last.result('twice')"
    )
    assert notebook.run("print(int(twice[0]), int(again[0]))").text == "5 1\n"
