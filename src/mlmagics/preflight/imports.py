"""What a cell imports, compared with what its job finds installed. Versions of this kernel are looked up here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import metadata

from cluster_agent.protocol import Packages
from mlmagics.preflight.calls import Calls, Import
from mlmagics.preflight.finding import Code, Finding, Level
from mlmagics.preflight.here import Here
from mlmagics.preflight.places import IMPORT_ERRORS
from mlmagics.preflight.target import Target

#: distributions by the name under which they are imported, where the two differ
_DISTRIBUTIONS = {
    "Bio": "biopython", "PIL": "pillow", "attr": "attrs", "bs4": "beautifulsoup4", "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil", "docx": "python-docx", "dotenv": "python-dotenv", "faiss": "faiss-cpu",
    "fitz": "pymupdf", "git": "gitpython", "jwt": "pyjwt", "osgeo": "gdal", "pptx": "python-pptx", "pywt": "pywavelets",
    "serial": "pyserial", "skimage": "scikit-image", "sklearn": "scikit-learn", "skopt": "scikit-optimize",
    "talib": "ta-lib", "umap": "umap-learn", "yaml": "pyyaml", "zmq": "pyzmq",
}  # fmt: skip
#: well-known ones where they do not
_SAME_NAME = frozenset({
    "accelerate", "altair", "bokeh", "catboost", "dask", "datasets", "einops", "evaluate", "geopandas", "gensim", "h5py",
    "imageio", "jax", "joblib", "keras", "lightgbm", "lightning", "matplotlib", "networkx", "nltk", "numba", "numpy",
    "openpyxl", "optuna", "pandas", "peft", "plotly", "polars", "pyarrow", "requests", "rich", "scipy", "seaborn", "shap",
    "spacy", "statsmodels", "sympy", "tensorflow", "timm", "tokenizers", "torch", "torchaudio", "torchmetrics",
    "torchvision", "tqdm", "transformers", "wandb", "xarray", "xgboost",
})  # fmt: skip
#: what every job can import
_OF_THE_KIT = frozenset({"mlmagics", "mlmagics_job", "__main__", "__future__"})
_COLAB = "google.colab is on Colab only: read and write under project:// where the cell used drive or files"


def check_imports(calls: Calls, target: Target, here: Here) -> Iterator[Finding]:
    """What is said about the imports of a cell, one line for each module."""
    told: set[str] = set()
    for item in calls.imports:
        name = "google.colab" if item.module.startswith("google.colab") else item.root
        if name in told or name in target.sent_modules or name in _OF_THE_KIT or _in_doubt(calls, item):
            continue
        judged = _judge(item, target, here)
        if judged is None:
            continue
        told.add(name)
        level, code, message = judged
        if calls.places.deferred(item.node):
            level = "warning"
        yield Finding(level=level, code=code, message=message, name=name, line=calls.cell.line(item.node))


def _judge(item: Import, target: Target, here: Here) -> tuple[Level, Code, str] | None:
    """Level, code and line for one import; None where nothing is wrong with it."""
    module = item.root
    if item.module.startswith("google.colab"):
        return "error", "colab", _COLAB
    if module in sys.builtin_module_names:
        return None
    packages = target.packages
    if here.has_module(module):
        if packages is not None and module in packages.modules:
            return "warning", "module_here", _hidden(module, target, here)
        return "error", "module_here", _local(module, here)
    if packages is None or not packages.modules or target.more_packages:
        return None
    if module in packages.modules:
        message = "" if target.own_python else _other_version(module, target, packages)
        return ("warning", "module_version", message) if message else None
    now = target.packages_now
    if now is None or module in now.modules:
        return None
    return "error", "module_missing", _missing(module, target, now)


def _in_doubt(calls: Calls, item: Import) -> bool:
    """Whether the cell is made for the case that there is no such module, or may not need it."""
    return calls.places.guarded(item.node, IMPORT_ERRORS) or calls.places.conditional(item.node)


def _local(module: str, here: Here) -> str:
    return f"{module} is a module {here.beside}, not in the job: {here.send(module)}"


def _hidden(module: str, target: Target, here: Here) -> str:
    return (
        f"{module} is a module {here.beside}, and {target.cluster} has a package of that name, which the job takes: "
        f"{here.send(module)} for yours"
    )


def _missing(module: str, target: Target, packages: Packages) -> str:
    if module in sys.stdlib_module_names:
        return f"{module} is not in Python {packages.version}, which {target.cluster} runs"
    name = _distribution(module) or "PACKAGE"
    if target.own_python:
        return f"{module} is not installed here: %pip install {name}"
    return f"{module} is not installed on {target.cluster}: add --with {name}"


def _other_version(module: str, target: Target, packages: Packages) -> str:
    name = packages.modules[module]
    theirs = packages.distributions.get(name, "")
    if not name or not theirs:
        return ""
    try:
        ours = metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
    if _weight(ours) == _weight(theirs):
        return ""
    return f'{name} is {ours} here and {theirs} on {target.cluster}: add --with "{name}=={ours}" for the same'


def _weight(version: str) -> list[str]:
    """The part of a version whose change may break code: the first number, and the second below 1.0."""
    numbers = version.split(".")
    return numbers[:2] if numbers[0] == "0" else numbers[:1]


def _distribution(module: str) -> str:
    """The name under which ``module`` can be installed, as far as it is known; never a guess: anybody may have that name."""
    if module in _DISTRIBUTIONS:
        return _DISTRIBUTIONS[module]
    if module in _SAME_NAME:
        return module
    names = set(metadata.packages_distributions().get(module, ()))
    return names.pop().lower() if len(names) == 1 else ""
