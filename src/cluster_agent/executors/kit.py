"""The job's side, copied into the agent's home: jobs run in interpreters that know nothing of ours.

::

    <home>/kit/<version>-<hash>/
        mlmagics_job/               the package, standard library only; a supervisor starts its run.py
        mlmagics_job-<version>.dist-info/   makes fsspec find project://
        shim/mlmagics/              `mlmagics.project` and `.log` for environments without mlmagics

A folder is never changed: an upgrade adds one, and running jobs keep theirs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import tempfile
from pathlib import Path

from cluster_agent import __version__


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


def _files() -> dict[str, bytes]:
    """Contents by path inside the kit."""
    spec = importlib.util.find_spec("mlmagics_job")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            "the package mlmagics_job is missing; install mlmagics again", name="mlmagics_job"
        )
    package = Path(spec.origin).parent
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
    return files
