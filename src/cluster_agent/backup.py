"""``cluster-agent backup`` and ``restore``: what counts of a home in one file, and a home that may be served again.

Whoever restores does not know what happened after the backup. So nothing is done twice: job ids go on far above all
that were given until then, jobs that had not ended are told as lost, and invites that nobody had used are revoked.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import secrets
import shutil
import sqlite3
import stat
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import msgspec

from cluster_agent import __version__
from cluster_agent.admin import database
from cluster_agent.audit import Audit
from cluster_agent.config import ConfigError
from cluster_agent.console import agent_or_none, day
from cluster_agent.folder import JobFolder, sync_folder
from cluster_agent.home import Home, user_name
from cluster_agent.isolation.rights import Rights, acting_with
from cluster_agent.jobs import ledger
from cluster_agent.jobs.access import revoke_invites, tokens
from cluster_agent.jobs.ids import highest_folder, highest_marked
from cluster_agent.jobs.records import JobRecord
from cluster_agent.jobs.store import active_jobs, copy_database, highest_id, lose_job
from cluster_agent.log.append import LogTaken
from cluster_agent.protocol import State
from cluster_agent.units import format_size

_VERSION = 1
#: Files of a home that a backup holds, where they exist.
_FILES = ("instance.json", "next-id", "agent.toml", "cert.pem", "key.pem", "token", "drain.json")
_DATABASE = "agent.db"
#: The first entry and the last one.
_ABOUT, _END = "backup.json", "end"
#: Of a job's folder: room for states, values of --env, and what is just being written.
_LEFT_OUT = {"reserve", "env.json"}
_JOB_FILE = re.compile(r"jobs/[1-9]\d{0,17}(/[^/]+)*")
_LOST = "the agent's home was restored from a backup; nobody can say whether the job ran after that was made"
_TIMEOUT_S = 3600.0


class _About(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself."""

    version: int = _VERSION
    agent: str
    home: str
    made_at: float
    with_jobs: bool


# --- backup -----------------------------------------------------------------------------------------------


def backup(home: Path, file: Path, *, with_jobs: bool) -> Iterator[str]:
    """Write what counts of ``home`` to the new ``file``; a line that tells what it holds.

    Raises
    ------
    ConfigError
        When there is such a file, or it cannot be written. Nothing is left of it then.
    """
    new = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    if file.exists():
        raise ConfigError(f"{file} exists already: choose another name")
    try:
        jobs = _write(home, new, with_jobs=with_jobs)
        new.rename(file)
        sync_folder(file.absolute().parent)
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror or error}") from None
    finally:
        new.unlink(missing_ok=True)
    more = (
        f", with the logs and files of {jobs} jobs"
        if with_jobs
        else ", without logs and files of jobs (--jobs)"
    )
    yield f"{file} ({format_size(file.stat().st_size)}): the database as it was just now, ids and settings{more}"
    yield "it holds keys and cells: keep it where nobody else can read it"


def _write(home: Path, file: Path, *, with_jobs: bool) -> int:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    copy = file.with_name(f"{file.name}.db")
    jobs = 0
    with os.fdopen(descriptor, "wb") as raw, tarfile.open(fileobj=raw, mode="w") as tar:
        try:
            _copy_database(home, copy)
            about = _About(agent=__version__, home=str(home), made_at=time.time(), with_jobs=with_jobs)
            _add_bytes(tar, _ABOUT, msgspec.json.encode(about))
            _add(tar, copy, _DATABASE)
            # after the database: numbers are never behind the jobs that it knows
            for name in _FILES:
                _add(tar, home / name, name)
            if with_jobs:
                unended = _unended(copy)
                for folder in sorted((home / "jobs").iterdir()):
                    jobs += folder.name.isdigit()
                    _add_job(tar, folder, whole=folder.name not in unended)
            _add_bytes(tar, _END, b"")
        finally:
            copy.unlink(missing_ok=True)
        tar.close()
        raw.flush()
        os.fsync(raw.fileno())
    return jobs


def _copy_database(home: Path, copy: Path) -> None:
    with agent_or_none(home, _TIMEOUT_S) as client:
        if client is None:
            with database(home) as db:
                copy_database(db, copy)
            return
        with os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for chunk in client.backup():
                file.write(chunk)


def _unended(copy: Path) -> set[str]:
    """Names of the folders of jobs that had not ended."""
    with contextlib.closing(sqlite3.connect(copy)) as db:
        db.row_factory = sqlite3.Row
        return {str(record.job_id) for record in active_jobs(db)}


