"""Locks: exactly which packages an environment has, made by uv for one interpreter.

A lock is a requirements file with hashes, so that pip and uv can repeat it anywhere::

    # Python 3.11.9; what lies below it: 3f2a91c0
    seaborn==0.13.2 --hash=sha256:636f8336facf... --hash=sha256:93e60a40988f...

It holds what is missing in the interpreter, or is there in a version that does not fit; the rest is used from there.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from cluster_agent.environments.base import Base
from cluster_agent.environments.uv import Uv, UvFailed

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Changes whenever the same lock is built in another way.
_BUILD = 1
_KEY_LENGTH = 12
_MAX_LINE = 20_000
_HEAD = re.compile(r"# Python (?P<python>\S+); what lies below it: (?P<base>[0-9a-f]*)")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
#: A package that uv would install: with its version, or with where it comes from when that is no index.
_CHANGE = re.compile(
    r" \+ (?P<name>[^=\s]+)(?P<version>==\S+)?(?: @ (?P<url>\S+)| \(from (?P<origin>\S+)\))?"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """What an environment has beside what lies below it."""

    #: version of the Python that it was made for
    python: str
    #: fingerprint of what lay below it then
    base: str
    #: one requirement with its hashes each, by name
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The lock as it is kept."""
        return "\n".join([f"# Python {self.python}; what lies below it: {self.base}", *self.lines, ""])

    @property
    def names(self) -> list[str]:
        """The packages in it."""
        return [re.split(r"==| @ ", line, maxsplit=1)[0] for line in self.lines]

    @property
    def hashed(self) -> bool:
        """Whether every line has a hash."""
        return all("--hash=" in line for line in self.lines)

    def key(self, base: Base) -> str:
        """The name of the environment that it makes on top of ``base``."""
        parts = [_BUILD, sorted(self.lines), base.python, base.version, base.folders]
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:_KEY_LENGTH]


def check_packages(packages: Sequence[str]) -> None:
    """Refuse what is no requirement.

    Raises
    ------
    ValueError
        Naming it.
    """
    for text in packages:
        try:
            url = Requirement(text).url
        except InvalidRequirement:
            raise ValueError(
                f"{text[:100]!r} is no package: write a name, perhaps with a version, such as pandas>=2 or"
                ' "mine @ https://..."'
            ) from None
        if url is not None and "@" in urlsplit(url).netloc:
            name = text.partition("@")[0].strip()
            raise ValueError(
                f"the address of {name} holds credentials: they belong into the settings of the agent"
            )


def parse_lock(text: str) -> Lock:
    """The lock in ``text``.

    Raises
    ------
    ValueError
        When it is none; an option to a program is none either.
    """
    first, *lines = text.splitlines() or [""]
    head = _HEAD.fullmatch(first)
    if head is None:
        raise ValueError("this is no lock: its first line says for which Python it was made")
    for line in lines:
        _check_line(line)
    return Lock(python=head["python"], base=head["base"], lines=tuple(lines))


def _check_line(line: str) -> None:
    requirement, *hashes = line.split(" --hash=")
    try:
        parsed = Requirement(requirement)
    except InvalidRequirement:
        parsed = None
    pinned = parsed is not None and (
        parsed.url is not None or re.fullmatch(r"==[^*,]+", str(parsed.specifier))
    )
    if len(line) > _MAX_LINE or not pinned or not all(_HASH.fullmatch(f"--hash={part}") for part in hashes):
        raise ValueError(f"{line[:100]!r} cannot be a line of a lock")


@dataclass(frozen=True, slots=True)
class _Pin:
    """One package as uv has chosen it."""

    name: str
    #: with its version, or with where it comes from when that is no index
    requirement: str


def resolve(
    base: Base, packages: Sequence[str], uv: Uv, scratch: Path, *, may_build: bool = True
) -> tuple[Lock, int | None]:
    """The lock of ``packages`` on top of ``base``, and its bytes to download where the index tells. Blocking.

    Versions that have wheels are preferred; others are chosen where there is no other way.

    Parameters
    ----------
    scratch
        A folder for this, which is made and deleted.
    may_build
        Whether code of packages may run, in order to learn what they need.

    Raises
    ------
    UvFailed
        When there is no solution, or no index to ask; :func:`needs_build` when there may be one with building.
    """
    scratch.mkdir(mode=0o700, parents=True)
    try:
        mirror = _mirror(base, scratch / "mirror", uv)
        wanted = _written(scratch / "wanted.txt", packages)
        pins = _pins(mirror, wanted, uv, may_build=may_build)
        known = _files(pins, mirror, scratch, uv)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    lines = []
    sizes: list[int | None] = []
    for pin in sorted(pins, key=lambda pin: pin.name):
        hashes, size = known.get(canonicalize_name(pin.name), ((), None))
        lines.append(" ".join([pin.requirement, *(f"--hash=sha256:{digest}" for digest in hashes)]))
        sizes.append(size)
    total = sum(size for size in sizes if size is not None) if None not in sizes else None
    return Lock(python=base.version, base=base.fingerprint, lines=tuple(lines)), total


