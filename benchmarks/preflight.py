"""How right the check of names is, and how long it takes: run by ``python -m benchmarks.preflight [FOLDER ...]``.

Every script (``.py``) and notebook (``.ipynb``, its code cells joined) in the folders must stand alone, so that each error is
a false one, or a fault of theirs: they are listed to be looked at. Without folders the standard library and what is
installed beside this Python are taken.

Recall: of each file one thing that is bound once, by its own top-level statement, and used elsewhere is taken away (an
import, an assignment, a function, a class); the name must be reported.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import statistics
import subprocess
import sys
import sysconfig
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlmagics.preflight import Target, check
from mlmagics.preflight.here import Here
from mlmagics.preflight.names import Missing, missing_names
from mlmagics.preflight.places import binds
from mlmagics.preflight.reading import read

_MOST_BYTES = 200_000
_OMITTED = {"lib2to3", "test", "tests", "idle_test", "_vendor", "_vendored", "site-packages"}
#: errors that cannot be wrong: a cell has neither
_RIGHT = ("no_file", "no_keyboard")
#: a cell with most of what is looked at
CELL = """\
import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error

FEATURES = ["hour", "weekday", "miles", "passengers"]

def features(df):
    df = df.assign(hour=df.pickup.dt.hour, weekday=df.pickup.dt.weekday)
    return df[FEATURES].astype("float32")

trips = pd.read_parquet("project://trips.parquet")
trips = trips[trips.seconds.between(60, 10_800) & trips.miles.between(0, 100)]
train, test = trips[trips.month < "2019-09"], trips[trips.month >= "2019-09"]
best = None
for depth in (4, 6, 8):
    for rate in (0.05, 0.1):
        model = regressor(max_depth=depth, learning_rate=rate, n_estimators=600)
        model.fit(features(train), np.log1p(train.seconds))
        error = mean_absolute_error(test.seconds, np.expm1(model.predict(features(test))))
        if best is None or error < best[0]:
            best = error, depth, rate
        print(f"{depth=} {rate=} {error:.1f}")
%time score = evaluate(model, test)
"""


@dataclass
class Found:
    """What was found in a folder."""

    files: int = 0
    dynamic: int = 0
    flagged: dict[str, Missing] = field(default_factory=dict)
    warned: int = 0
    #: what refuses a file beside its names: paths, calls, imports, syntax
    others: Counter[str] = field(default_factory=Counter)
    taken: int = 0
    reported: int = 0
    refused: int = 0
    missed: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def sources(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and text of the scripts and notebooks in a folder."""
    for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.ipynb")]):
        if _OMITTED & set(path.relative_to(folder).parts) or path.stat().st_size > _MOST_BYTES:
            continue
        try:
            text = path.read_text(encoding="utf-8")
            yield str(path), _joined(text) if path.suffix == ".ipynb" else text
        except (ValueError, KeyError, OSError):
            continue


def _joined(notebook: str) -> str:
    cells = [cell for cell in json.loads(notebook)["cells"] if cell["cell_type"] == "code"]
    texts = ["".join(cell["source"]) for cell in cells]
    return "\n\n".join(text for text in texts if not text.lstrip().startswith("%%"))


def look(folder: Path, recall: int, seed: int = 1) -> Found:
    """What is found in one folder; names are taken away from at most ``recall`` files."""
    found = Found()
    chance = random.Random(seed)
    readable = []
    for name, text in sources(folder):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = read(text).tree
        except (SyntaxError, ValueError, RecursionError):
            continue
        found.files += 1
        began = time.perf_counter()
        missing = missing_names(text)
        found.seconds.append(time.perf_counter() - began)
        for finding in check(text, here=Here(), target=Target(cluster="gpu-box")):
            if finding.level == "error" and not finding.code.startswith("name"):
                found.others[finding.code] += 1
                if finding.code not in _RIGHT:
                    print(f"{name}: {finding.told}")
        found.dynamic += missing.dynamic
        found.warned += bool(missing.later or missing.unsure)
        if missing.errors and not missing.dynamic:
            found.flagged[name] = missing
        elif not missing.errors and not missing.dynamic and name.endswith(".py"):
            readable.append((name, text, tree))
    chance.shuffle(readable)
    for name, text, tree in readable[:recall]:
        _take_away(found, name, text, tree, chance)
    return found