def _add_job(tar: tarfile.TarFile, folder: Path, *, whole: bool) -> None:
    """All files of a job; of one that has not ended only what nobody changes any more, and its log so far."""
    for place, folders, files in os.walk(folder):
        within = Path(place).relative_to(folder)
        # what is a user's is read with that one's rights, whatever leads where meanwhile
        rights = Rights.of_owner((folder / within.parts[0]).lstat()) if within.parts else None
        if within == Path():
            folders[:] = [name for name in folders if whole or name != "work"]
        for name in files:
            path = Path(place, name)
            if name in _LEFT_OUT and within == Path():
                continue
            with acting_with(rights if os.geteuid() == 0 else None):
                _add(tar, path, f"jobs/{folder.name}/{(within / name).as_posix()}")


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    """A file as it is now, as long as it is now; links and devices are left out, and what is gone by now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return
        entry = tarfile.TarInfo(name)
        entry.size, entry.mtime, entry.mode = status.st_size, int(status.st_mtime), status.st_mode & 0o700
        tar.addfile(entry, _Exactly(file, status.st_size))


class _Exactly(io.RawIOBase):
    """As many bytes of a file as were announced, also when it becomes shorter meanwhile."""

    def __init__(self, file: io.BufferedReader, size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted).ljust(wanted, b"\0")
        self._left -= len(data)
        return data


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o600
    tar.addfile(entry, io.BytesIO(data))


# --- restore ----------------------------------------------------------------------------------------------


def restore(home: Path, file: Path | None) -> Iterator[str]:
    """Make ``home`` from a backup, or accept it as it is; lines that tell what is different from now on.

    Raises
    ------
    ConfigError
        When the backup cannot be used, there is a home already, or an agent serves from it.
    """
    about = None if file is None else _unpack(file, home)
    yield from _accept(home)
    if about is not None and about.home != str(home):
        with contextlib.suppress(OSError):
            if about.home in (home / "agent.toml").read_text(encoding="utf-8"):
                yield f"look into {home / 'agent.toml'}: it names files in {about.home}"


def _accept(home: Path) -> Iterator[str]:
    place = Home(home)
    with database(home) as db:
        place.jobs.mkdir(mode=0o700, exist_ok=True)
        highest = max(highest_id(db), highest_folder(place.jobs), highest_marked(place.next_id))
        instance = place.restore(highest)
        lost = sum(_lose(db, place, record) for record in active_jobs(db))
        revoked = revoke_invites(db, time.time())
        valid = [info for _, info in tokens(db) if info.revoked_at is None]
    Audit(place.audit).note(
        "restore",
        user=user_name(os.geteuid()),
        role="admin",
        **{"from": "box"},
        first_id=instance.first_id,
        outcome="ok",
    )
    yield f"{home} is accepted; job ids go on at {instance.first_id}"
    if lost:
        yield f"{_count(lost, 'job')} that had not ended {'is' if lost == 1 else 'are'} lost"
    if revoked:
        yield f"{_count(revoked, 'invite')} that nobody had used {'is' if revoked == 1 else 'are'} revoked"
    last = max((info.created_at for info in valid), default=None)
    if last is not None:
        yield (
            f"{_count(len(valid), 'token')} {'is' if len(valid) == 1 else 'are'} valid as then, the newest of "
            f"{day(last)}; what was revoked since: cluster-agent token revoke"
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _lose(db: sqlite3.Connection, place: Home, record: JobRecord) -> bool:
    """End a job in its log and in the database; False when its supervisor lives and goes on with it."""
    folder = JobFolder(place.jobs / str(record.job_id))
    folder.env.unlink(missing_ok=True)
    folder.path.mkdir(mode=0o700, exist_ok=True)
    try:
        ended = ledger.end(folder, record.log_tag, state=State.LOST, reason=_LOST, complete=False)
    except LogTaken:
        return False
    lose_job(db, record.job_id, ended)
    return ended.state is State.LOST


def _unpack(file: Path, home: Path) -> _About:
    if home.exists() and any(home.iterdir()):
        raise ConfigError(f"{home} is there already, and not empty: choose another with --home")
    new = home.with_name(f".{home.name}.{secrets.token_hex(4)}")
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        new.mkdir(mode=0o700)
        with tarfile.open(file) as tar:
            about = _read_about(file, tar)
            names = [_unpack_file(tar, entry, new) for entry in tar]
        if _END not in names or _DATABASE not in names or "instance.json" not in names:
            raise ConfigError(f"{file} is cut off: it does not go on to its end")
        if home.exists():
            home.rmdir()
        new.rename(home)
    except tarfile.TarError as error:
        reason = str(error).splitlines()[0].rstrip(":")
        raise ConfigError(f"{file} is no backup, or damaged: {reason}") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be restored to {home}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return about


def _read_about(file: Path, tar: tarfile.TarFile) -> _About:
    first = tar.next()
    data = tar.extractfile(first) if first is not None and first.name == _ABOUT and first.isreg() else None
    try:
        about = msgspec.json.decode(data.read() if data else b"", type=_About)
    except msgspec.MsgspecError:
        raise ConfigError(f"{file} is not a backup of cluster-agent") from None
    if about.version > _VERSION:
        raise ConfigError(f"{file} is of a newer agent ({about.agent}), which must be installed for it")
    return about


def _unpack_file(tar: tarfile.TarFile, entry: tarfile.TarInfo, new: Path) -> str:
    """The name of an entry, which is unpacked when it is one that backups have, to where homes have it."""
    parts = PurePosixPath(entry.name).parts
    known = entry.name in {*_FILES, _DATABASE} or _JOB_FILE.fullmatch(entry.name)
    if not known or not entry.isreg() or ".." in parts or "\0" in entry.name:
        return entry.name
    source = tar.extractfile(entry)
    assert source is not None
    target = new.joinpath(*parts)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(target, flags, 0o600 | (entry.mode & 0o100)), "wb") as file:
        shutil.copyfileobj(source, file)
    os.utime(target, (entry.mtime, entry.mtime))
    return entry.name
