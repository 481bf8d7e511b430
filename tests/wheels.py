"""Packages made by tests: wheels, and source distributions whose building a test can hold up or make fail."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

#: Builds a wheel of one module, when the file WAITS_FOR is there.
_BACKEND = """
import os, sys, time, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    print("compiling {name}", file=sys.stderr, flush=True)
    open({begun!r}, "w").write(str(os.getpid()))
    while not os.path.exists({waits_for!r}):
        time.sleep(0.01)
    if {fails!r}:
        sys.exit({fails!r})
    wheel = "{module}-{version}-py3-none-any.whl"
    info = "{module}-{version}.dist-info"
    with zipfile.ZipFile(os.path.join(folder, wheel), "w") as file:
        file.writestr("{module}.py", "version = {version!r}")
        file.writestr(info + "/METADATA", {metadata!r})
        file.writestr(info + "/WHEEL", "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        file.writestr(info + "/RECORD", "")
    return wheel
"""


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    files: Mapping[str, str | bytes] | None = None,
    requires: Sequence[str] = (),
) -> Path:
    """A wheel of a package ``name``, whose module tells its ``version``, or of ``files``."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    found = {
        **(files if files is not None else {f"{module}.py": f"version = {version!r}\n"}),
        f"{info}/METADATA": _metadata(name, version, requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    path = folder / f"{module}-{version}-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in found.items():
            data = content.encode() if isinstance(content, str) else content
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record += f"{file},sha256={digest},{len(data)}\n"
            archive.writestr(file, data)
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return path


def make_sdist(folder: Path, name: str, version: str = "1.0", *, waits_for: Path, fails: str = "") -> Path:
    """A source distribution that is built once ``waits_for`` is there; ``<name>.begun`` beside that tells who builds.

    With ``fails`` the build ends with that message instead.
    """
    metadata = _metadata(name, version, ())
    backend = _BACKEND.format(
        name=name,
        module=name.replace("-", "_"),
        version=version,
        metadata=metadata,
        waits_for=str(waits_for),
        begun=str(waits_for.with_name(f"{name}.begun")),
        fails=fails,
    )
    project = f"""
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "{name}"
version = "{version}"
"""
    top = f"{name}-{version}"
    path = folder / f"{top}.tar.gz"
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for file, text in {"PKG-INFO": metadata, "pyproject.toml": project, "backend.py": backend}.items():
            entry = tarfile.TarInfo(f"{top}/{file}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def _metadata(name: str, version: str, requires: Sequence[str]) -> str:
    lines = ["Metadata-Version: 2.2", f"Name: {name}", f"Version: {version}"]
    return "\n".join([*lines, *(f"Requires-Dist: {text}" for text in requires), ""])
