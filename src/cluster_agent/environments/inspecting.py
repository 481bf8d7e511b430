"""What an interpreter has, asked once and kept until something is installed there."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from cluster_agent.protocol import Packages

#: For an interpreter on a disk that sleeps.
_PATIENCE_S = 60.0
#: The program of the kit that is asked.
_PROBE = Path("mlmagics_job/probe.py")
_Stamp = tuple[tuple[str, int, int], ...]


class NoInterpreter(Exception):
    """An interpreter cannot be started, or says nothing of use; the message says which and why."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the probe says of the interpreter that it runs in."""

    version: str
    implementation: str
    #: where it looks for modules, as a job's does, but for the job's own folders
    path: list[str]
    #: the folders in it into which packages are installed
    site: list[str]
    modules: dict[str, str]
    distributions: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Kept:
    told: Told
    stamp: _Stamp


def ask(python: str, kit: Path, variables: Mapping[str, str]) -> Told:
    """What ``python`` has for a process that has ``variables``. Blocking.

    Raises
    ------
    NoInterpreter
        With the reason.
    """
    try:
        done = subprocess.run(
            [python, str(kit / _PROBE)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=dict(variables),
            cwd="/",
            timeout=_PATIENCE_S,
            check=True,
        )
        return msgspec.json.decode(done.stdout, type=Told)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip().splitlines()
        raise NoInterpreter(f"{python} cannot be used: {said[-1][:300] if said else error}") from None
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError) as error:
        raise NoInterpreter(f"{python} cannot be started: {error}") from None


class Inspector:
    """Asks each interpreter once, and again when a folder that it looks into has changed.

    Parameters
    ----------
    kit
        Folder of the job's side.
    """

    def __init__(self, kit: Path) -> None:
        self._kit = kit
        self._kept: dict[object, _Kept] = {}
        self._locks: WeakValueDictionary[object, asyncio.Lock] = WeakValueDictionary()

    async def told(self, python: str, variables: Mapping[str, str]) -> Told:
        """What ``python`` has for a job with ``variables``.

        Raises
        ------
        NoInterpreter
            With the reason.
        """
        key = (python, *sorted(variables.items()))
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            kept = self._kept.get(key)
            if kept is None or await asyncio.to_thread(_stamp, python, kept.told.path) != kept.stamp:
                kept = self._kept[key] = await asyncio.to_thread(self._look, python, variables)
            return kept.told

    async def packages(self, python: str, variables: Mapping[str, str]) -> Packages:
        """The same as it is told to clients."""
        told = await self.told(python, variables)
        return Packages(
            python=python,
            version=told.version,
            implementation=told.implementation,
            # the kit brings it where it is not installed
            modules={"mlmagics": "", **told.modules},
            distributions=told.distributions,
            cloudpickle=told.distributions.get("cloudpickle") or _own_cloudpickle(),
        )

    def _look(self, python: str, variables: Mapping[str, str]) -> _Kept:
        told = ask(python, self._kit, variables)
        return _Kept(told, _stamp(python, told.path))


def _own_cloudpickle() -> str:
    try:
        return version("cloudpickle")
    except PackageNotFoundError:
        return ""


def _stamp(python: str, folders: Iterable[str]) -> _Stamp:
    """Changes when the interpreter is replaced, or something appears in or vanishes from a folder."""
    found: list[tuple[str, int, int]] = []
    for path in (python, *folders):
        try:
            status: Any = Path(path).stat()
            found.append((path, status.st_ino, status.st_mtime_ns))
        except OSError:
            found.append((path, 0, 0))
    return tuple(found)
