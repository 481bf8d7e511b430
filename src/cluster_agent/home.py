"""The agent's home folder: who this agent is, and that the folder is really this agent's.

A copied or restored home would hand out job ids that were given before, so a home remembers the machine and
the folder it was made in and a serving agent refuses any other until ``cluster-agent restore`` was run.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cluster_agent.config import ConfigError
from cluster_agent.folder import write_durably

#: A Unix socket's address holds 108 bytes on Linux, 104 on macOS.
_MAX_SOCKET_PATH = 100


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """Identity of an agent, kept in ``instance.json``."""

    agent_id: str
    machine_id: str
    inode: int
    #: signs the tokens of the history page, so that they outlive a restart
    secret: str
    #: ids below this one are never given (raised by a restore)
    first_id: int = 1


@dataclass(frozen=True, slots=True)
class Home:
    """File names in the home; nothing else knows them."""

    path: Path

    @property
    def database(self) -> Path:
        """SQLite file."""
        return self.path / "agent.db"

    @property
    def jobs(self) -> Path:
        """Folder of the job folders."""
        return self.path / "jobs"

    @property
    def token(self) -> Path:
        """The admin token made at first start."""
        return self.path / "token"

    @property
    def instance(self) -> Path:
        """Identity."""
        return self.path / "instance.json"

    @property
    def next_id(self) -> Path:
        """Job ids handed out so far."""
        return self.path / "next-id"

    @property
    def environments(self) -> Path:
        """Environments that were built for jobs."""
        return self.path / "environments"

    @property
    def trash(self) -> Path:
        """Job folders that are being deleted."""
        return self.path / "trash"

    @property
    def blobs(self) -> Path:
        """What people have sent ahead of their jobs."""
        return self.path / "blobs"

    @property
    def drain(self) -> Path:
        """The drain in force, if there is one."""
        return self.path / "drain.json"

    @property
    def audit(self) -> Path:
        """Who did what."""
        return self.path / "audit.log"

    @property
    def ready(self) -> Path:
        """Address and process id of the agent that serves from here."""
        return self.path / "ready.json"

    @property
    def port(self) -> Path:
        """The port that a ``local`` agent had last."""
        return self.path / "port"

    @property
    def supervisor_log(self) -> Path:
        """What supervisors print when something is wrong with themselves."""
        return self.path / "supervisors.log"

    @property
    def project(self) -> Path:
        """Root of the project ``default`` when none is configured."""
        return self.path / "project"

    @property
    def socket(self) -> Path:
        """The control socket; elsewhere when the home's path is too long for a socket address."""
        path = self.path / "agent.sock"
        if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
            return path
        runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
        name = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        return runtime / f"cluster-agent-{os.getuid()}-{name}" / "agent.sock"

    def prepare(self) -> Instance:
        """Make what is missing and tell who this agent is.

        Raises
        ------
        ConfigError
            When the folder cannot be used, is open to others, or is a copy of another agent's home.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.jobs.mkdir(mode=0o700, exist_ok=True)
            self.socket.parent.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be the agent's home: {error.strerror}") from None
        for folder in {self.path, self.socket.parent}:
            facts = folder.stat()
            if facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
                raise ConfigError(f"{folder} must belong to you and be writable by nobody else (chmod 700)")
        if not self.instance.exists():
            self._write(
                Instance(
                    agent_id=secrets.token_hex(8),
                    machine_id=machine_id(),
                    inode=self._inode(),
                    secret=secrets.token_hex(32),
                )
            )
        instance = self.read_instance()
        if (instance.machine_id, instance.inode) != (machine_id(), self._inode()):
            raise ConfigError(
                f"{self.path} is a copy or was restored: its job ids could be given twice."
                f" If the original is gone for good: cluster-agent restore --home {self.path}"
            )
        return instance

    def read_instance(self) -> Instance:
        """Who this agent is, as it stands in the home."""
        try:
            return msgspec.json.decode(self.instance.read_bytes(), type=Instance)
        except (OSError, msgspec.MsgspecError) as error:
            raise ConfigError(f"{self.instance} cannot be read: {error}") from None

    def restore(self, highest_seen: int) -> Instance:
        """Accept a copied home: ids go on a million above ``highest_seen``, so that none comes twice."""
        old = self.read_instance()
        first = max(old.first_id, highest_seen + 1) + 1_000_000
        self._write(
            msgspec.structs.replace(old, machine_id=machine_id(), inode=self._inode(), first_id=first)
        )
        return self.read_instance()

    def _write(self, instance: Instance) -> None:
        write_durably(self.instance, msgspec.json.encode(instance))

    def _inode(self) -> int:
        return self.path.stat().st_ino


def machine_id() -> str:
    """What tells this machine from others; empty where the platform has no such thing."""
    for path in (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id")):
        try:
            return path.read_text(encoding="ascii").strip()
        except OSError:
            continue
    return ""


def boot_id() -> str:
    """What tells this boot from earlier ones; empty where the platform has no such thing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def user_name(uid: int) -> str:
    """The name of a unix user, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
