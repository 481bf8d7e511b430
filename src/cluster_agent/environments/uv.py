"""``uv``, which resolves, downloads and installs: where it is, with which settings it runs, what it says.

Settings travel in its environment and names in files, so that no credentials of an index stand in a list of
processes. What it says of them is masked.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from cluster_agent.environments.settings import PackageSettings
from cluster_agent.isolation.rights import Rights

#: What it may need of the agent's own variables, beside its own, to find programs, certificates and proxies.
_TAKEN = frozenset(
    {"HOME", "USER", "LOGNAME", "PATH", "TMPDIR", "LANG", "NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR"}
    | {
        name
        for proxy in ("http", "https", "all", "no")
        for name in (f"{proxy}_proxy", f"{proxy}_proxy".upper())
    }
)
#: Settings of it that would have it work elsewhere than it is told.
_ELSEWHERE = re.compile(
    r"UV_(PYTHON.*|SYSTEM_PYTHON|MANAGED_PYTHON|NO_MANAGED_PYTHON|BREAK_SYSTEM_PACKAGES|PROJECT.*|WORKING_DIR.*|VENV_.*"
    r"|ENV_FILE|NO_CACHE|REQUIRE_HASHES|TOOL.*|PUBLISH.*|RUN.*)"
)
#: What pip calls a setting, and what uv does.
_OF_PIP = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}
_SEVERAL = {"UV_INDEX": " ", "UV_FIND_LINKS": ",", "UV_INSECURE_HOST": " "}
_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")
_SAID_LINES = 400
_PROGRESS = re.compile(r"\s*(Downloading|Building|Updating)\s+(\S.*)")


class UvFailed(Exception):
    """uv could not do it; the message is all that it said, masked."""


class TookTooLong(UvFailed):
    """uv was ended because its time was up."""


class Uv:
    """One installation of uv with its settings.

    Parameters
    ----------
    program
        Its path.
    variables
        All variables that it gets.
    limit_s
        How long all that it is asked to do may take together.
    whose
        The user whose process it is, where that is another than this one's.
    """

    def __init__(
        self,
        program: str,
        variables: Mapping[str, str],
        limit_s: float | None = None,
        whose: Rights | None = None,
    ) -> None:
        self._whose = whose
        self._end = None if limit_s is None else time.monotonic() + limit_s
        self._program = program
        self._variables = dict(variables)
        self._secrets = _secrets(self._variables)

    def run(self, *words: str | Path, said: Callable[[str], None] | None = None) -> str:
        """What it says while it does what the ``words`` mean. Blocking.

        Parameters
        ----------
        said
            Is told of each long step that it begins, such as ``downloading torch (800 MiB)``.

        Raises
        ------
        UvFailed
            When it fails.
        TookTooLong
            When it was ended because its time was up.
        """
        command = [self._program, *map(str, words), "--no-progress", "--color", "never"]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=self._variables,
                cwd="/",
                encoding="utf-8",
                errors="replace",
                user=self._whose.uid if self._whose else None,
                group=self._whose.gid if self._whose else None,
                extra_groups=self._whose.groups if self._whose else None,
            )
        except OSError as error:
            raise UvFailed(f"{self._program} cannot be started: {error.strerror}") from error
        assert process.stderr is not None
        lines: deque[str] = deque(maxlen=_SAID_LINES)
        with process, self._limit(process) as over:
            for line in process.stderr:
                lines.append(line)
                step = _PROGRESS.match(line)
                if said is not None and step is not None:
                    said(self.masked(f"{step[1].lower()} {step[2].strip()}"))
        if over.is_set():
            raise TookTooLong
        told = self.masked("".join(lines))
        if process.returncode != 0:
            raise UvFailed(told or f"uv ended with {process.returncode}")
        return told

    @contextlib.contextmanager
    def _limit(self, process: subprocess.Popen[str]) -> Iterator[threading.Event]:
        """Ends the process when its time is up, which the event tells then."""
        over = threading.Event()
        if self._end is None:
            yield over
            return

        def stop() -> None:
            over.set()
            process.kill()

        timer = threading.Timer(max(0.0, self._end - time.monotonic()), stop)
        timer.start()
        try:
            yield over
        finally:
            timer.cancel()
            timer.join()

    def masked(self, text: str) -> str:
        """``text`` without the credentials of an index."""
        text = _PASSWORD.sub("****@", text)
        for secret in self._secrets:
            text = text.replace(secret, "****")
        return text


def find_uv(setting: str, environ: Mapping[str, str]) -> str | None:
    """The path of uv: the one that was set, on PATH, or beside the agent's own Python; None when there is none."""
    if setting:
        return setting if os.access(setting, os.X_OK) else None
    beside = Path(sys.executable).with_name("uv")
    return shutil.which("uv", path=environ.get("PATH")) or (
        str(beside) if os.access(beside, os.X_OK) else None
    )


