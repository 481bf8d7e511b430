"""What keeps the agent's state: home, rights, disk, database, clock. Pure."""

from __future__ import annotations

from cluster_agent.doctor.facts import Clock, Database, Disk, Folder, SecretFile
from cluster_agent.doctor.finding import Finding, ok, warning, wrong
from cluster_agent.units import format_duration, format_size

_NETWORK = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "glusterfs",
        "lustre",
        "gpfs",
        "beegfs",
        "beegfs_nodev",
        "ocfs2",
        "gfs2",
        "davfs",
    ]
)
_PASSING = frozenset({"tmpfs", "ramfs"})
_LEAST_FREE, _LEAST_FILES = 5 * 2**30, 10_000
_SLOW_S, _TOO_SLOW_S = 0.05, 1.0
_CLOCK_S, _FUTURE_S = 2.0, 60.0
#: With these versions a database in WAL mode cannot be damaged by two writers; the agent has but one.
_GOOD_SQLITE = (3, 51, 3)


def home(found: Folder) -> Finding:
    """Whether the home is the agent's own, on a disk of this machine."""
    where = str(found.path)
    if not found.exists:
        return wrong("home", f"{where} does not exist", f"make it: cluster-agent init --home {where}")
    if found.owner != found.uid:
        return wrong(
            "home",
            f"{where} belongs to uid {found.owner}, and this is uid {found.uid}",
            "run the agent, and this command, as its owner",
        )
    if found.mode & 0o066:  # passing through it, to what is theirs, users of jobs may have to
        return wrong("home", f"others can look into {where} (mode {found.mode:04o})", f"chmod 700 {where}")
    kind = found.file_system
    if kind in _NETWORK or kind.startswith("fuse."):
        return wrong(
            "home",
            f"{where} is on {kind}: the database and the locks of the logs need a disk of this machine",
            "choose a local folder with --home; the project's folder may lie on a network",
        )
    if kind in _PASSING:
        return warning(
            "home", f"{where} is on {kind}: all of it is gone after a reboot", "choose another with --home"
        )
    if kind == "overlay":
        return warning(
            "home", f"{where} is part of a container and goes with it", "mount a volume there: -v NAME:/home"
        )
    return ok("home", f"{where}, {kind or 'its file system is not known'}, yours alone")


def rights(found: list[SecretFile]) -> Finding:
    """Whether others can read what is secret."""
    open_files = [file for file in found if file.mode & 0o077]
    foreign = [file for file in found if file.owner not in {file.uid, 0}]
    if open_files:
        names = " ".join(str(file.path) for file in open_files)
        return wrong(
            "rights", f"others can read {names}", f"chmod 600 {names}, and revoke tokens that were seen"
        )
    if foreign:
        names = " ".join(str(file.path) for file in foreign)
        return wrong("rights", f"{names} belongs to somebody else", f"chown {found[0].uid} {names}")
    return ok("rights", f"{', '.join(file.path.name for file in found) or 'nothing secret yet'}: yours alone")


def disk(found: Disk) -> Finding:
    """Whether the disk takes writes, has room, and syncs in time."""
    if found.error:
        return wrong(
            "disk", f"it refuses to write: {found.error}", "make room, or look at the system's log (dmesg)"
        )
    told = f"{format_size(found.free)} of {format_size(found.total)} free, a sync takes {_milliseconds(found.sync_s)}"
    if found.free < 2 * found.reserve:
        return wrong("disk", told, "make room: cluster-agent gc, or a smaller keep_size in agent.toml")
    if found.files and found.files_free < _LEAST_FILES:
        return wrong(
            "disk", f"{found.files_free} more files can be made (inodes)", "delete many small files there"
        )
    if found.sync_s > _TOO_SLOW_S:
        return wrong("disk", told, "each submit waits for a sync: choose a faster disk with --home")
    if found.free < min(_LEAST_FREE, found.keep_size):
        return warning("disk", told, "make room, or keep less: keep and keep_size in agent.toml")
    if found.sync_s > _SLOW_S:
        return warning("disk", told, "each submit waits for a sync: a faster disk for --home helps")
    return ok("disk", told)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def database(found: Database) -> Finding:
    """Whether the database is whole."""
    version = ".".join(map(str, found.sqlite))
    if found.error:
        return wrong("database", found.error, "put it back from a backup: cluster-agent restore FILE")
    whole = "whole, " if found.looked else ""
    older = (
        "" if found.sqlite >= _GOOD_SQLITE else " (older than 3.51.3: one writer only, as the agent does it)"
    )
    return ok("database", f"{whole}SQLite {version}{older}")


def clock(found: Clock) -> Finding:
    """Whether the clock agrees with others and goes forward."""
    off = found.file_at - found.now
    if abs(off) > _CLOCK_S:
        return wrong(
            "clock",
            f"a file written now says {_seconds(off)}: the disk's clock is not this machine's",
            "put both right (NTP); is the home on a network?",
        )
    if found.newest_at - found.now > _FUTURE_S:
        return wrong(
            "clock",
            f"something in the home is of {_seconds(found.newest_at - found.now)}: the clock was put back",
            "put it right (NTP): ages, leases and time limits follow it",
        )
    if found.synchronised is False:
        return warning("clock", "nothing keeps it right", "timedatectl set-ntp true, or install chrony")
    return ok("clock", "agrees with the disk" + (", kept right by NTP" if found.synchronised else ""))


def _seconds(off: float) -> str:
    return f"{format_duration(abs(off))} {'later' if off > 0 else 'earlier'}"
