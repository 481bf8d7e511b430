"""The job's side, copied into the agent's home: jobs run in interpreters that know nothing of ours.

::

    <home>/kit/<version>-<hash>/
        mlmagics_job/               the package, standard library only; a supervisor starts its run.py
        mlmagics_job-<version>.dist-info/   makes fsspec find project://
        shim/mlmagics/              `mlmagics.project` and `.log` for environments without mlmagics
        .compiled-<hash>            an interpreter that has found its bytecode whole

A folder is never changed but for bytecode: an upgrade adds one, and running jobs keep theirs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cluster_agent import __version__
from cluster_agent.folder import write_durably

_PATIENCE_S = 60.0
#: Runs in the job's interpreter. Python's own writing takes no notice when the disk keeps only half of a file.
_COMPILE = """
import importlib.util, marshal, os, py_compile, sys
for name in sys.argv[1:]:
    target = importlib.util.cache_from_source(name)
    new = "%s.%d" % (target, os.getpid())
    try:
        py_compile.compile(
            name, new, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )
        with open(new, "rb+") as file:
            marshal.loads(file.read()[16:])
            os.fsync(file.fileno())
        os.replace(new, target)
    except BaseException:
        if os.path.exists(new):
            os.unlink(new)
        raise
"""


def install_kit(home: Path) -> Path:
    """The folder with the job's side in this version, made under ``home`` unless it is there."""
    files = _files()
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    kits = home / "kit"
    target = kits / f"{__version__}-{digest.hexdigest()[:12]}"
    if target.is_dir():
        return target
    kits.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=kits))
    try:
        for name, content in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_bytes(content)
        new.rename(target)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        if not target.is_dir():
            raise
    return target


def compile_kit(kit: Path, python: str, variables: Mapping[str, str]) -> None:
    """Put bytecode of the kit for the interpreter ``python`` in place, unless that was done before.

    Each file is looked at before it takes its place, so that a full disk leaves none that is torn.

    Raises
    ------
    OSError
        When the interpreter cannot be started, or the disk refuses.
    subprocess.SubprocessError
        When the interpreter fails, or takes a minute.
    """
    status = Path(python).stat()  # follows the link of a virtual environment
    identity = f"{python}\0{status.st_dev}\0{status.st_ino}\0{status.st_mtime_ns}\0{status.st_size}"
    marker = kit / f".compiled-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    if marker.exists():
        return
    subprocess.run(
        [python, "-I", "-S", "-B", "-c", _COMPILE, *map(str, sorted(kit.rglob("*.py")))],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=dict(variables),
        timeout=_PATIENCE_S,
        check=True,
    )
    write_durably(marker, b"")


def _files() -> dict[str, bytes]:
    """Contents by path inside the kit."""
    package = _package("mlmagics_job")
    files = {
        str(Path("mlmagics_job") / path.relative_to(package)): path.read_bytes()
        for path in package.rglob("*.py")
    }
    info = f"mlmagics_job-{__version__}.dist-info"
    files[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: mlmagics_job\nVersion: {__version__}\n".encode()
    )
    files[f"{info}/entry_points.txt"] = b"[fsspec.specs]\nproject = mlmagics_job.project:ProjectFileSystem\n"
    files["shim/mlmagics/__init__.py"] = files["mlmagics_job/shim.py"]
    lent = _package("cloudpickle")
    files |= {
        str(Path("lent/cloudpickle") / path.relative_to(lent)): path.read_bytes()
        for path in lent.rglob("*.py")
    }
    return files


def _package(name: str) -> Path:
    """The folder of an installed package, which is not imported for it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the package {name} is missing; install mlmagics again", name=name)
    return Path(spec.origin).parent