def _take_away(found: Found, name: str, text: str, tree: ast.Module, chance: random.Random) -> None:
    candidates = list(_once(tree))
    chance.shuffle(candidates)
    for binding, node in candidates[:3]:
        lines = text.split("\n")
        for number in range(_first(node) - 1, node.end_lineno or node.lineno):
            lines[number] = ""
        less = "\n".join(lines)
        try:
            ast.parse(less)
        except SyntaxError:
            continue
        missing = missing_names(less)
        found.taken += 1
        found.refused += binding in missing.errors
        if binding in {**missing.errors, **missing.later, **missing.unsure}:
            found.reported += 1
        else:
            found.missed.append(f"{name}: {binding}")


def _once(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """Names that one top-level statement binds alone, and that something else loads."""
    nodes = list(ast.walk(tree))
    bound = Counter(name for node in nodes for name in binds(node))
    bound.update(node.arg for node in nodes if isinstance(node, ast.arg))
    bound.update(
        name for node in nodes if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names * 2
    )
    loaded = Counter(_loads(tree))
    for node in tree.body:
        name = _bound_by(node)
        if name and bound[name] == 1 and loaded[name] > Counter(_loads(node))[name]:
            yield name, node


def _bound_by(node: ast.stmt) -> str:
    """The one name that a statement binds, as far as it can be taken away."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name)]) if not name.startswith("__"):
            return name
        case ast.ImportFrom(module="__future__"):
            return ""
        case ast.Import(names=[alias]) | ast.ImportFrom(names=[alias]):
            return alias.asname or alias.name.partition(".")[0]
    return ""


def _loads(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id


def _first(node: ast.stmt) -> int:
    return int(min([node.lineno, *(part.lineno for part in getattr(node, "decorator_list", []))]))


def cell_times(rounds: int) -> list[float]:
    """Seconds of the whole check of a cell of 25 lines, as it is done again and again in one kernel."""
    here = Here(names={"regressor": object(), "evaluate": print, "df": 1}, cells=["", *["x = 1\ny = 2"] * 50])
    target = Target(cluster="gpu-box", python="3.9.1")
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        check(CELL, here=here, target=target)
        times.append(time.perf_counter() - began)
    return times


def first_time() -> float:
    """Seconds of the first check in a kernel: what is imported for it counts."""
    program = (
        "import sys, time, IPython, IPython.core.inputtransformer2, cluster_agent.protocol, mlmagics.errors\n"
        "cell = sys.stdin.read()\n"
        "began = time.perf_counter()\n"
        "from mlmagics.preflight import Target, check\n"
        "from mlmagics.preflight.here import Here\n"
        "check(cell, here=Here(names={'regressor': 1}), target=Target(cluster='gpu-box'))\n"
        "print(time.perf_counter() - began)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=CELL, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def table(folders: Sequence[Path] = (), recall: int = 100) -> list[str]:
    """The lines of a table; what was flagged and missed is printed, to be looked at."""
    lines = ["| what | measured | goal |", "|---|---|---|"]
    for folder, name in [(folder, folder.name) for folder in folders] or _installed():
        found = look(folder, recall)
        for file, missing in found.flagged.items():
            print(f"{file}: {', '.join(f'{one} (line {at[0]})' for one, at in missing.errors.items())}")
        for one in found.missed:
            print(f"missed: {one}")
        times = [1000 * second for second in found.seconds] or [0.0]
        lines += [
            f"| {name}: {found.files:,} files that stand alone, refused | {len(found.flagged)} | no wrong one |",
            f"| {name}: refused for other than names | {_counted(found.others)} | no wrong one |",
            f"| {name}: with warnings; dynamic | {found.warned}; {found.dynamic} | |",
            f"| {name}: of {found.taken} names taken away reported; refused for | {found.reported}; {found.refused} | |",
            f"| {name}: names of a file, median | {statistics.median(times):.1f} ms | |",
        ]
    again = [1000 * second for second in cell_times(50)]
    first = min(1000 * first_time() for _ in range(5))
    return [
        *lines,
        f"| all checks of a cell of 25 lines | {statistics.median(again):.1f} ms | 50 ms |",
        f"| the same, the first in a kernel | {first:.0f} ms | |",
    ]


def _counted(codes: Counter[str]) -> str:
    return ", ".join(f"{count} `{code}`" for code, count in codes.most_common()) or "0"


def _installed() -> list[tuple[Path, str]]:
    paths = sysconfig.get_paths()
    return [(Path(paths["stdlib"]), "the standard library"), (Path(paths["purelib"]), "installed packages")]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.preflight", description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument(
        "--recall", type=int, default=100, metavar="FILES", help="take names away from so many files"
    )
    args = parser.parse_args()
    print("\n".join(table(args.folders, args.recall)))


if __name__ == "__main__":
    main()