def uv_variables(
    settings: PackageSettings, environ: Mapping[str, str], cache: Path, pip: Mapping[str, str] | None = None
) -> dict[str, str]:
    """All variables of uv: what ops have set in ``agent.toml``, then its own variables, pip's, and pip's files.

    Parameters
    ----------
    environ
        Of the agent.
    cache
        Where it keeps what it has downloaded, unless the agent's environment says.
    pip
        What the files of pip say, by the names that they use; :func:`pip_settings` reads them.
    """
    found = {name: value for name, value in environ.items() if name in _TAKEN or name.startswith("LC_")}
    own = {
        name: value
        for name, value in environ.items()
        if name.startswith("UV_") and not _ELSEWHERE.fullmatch(name)
    }
    of_pip = {**(pip or {}), **_pip_variables(environ)}
    found |= {
        _OF_PIP[name]: _translated(_OF_PIP[name], value) for name, value in of_pip.items() if name in _OF_PIP
    }
    found |= own
    given = {
        "UV_DEFAULT_INDEX": settings.index,
        "UV_INDEX": " ".join(settings.extra_index),
        "UV_FIND_LINKS": ",".join(settings.find_links),
        "UV_OFFLINE": "1" if settings.offline else "",
    }
    found |= {name: value for name, value in given.items() if value}
    found.setdefault("UV_CACHE_DIR", str(cache))
    found["UV_PYTHON_DOWNLOADS"] = "never"
    return {name: value for name, value in found.items() if value}


def pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """What pip's own files say of indexes, the nearest file winning."""
    home = Path(environ.get("HOME", "/"))
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [
        Path("/etc/xdg/pip/pip.conf"),
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        config / "pip" / "pip.conf",
        Path(sys.prefix) / "pip.conf",
    ]
    if named := environ.get("PIP_CONFIG_FILE"):
        files = [] if named == os.devnull else [*files, Path(named)]
    found: dict[str, str] = {}
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip tells whoever uses it
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    return {name: value for name, value in found.items() if name in _OF_PIP}


def _pip_variables(environ: Mapping[str, str]) -> dict[str, str]:
    prefix = "PIP_"
    named = {name.removeprefix(prefix).lower().replace("_", "-"): value for name, value in environ.items()
             if name.startswith(prefix)}  # fmt: skip
    return {name: value for name, value in named.items() if name in _OF_PIP}


def _translated(name: str, value: str) -> str:
    """A value of pip's as uv writes it: several are separated in another way, and a switch is 1."""
    if name in _SEVERAL:
        return _SEVERAL[name].join(value.split())
    if name == "UV_NO_INDEX":
        return "1" if value.lower() in {"1", "true", "yes", "on"} else ""
    return value.strip()


def _secrets(variables: Mapping[str, str]) -> list[str]:
    """Passwords in the settings, longest first."""
    found = set()
    for name, value in variables.items():
        if name.startswith("UV_") and ("PASSWORD" in name or "TOKEN" in name):
            found.add(value)
        for part in re.split(r"[\s,]+", value) if "://" in value else ():
            try:
                found |= {urlsplit(part).password or "", urlsplit(part).netloc.rpartition("@")[0]}
            except ValueError:
                continue
    return sorted((secret for secret in found if len(secret) > 3), key=len, reverse=True)


def package_words(names: Sequence[str]) -> str:
    """A list for people, not too long: ``apple, pie and 10 more``."""
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
