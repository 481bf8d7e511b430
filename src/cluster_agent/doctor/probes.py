"""Asks the box for facts. Nothing is changed but for files that are written and deleted again in the home."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pynvml

from cluster_agent.config import SWITCHES, Config, settings
from cluster_agent.console import agent_or_none
from cluster_agent.doctor.facts import (
    Clock,
    Database,
    Disk,
    Folder,
    Gpus,
    Groups,
    Interpreter,
    Isolation,
    SecretFile,
    Serving,
)
from cluster_agent.folder import write_durably
from cluster_agent.home import Home
from cluster_agent.isolation.force import find
from cluster_agent.isolation.levels import CGROUP, USER, CannotIsolate
from cluster_agent.jobs.gpus import Patience, text
from cluster_agent.protocol import Info, Ready, TokenInfo

_SYNCS = 5
_SETTINGS = {item.name for item in settings()}
_ANSWER_S = 5.0
_DRIVER_S = 10.0
_START_S = 30.0
#: Prints the version, and that of IPython, one a line.
_ASK = """
import sys
print(".".join(map(str, sys.version_info[:3])))
try:
    import importlib.metadata as metadata
    print(metadata.version("ipython"))
except Exception:
    print("")
"""


def serving(home: Path) -> tuple[Serving, Info | None, list[TokenInfo] | None]:
    """The agent that serves from ``home``, what it tells of itself, and its tokens."""
    if not home.is_dir():
        return Serving(), None, None
    with agent_or_none(home) as client:
        if client is None:
            return Serving(), None, None
        info, infos = client.info(), client.list_tokens()
    ready = msgspec.json.decode(Home(home).ready.read_bytes(), type=Ready)
    found = Serving(
        url=ready.url,
        pid=ready.pid,
        agent_id=info.agent_id,
        survives_restart=info.survives_restart,
        remark=info.remark,
    )
    return found, info, infos


def flags_of(pid: int) -> tuple[dict[str, str], dict[str, str]]:
    """The settings that the agent ``pid`` was started with, as flags and in its environment."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
        pairs = Path(f"/proc/{pid}/environ").read_text(encoding="utf-8", errors="replace").split("\0")
    except OSError:
        return {}, {}
    flags = {}
    for number, word in enumerate(words):
        name, mark, value = word.removeprefix("--").partition("=")
        name = name.replace("-", "_")
        if word.startswith("--") and name in _SETTINGS:
            flags[name] = value if mark else "true" if name in SWITCHES else words[number + 1]
    return flags, dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def home(path: Path) -> Folder:
    """The home's folder."""
    try:
        status = path.stat()
    except OSError:
        return Folder(path=path, exists=False)
    return Folder(
        path=path,
        exists=True,
        owner=status.st_uid,
        mode=status.st_mode & 0o777,
        uid=os.geteuid(),
        file_system=_file_system(path, _mounts()),
    )


def _mounts() -> str:
    try:
        return Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _file_system(path: Path, mounts: str) -> str:
    """Type of the file system of ``path``, as the kernel's table of mounts has it."""
    best, kind = "", ""
    for line in mounts.splitlines():
        before, _, behind = line.partition(" - ")
        # blanks in it are written as octal
        place = before.split()[4].replace("\\040", " ")
        inside = path == Path(place) or Path(place) in path.parents
        if inside and len(place) >= len(best):
            best, kind = place, behind.split()[0]
    return kind


def secret_files(path: Path, config: Config | None) -> list[SecretFile]:
    """The files that nobody else may read, as far as they exist."""
    place = Home(path)
    wanted = [place.token, place.database, place.instance, place.audit, path / "key.pem"]
    if config is not None and config.tls_key is not None and config.tls_key not in wanted:
        wanted.append(config.tls_key)
    found = []
    for file in wanted:
        with contextlib.suppress(OSError):
            status = file.stat()
            found.append(
                SecretFile(path=file, mode=status.st_mode & 0o777, owner=status.st_uid, uid=os.geteuid())
            )
    return found


def disk(path: Path, config: Config) -> Disk:
    """Room, inodes, and the time of a write with its sync."""
    try:
        usage, inodes = shutil.disk_usage(path), os.statvfs(path)
        sync_s = statistics.median(_sync_s(path) for _ in range(_SYNCS))
    except OSError as error:
        return Disk(error=error.strerror or str(error))
    return Disk(
        free=usage.free,
        total=usage.total,
        files_free=inodes.f_favail,
        files=inodes.f_files,
        sync_s=sync_s,
        reserve=config.reserve,
        keep_size=config.keep_size,
    )


def _sync_s(path: Path) -> float:
    file = path / f"doctor-{secrets.token_hex(4)}"
    began = time.monotonic()
    try:
        write_durably(file, b"a probe\n")
        return time.monotonic() - began
    finally:
        file.unlink(missing_ok=True)


