"""Calls that take no ``project://`` path, and what to write in their place. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlmagics.preflight.calls import Calls, Literal, argument
from mlmagics.preflight.finding import Finding

_OS = "chmod listdir mkdir makedirs open remove rename replace rmdir scandir stat truncate unlink utime walk"
#: fail at once: they know nothing but files of the machine that they run on
_FAIL_READING = frozenset({
    "PIL.Image.open", "bz2.open", "gzip.open", "imageio.imread", "imageio.v2.imread", "imageio.v3.imread", "io.open",
    "joblib.load", "lightgbm.Booster", "lzma.open", "numpy.fromfile", "numpy.load", "numpy.memmap", "open",
    "os.chmod", "os.listdir", "os.remove", "os.rename", "os.replace", "os.rmdir", "os.scandir", "os.stat", "os.unlink",
    "pathlib.Path.read_text", "scipy.io.loadmat", "shutil.copy", "shutil.copyfile", "shutil.copytree", "shutil.move",
    "shutil.rmtree", "skimage.io.imread", "tarfile.open", "torch.load", "zipfile.ZipFile",
})  # fmt: skip
_FAIL_WRITING = frozenset({
    "joblib.dump", "matplotlib.pyplot.imsave", "matplotlib.pyplot.savefig", "numpy.save", "numpy.savetxt",
    "numpy.savez", "numpy.savez_compressed", "scipy.io.savemat", "skimage.io.imsave", "torch.save",
})  # fmt: skip
#: do something else than what is meant, without a word
_SILENT = frozenset({
    "cv2.imread", "cv2.imwrite", "glob.glob", "glob.iglob", "os.makedirs", "os.mkdir", "os.path.exists",
    "os.path.getmtime", "os.path.getsize", "os.path.isdir", "os.path.isfile", "os.walk", "pathlib.Path",
    "sqlite3.connect", "h5py.File",
})  # fmt: skip
#: methods of models, whose own readers know no such path
_MODEL_METHODS = {"load_model": "r", "save_model": "w", "savefig": "w"}
_MODEL_LIBRARIES = frozenset({"catboost", "lightgbm", "xgboost", "matplotlib"})
_PATH_SECOND = frozenset({"joblib.dump", "torch.save", "skimage.io.imsave"})
_PATH_WORDS = ("file", "fname", "filename", "path", "f", "fp", "model_file", "fid", "uri", "src")


def check_project_calls(calls: Calls) -> Iterator[Finding]:
    """What is said about calls that get a ``project://`` path and cannot open it."""
    for name, node in calls.named:
        given = calls.literal(_path_of(name, node))
        if given is None or not given.text.startswith("project://"):
            continue
        level, mode = _kind(calls, name, node)
        if not level:
            continue
        yield Finding(
            level="error" if level == "error" and not _in_doubt(calls, node) else "warning",
            code="no_project_path",
            message=_message(name, node, given, mode),
            name=name.lstrip("."),
            line=calls.cell.line(node),
        )


def _path_of(name: str, node: ast.Call) -> ast.expr | None:
    if name in _PATH_SECOND:
        return (
            argument(node, 1, *_PATH_WORDS)
            if name != "skimage.io.imsave"
            else argument(node, 0, *_PATH_WORDS)
        )
    return argument(node, 0, *_PATH_WORDS)


def _kind(calls: Calls, name: str, node: ast.Call) -> tuple[str, str]:
    """How sure it is that the call cannot do it, and whether it reads or writes; empty when it may."""
    if name in _FAIL_READING:
        return "error", _mode(name, node)
    if name in _FAIL_WRITING:
        return "error", "w"
    if name in _SILENT:
        return "warning", "r"
    method = name.rpartition(".")[2]
    if name.startswith(".") and method in _MODEL_METHODS:
        known = any(item.root in _MODEL_LIBRARIES for item in calls.imports)
        own = any(isinstance(part, ast.FunctionDef) and part.name == method for part in calls.places.nodes)
        return ("error" if known and not own else "warning"), _MODEL_METHODS[method]
    return "", ""


def _mode(name: str, node: ast.Call) -> str:
    mode = argument(node, 1, "mode") if name.endswith("open") else None
    written = isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set("wax+") & set(mode.value)
    return "w" if written else "r"


def _in_doubt(calls: Calls, node: ast.Call) -> bool:
    places = calls.places
    return places.guarded(node, frozenset({"OSError", "Exception", "BaseException", "ValueError"})) or (
        places.conditional(node) or places.deferred(node)
    )


def _message(name: str, node: ast.Call, given: Literal, mode: str) -> str:
    call = f"{name.lstrip('.')}()"
    path = f"'{given.text.removeprefix('project://')}'" if given.whole else "..."
    first = f"{call} takes no project:// path"
    if name in ("open", "io.open"):
        kind = f", '{_mode_text(node)}'" if mode == "w" else ""
        return f"{first}: write mlmagics.project.open({path}{kind}) in its place (import mlmagics)"
    if mode == "w":
        short = call.replace("()", "(..., path)") if name in _PATH_SECOND else call.replace("()", "(path)")
        return f"{first}: write with mlmagics.project.path({path}, 'w') as path: {short} (import mlmagics)"
    return (
        f"{first}: give it mlmagics.project.path({path}), which is a path that it can open (import mlmagics)"
    )


def _mode_text(node: ast.Call) -> str:
    mode = argument(node, 1, "mode")
    return str(mode.value) if isinstance(mode, ast.Constant) else "w"