def needs_build(said: str) -> bool:
    """Whether uv has failed because it must not build."""
    return "--no-build" in said or "Building source distributions" in said


def _pins(mirror: Path, wanted: Path, uv: Uv, *, may_build: bool) -> list[_Pin]:
    """What uv would install."""
    words = ("pip", "install", "--dry-run", "--python", mirror, "-r", wanted)
    try:
        said = uv.run(*words, "--no-build")
    except UvFailed as error:
        if not may_build or not needs_build(str(error)):
            raise
        said = uv.run(*words)
    return [_pin(line) for line in said.splitlines() if line.startswith(" + ")]


def _pin(line: str) -> _Pin:
    change = _CHANGE.fullmatch(line)
    url = change and (change["url"] or change["origin"])
    if change is None or not (url or change["version"]):
        # without it the environment would lack a package, and nobody would know
        raise UvFailed(f"uv tells of a package in a way that is not understood: {line.strip()!r}")
    return _Pin(change["name"], f"{change['name']} @ {url}" if url else line[3:])


def _mirror(base: Base, folder: Path, uv: Uv) -> Path:
    """The interpreter of an empty environment of which uv believes that it has all that ``base`` has.

    So uv chooses what is there already where it fits, and never sees, let alone changes, the environment itself.
    """
    uv.run("venv", "--quiet", "--no-project", "--python", base.python, folder)
    packages = next(folder.glob("lib/*/site-packages"))
    seen = set()
    for source in base.folders:
        for info, metadata in _installed(Path(source)):
            name = canonicalize_name(info.name.rpartition(".")[0].partition("-")[0])
            if name not in seen:
                seen.add(name)
                copy = packages / f"{info.name.rpartition('.')[0]}.dist-info"
                copy.mkdir()
                (copy / "METADATA").symlink_to(metadata)
    return folder / "bin" / "python"


def _installed(folder: Path) -> Iterator[tuple[Path, Path]]:
    """The entries of distributions in a folder, each with its file of metadata."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.endswith((".dist-info", ".egg-info")) and entry.is_dir():
            for name in ("METADATA", "PKG-INFO"):
                if (metadata := Path(entry.path, name)).is_file():
                    yield Path(entry.path), metadata
                    break


def _files(
    pins: Sequence[_Pin], mirror: Path, scratch: Path, uv: Uv
) -> dict[str, tuple[tuple[str, ...], int | None]]:
    """By name, the hashes of the files that each pin may come in, and how large the smallest is."""
    if not pins:
        return {}
    wanted = _written(scratch / "pins.txt", [pin.requirement for pin in pins])
    lock = scratch / "pylock.toml"
    uv.run("pip", "compile", "--no-deps", "--no-header", "--python", mirror, "--format", "pylock.toml",
           "--output-file", lock, wanted)  # fmt: skip
    found = {}
    for package in tomllib.loads(lock.read_text(encoding="utf-8")).get("packages", []):
        wheels = package.get("wheels", [])
        files = [*wheels, *(package[kind] for kind in ("sdist", "archive") if kind in package)]
        hashes = tuple(
            sorted({file["hashes"]["sha256"] for file in files if "sha256" in file.get("hashes", {})})
        )
        sizes = [_size(file) for file in wheels or files]
        known = [size for size in sizes if size is not None]
        found[str(canonicalize_name(package["name"]))] = (hashes, min(known) if known else None)
    return found


def _size(file: dict[str, object]) -> int | None:
    if isinstance(size := file.get("size"), int):
        return size
    path = file.get("path")
    url = urlsplit(str(file.get("url", "")))
    if url.scheme == "file":
        path = url2pathname(url.path)
    try:
        return Path(str(path)).stat().st_size if path else None
    except OSError:
        return None


def _written(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path
