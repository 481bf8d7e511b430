"""Files that a cell reads by a path written in it: beside the notebook, or in the project. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from mlmagics.preflight.calls import Calls, argument
from mlmagics.preflight.finding import Finding
from mlmagics.preflight.here import Here
from mlmagics.preflight.places import FILE_ERRORS
from mlmagics.preflight.target import Target

_PANDAS = "csv excel feather fwf hdf html json orc parquet pickle sas spss stata table xml"
_POLARS = "read_csv read_parquet read_json read_ndjson read_ipc read_excel scan_csv scan_parquet scan_ndjson scan_ipc"
#: what reads the file that its first argument names, and fails where there is none
READERS = frozenset({
    *(f"pandas.read_{kind}" for kind in _PANDAS.split()),
    *(f"polars.{name}" for name in _POLARS.split()),
    "PIL.Image.open", "bz2.open", "geopandas.read_file", "gzip.open", "h5py.File", "imageio.imread",
    "imageio.v2.imread", "imageio.v3.imread", "io.open", "joblib.load", "lzma.open", "matplotlib.pyplot.imread",
    "numpy.fromfile", "numpy.genfromtxt", "numpy.load", "numpy.loadtxt", "open", "os.listdir", "os.scandir", "os.stat",
    "pyarrow.csv.read_csv", "pyarrow.parquet.read_table", "scipy.io.loadmat", "skimage.io.imread", "soundfile.read",
    "torch.load", "xarray.open_dataset",
})  # fmt: skip
_WITH_MODE = frozenset({"open", "io.open", "gzip.open", "bz2.open", "lzma.open", "h5py.File"})
_PATH_WORDS = (
    "filepath_or_buffer",
    "path_or_buf",
    "path",
    "io",
    "source",
    "file",
    "fname",
    "fp",
    "name",
    "filename",
)
#: what may stand before a read without making the file
_HARMLESS_ROOTS = frozenset({
    "bool", "dict", "float", "int", "len", "list", "max", "min", "print", "range", "set", "sorted", "str", "sum",
    "tuple", "zip", "datetime", "math", "random", "time", "warnings", "logging",
})  # fmt: skip
_HARMLESS = frozenset({
    "matplotlib.pyplot.style.use", "numpy.random.default_rng", "numpy.random.seed", "numpy.set_printoptions",
    "pandas.set_option", "seaborn.set", "seaborn.set_style", "seaborn.set_theme", "torch.manual_seed", "pathlib.Path",
})  # fmt: skip
#: parts of names of calls that write, or take names as mere text
_NO_READS = (
    "to_",
    "save",
    "write",
    "dump",
    "mk",
    "export",
    "download",
    "retrieve",
    "touch",
    "print",
    "log",
    "join",
)


@dataclass(frozen=True)
class Read:
    """A call that reads a file whose path is known."""

    name: str
    node: ast.Call
    path: str


def reads(calls: Calls) -> Iterator[Read]:
    """The reads of a cell whose path stands in it."""
    for name, node in calls.named:
        if name not in READERS or (name in _WITH_MODE and _writes(node)):
            continue
        given = argument(node, 0, *_PATH_WORDS)
        if isinstance(given, ast.Call) and calls.full_name(given.func) == "pathlib.Path":
            given = argument(given, 0)
        path = calls.literal(given)
        if path is not None and path.whole and path.text:
            yield Read(name, node, path.text)


def check_paths(calls: Calls, target: Target, here: Here) -> Iterator[Finding]:
    """What is said about the files that a cell reads."""
    known = list(reads(calls))
    told = set()
    for read in [*known, *_perhaps_reads(calls)]:
        if read.path in told or _made_here(calls, read):
            continue
        told.add(read.path)
        line = calls.cell.line(read.node)
        if read in known and read.path.startswith("project://"):
            yield from _in_project(calls, target, read, line)
        elif is_beside(read.path) and here.exists(read.path):
            yield Finding(
                level="error" if read in known and _first_thing(calls, read.node) else "warning",
                code="file_here",
                message=only_here(read.path, here),
                name=read.path,
                line=line,
            )


def _perhaps_reads(calls: Calls) -> Iterator[Read]:
    """Other calls with the path of a file: what they do with it is not known."""
    for name, node in calls.named:
        last = name.rpartition(".")[2].lower()
        if name in READERS or any(word in last for word in _NO_READS):
            continue
        for given in [*node.args, *(keyword.value for keyword in node.keywords)]:
            path = calls.literal(given)
            if path is not None and path.whole and PurePosixPath(path.text).suffix and "\n" not in path.text:
                yield Read(name, node, path.text)


def is_beside(path: str) -> bool:
    """Whether ``path`` is a relative path that can be written into a line of Python as it is."""
    plain = path.isprintable() and "://" not in path and not set("'\"\\") & set(path)
    return bool(path) and plain and not path.startswith(("/", "~"))


def only_here(path: str, here: Here) -> str:
    """The line for a file beside the notebook that a job does not find."""
    target = "/".join(part for part in PurePosixPath(path).parts if part != "..")
    recursive = ", recursive=True" if here.is_folder(path) else ""
    return (
        f"{path} exists {here.beside}, not in the job: put it into the project (import fsspec; "
        f"fsspec.filesystem('project').put('{path}', '{target}'{recursive})) and read project://{target} in the job"
    )


def _in_project(calls: Calls, target: Target, read: Read, line: int) -> Iterator[Finding]:
    path = read.path.removeprefix("project://").strip("/")
    if not path or set("*?[") & set(path) or target.project_has(path) is not False:
        return
    sure = not target.busy and _first_thing(calls, read.node)
    yield Finding(
        level="error" if sure else "warning",
        code="project_missing",
        message=f"there is no {read.path} on {target.cluster}: see what is there with "
        f"fsspec.filesystem('project').ls('{str(PurePosixPath(path).parent).strip('.')}')",
        name=read.path,
        line=line,
    )


def _writes(node: ast.Call) -> bool:
    mode = argument(node, 1, "mode")
    if mode is None:
        return False
    return not (
        isinstance(mode, ast.Constant) and isinstance(mode.value, str) and mode.value.strip("bt") == "r"
    )


def _made_here(calls: Calls, read: Read) -> bool:
    """Whether the cell itself may write what it reads: its path, or its last part, stands in it once more."""
    last = PurePosixPath(read.path).name
    texts = [
        node.value
        for node in calls.places.nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and last in node.value
    ]
    readings = {read.node, *(other.node for other in reads(calls) if other.path == read.path)}
    return len(texts) > len(readings)


def _first_thing(calls: Calls, node: ast.Call) -> bool:
    """Whether ``node`` runs in any case, and nothing before it could make a file."""
    places = calls.places
    statement = places.statement(node)
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.Expr | ast.With):
        return False
    if places.guarded(node, FILE_ERRORS) or places.conditional(node) or places.deferred(node):
        return False
    if isinstance(statement, ast.With) and not any(
        node in ast.walk(item.context_expr) for item in statement.items
    ):
        return False
    body = places.tree.body
    before = body[: body.index(statement)] if statement in body else []
    return all(_makes_nothing(calls, earlier) for earlier in before)


def _makes_nothing(calls: Calls, statement: ast.stmt) -> bool:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return not statement.decorator_list
    if not isinstance(
        statement, ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign | ast.Expr | ast.Pass
    ):
        return False
    return all(_harmless(calls, part) for part in ast.walk(statement) if isinstance(part, ast.Call))


def _harmless(calls: Calls, node: ast.Call) -> bool:
    name = calls.full_name(node.func)
    if name in READERS:
        return name not in _WITH_MODE or not _writes(node)
    return name in _HARMLESS or name.partition(".")[0] in _HARMLESS_ROOTS
