"""What ops say about interpreters and packages: ``[runtimes]`` and ``[packages]`` of ``agent.toml``. Pure.

::

    [runtimes.dl]                             # %%gpu-box --runtime dl
    python = "/opt/envs/dl/bin/python"
    description = "PyTorch 2.9, CUDA 12.8"
    env = { LD_LIBRARY_PATH = "/opt/cuda/lib64" }

    [packages]                                # %%gpu-box --with seaborn
    index = "https://pypi.lab.example/simple"
    find_links = ["/srv/wheels"]
    offline = true
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster_agent.units import parse_duration, parse_size

_NAME = re.compile(r"[a-z][a-z0-9._-]{0,31}")
_MAX_DESCRIPTION = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class RuntimeSettings:
    """An interpreter with a name."""

    name: str
    python: str
    description: str = ""
    #: variables of its jobs, beside those of ``[env]``
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageSettings:
    """Where packages come from, and how much of them is kept."""

    #: address of the index, in place of the one that uv takes by itself; may hold credentials
    index: str = field(default="", repr=False)
    #: more of them
    extra_index: tuple[str, ...] = field(default=(), repr=False)
    #: folders and pages with files of packages
    find_links: tuple[str, ...] = field(default=(), repr=False)
    #: nothing is asked of the network
    offline: bool = False
    #: path of uv, when it is neither on the agent's PATH nor beside its Python
    uv: str = ""
    #: longest time that the environment of a job may take to get ready
    timeout_s: float = 1800.0
    #: bytes on disk above which the environments that were used longest ago are deleted
    keep_bytes: int = 20 * 2**30


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r} is no text")
    return value.strip()


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_text(part) for part in (value if isinstance(value, list) else [value]))


def _yes(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def _path(value: object) -> str:
    """An absolute path, whose links are left alone: that of a virtual environment leads out of it."""
    return str(Path(_text(value)).expanduser().absolute())


def _description(value: object) -> str:
    text = _text(value)
    if len(text) > _MAX_DESCRIPTION or not text.isprintable():
        raise ValueError(f"it has at most {_MAX_DESCRIPTION} characters, on one line")
    return text


def _variables(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError('it takes NAME = "text" only')
    return dict(value)


#: What a line is called, its field, and how it is read.
PACKAGE_KEYS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "index": ("index", _text),
    "extra_index": ("extra_index", _texts),
    "find_links": ("find_links", _texts),
    "offline": ("offline", _yes),
    "uv": ("uv", _path),
    "timeout": ("timeout_s", lambda value: parse_duration(str(value))),
    "keep_size": ("keep_bytes", lambda value: parse_size(str(value))),
}
RUNTIME_KEYS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "python": ("python", _path),
    "description": ("description", _description),
    "env": ("env", _variables),
}


def parse_packages(table: object) -> PackageSettings:
    """What the TOML table ``[packages]`` says.

    Raises
    ------
    ValueError
        Naming the line that cannot be used.
    """
    return PackageSettings(**_fields(table, PACKAGE_KEYS, "packages"))


def parse_runtimes(table: object) -> dict[str, RuntimeSettings]:
    """The runtimes of the TOML table ``[runtimes]``, by name.

    Raises
    ------
    ValueError
        Naming the line that cannot be used.
    """
    if not isinstance(table, dict):
        raise ValueError("[runtimes] holds a table for each name: [runtimes.NAME]")
    found = {}
    for name, rows in table.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"[runtimes.{name}]: a name is a-z, then a-z 0-9 . _ - (32 at most)")
        values = _fields(rows, RUNTIME_KEYS, f"runtimes.{name}")
        if "python" not in values:
            raise ValueError(f'[runtimes.{name}] needs a line python = "/path/of/an/interpreter"')
        found[name] = RuntimeSettings(name=name, **values)
    return found


def _fields(table: object, keys: Mapping[str, tuple[str, Callable[[Any], Any]]], name: str) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise ValueError(f"[{name}] is a table of lines such as {next(iter(keys))} = ...")
    found = {}
    for key, value in table.items():
        if key not in keys:
            raise ValueError(f"[{name}] takes {', '.join(keys)}, not {key!r}")
        field_name, parse = keys[key]
        try:
            found[field_name] = parse(value)
        except ValueError as error:
            raise ValueError(f"[{name}] {key}: {error}") from None
    return found
