"""What the doctor knows: one frozen value for each thing that is looked at. None means that nobody could tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Serving:
    """The agent of this home, as far as it serves."""

    #: empty when none does
    url: str = ""
    pid: int = 0
    agent_id: str = ""
    survives_restart: bool = True
    #: what it says is wrong
    remark: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Folder:
    """The home."""

    path: Path
    exists: bool
    owner: int = 0
    mode: int = 0o700
    uid: int = 0
    #: type of its file system, such as ``ext4``; empty where the platform does not tell
    file_system: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SecretFile:
    """A file that nobody else may read."""

    path: Path
    mode: int
    owner: int
    uid: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Disk:
    """The disk of the home."""

    free: int = 0
    total: int = 0
    #: 0 in all where the file system makes room for files as they come
    files_free: int = 0
    files: int = 0
    #: median time of a small write with its sync
    sync_s: float = 0.0
    #: why nothing could be written
    error: str = ""
    reserve: int = 0
    keep_size: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Database:
    """The SQLite file and the library."""

    sqlite: tuple[int, ...]
    #: what is wrong with the file; empty when nothing is, or when nobody looked
    error: str = ""
    looked: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpreter:
    """A Python that jobs run in."""

    #: empty for the default one
    runtime: str
    path: str
    version: tuple[int, ...] = ()
    ipython: str = ""
    #: why it could not be started
    error: str = ""
    #: it is the agent's own
    own: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Groups:
    """Control groups for jobs."""

    setting: str
    enforce: bool
    #: the folder in which jobs get theirs; None: there is none
    place: Path | None = None
    writable: bool = False
    controllers: tuple[str, ...] = ()
    serving: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpus:
    """NVIDIA's driver."""

    #: device files
    devices: int = 0
    driver: str = ""
    found: int = 0
    #: what the setting asks for; None: all
    wanted: int | None = None
    error: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Who answers at an address."""

    url: str
    #: of the agent that answers there; empty when none does
    agent_id: str = ""
    error: str = ""
    #: another certificate than this agent's is there
    other_certificate: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Port:
    """Where the agent listens, or would."""

    host: str
    port: int
    #: why it cannot listen there, while it does not serve
    taken: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tls:
    """The certificate."""

    chain: Path
    #: why it cannot be used
    error: str = ""
    names: tuple[str, ...] = ()
    begins_at: float = 0.0
    ends_at: float = 0.0
    #: names by which people reach the agent, and which of them it is not for
    missing: tuple[str, ...] = ()
    #: of the key
    key_mode: int = 0o600


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """The clock of this machine, beside other clocks."""

    now: float
    #: when a file that was written just now says that it was written
    file_at: float
    #: the newest time that anything in the home tells
    newest_at: float = 0.0
    #: whether something keeps it right
    synchronised: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """The unit that the agent runs in, or would."""

    #: empty when there is none
    unit: str = ""
    kill_mode: str = ""
    delegated: bool = False
    #: whether units of this user go on after logging out; None: that does not matter here
    lingers: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Isolation:
    """What keeps jobs apart."""

    uid: int
    #: in force, or what would be
    levels: tuple[str, ...]
    #: why jobs do not run as the unix users of their people, where that is so
    no_users: str = ""
    #: why a level that was asked for cannot be had
    error: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class People:
    """Who has tokens."""

    users: tuple[str, ...]
    shared_uid: bool
    #: their jobs run as their unix users
    apart: bool = False
    uid: int
    #: tokens that end within two weeks, as USER (ID)
    ending: tuple[str, ...] = ()