def database(path: Path, *, serves: bool) -> Database:
    """The database; it is looked through while no agent has it."""
    version = sqlite3.sqlite_version_info
    file = Home(path).database
    if serves or not file.exists():
        return Database(sqlite=version)
    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=1.0)) as db:
            (said,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return Database(sqlite=version, error=f"{file} cannot be read: {error}")
    return Database(
        sqlite=version, looked=True, error="" if said == "ok" else f"{file} is damaged: {str(said)[:200]}"
    )


def interpreters(config: Config) -> Iterator[Interpreter]:
    """The Pythons that jobs run in, each started once."""
    yield _interpreter("", config.python)
    for name, runtime in config.runtimes.items():
        yield _interpreter(name, runtime.python)


def _interpreter(runtime: str, path: str) -> Interpreter:
    own = not runtime and os.path.realpath(path) == os.path.realpath(sys.executable)
    try:
        done = subprocess.run(
            [path, "-c", _ASK], capture_output=True, text=True, timeout=_START_S, check=True, cwd="/"
        )
        version, ipython, *_ = [*done.stdout.splitlines(), "", ""]
        numbers = tuple(int(part) for part in version.split("."))
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
        return Interpreter(runtime=runtime, path=path, error=f"exit code {error.returncode}, {last[:200]}")
    except subprocess.TimeoutExpired:
        return Interpreter(runtime=runtime, path=path, error=f"it does not start within {_START_S:g} s")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it answers like no Python"
        return Interpreter(runtime=runtime, path=path, error=reason or str(error))
    return Interpreter(runtime=runtime, path=path, version=numbers, ipython=ipython, own=own)


def groups(config: Config, pid: int) -> Groups:
    """Where the jobs of the agent ``pid`` get control groups; 0 for one that does not run."""
    enforce = not config.local if config.enforce_memory is None else config.enforce_memory
    found = Groups(setting=config.cgroup, enforce=enforce, serving=pid > 0)
    if config.cgroup not in {"auto", "off"}:
        return _group(found, Path(config.cgroup))
    place = _delegated(pid) if config.cgroup == "auto" and pid else None
    return found if place is None else _group(found, place)


def _delegated(pid: int) -> Path | None:
    """The group that a service manager has given to the process ``pid``."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines():
            own = Path("/sys/fs/cgroup") / line.removeprefix("0::").lstrip("/")
            if line.startswith("0::") and own.name == "agent" and (own / "cgroup.procs").exists():
                return own.parent
    return None


def _group(found: Groups, place: Path) -> Groups:
    controllers: tuple[str, ...] = ()
    with contextlib.suppress(OSError):
        controllers = tuple((place / "cgroup.controllers").read_text(encoding="ascii").split()) or ("none",)
    return replace(
        found, place=place, writable=os.access(place / "cgroup.procs", os.W_OK), controllers=controllers
    )


def isolation(config: Config, info: Info | None) -> Isolation:
    """What keeps the jobs of the agent apart that serves, or would those of one that starts."""
    asked = config.isolation or ()
    try:
        force = find(
            tuple(level for level in asked if level != CGROUP),
            home=config.home,
            python=config.python,
            keeper_name=config.supervisor_user,
            names=config.users,
            place=None,
            network=True,
            own=config.local,
        )
    except CannotIsolate as error:
        return Isolation(uid=os.geteuid(), levels=(), error=str(error))
    told = tuple(info.isolation_levels or [info.isolation]) if info is not None else force.levels
    return Isolation(uid=os.geteuid(), levels=told, no_users=force.missing.get(USER, ""))


def gpus(config: Config) -> Gpus:
    """NVIDIA's driver, as its library tells it."""
    devices = len(list(Path("/dev").glob("nvidia[0-9]*")))
    driver, found, error = "", 0, ""
    try:
        driver, found = Patience().ask(_driver, _DRIVER_S)
    except TimeoutError:
        error = f"the driver does not answer within {_DRIVER_S:g} s"
    except pynvml.NVMLError as failed:
        # without any device there is nothing to drive
        error = f"the driver fails: {failed}" if devices else ""
    return Gpus(devices=devices, driver=driver, found=found, wanted=config.gpus, error=error)


def _driver() -> tuple[str, int]:
    pynvml.nvmlInit()
    try:
        return text(pynvml.nvmlSystemGetDriverVersion()), int(pynvml.nvmlDeviceGetCount())
    finally:
        pynvml.nvmlShutdown()


def clock(path: Path) -> Clock:
    """This machine's clock beside the disk's, and the newest time in the home."""
    file = path / f"doctor-{secrets.token_hex(4)}"
    now = file_at = time.time()
    try:
        write_durably(file, b"a probe\n")
        now, file_at = time.time(), file.stat().st_mtime
    except OSError:
        pass  # told of the disk
    finally:
        file.unlink(missing_ok=True)
    newest = 0.0
    with contextlib.suppress(OSError):
        newest = max((entry.stat().st_mtime for entry in os.scandir(path)), default=0.0)
    return Clock(now=now, file_at=file_at, newest_at=newest, synchronised=_synchronised())


def _synchronised() -> bool | None:
    """What the system says of its clock; None where nobody asks or answers."""
    command = shutil.which("timedatectl")
    if command is None:
        return None
    try:
        done = subprocess.run(
            [command, "show", "-p", "NTPSynchronized", "--value"],
            capture_output=True, text=True, timeout=_ANSWER_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return {"yes": True, "no": False}.get(done.stdout.strip())
