"""What the doctor concludes from facts."""

from dataclasses import replace
from pathlib import Path

import pytest

from cluster_agent.doctor import keeping, reaching, working
from cluster_agent.doctor.facts import (
    Address,
    Clock,
    Database,
    Disk,
    Folder,
    Gpus,
    Groups,
    Interpreter,
    Isolation,
    People,
    Port,
    SecretFile,
    Service,
    Serving,
    Tls,
)
from cluster_agent.doctor.report import lines

HOME = Path("/srv/agent")
FOLDER = Folder(path=HOME, exists=True, owner=1000, mode=0o700, uid=1000, file_system="ext4")
DISK = Disk(
    free=500 * 2**30, total=2**40, files_free=10**7, files=10**8, sync_s=0.004, reserve=2**26, keep_size=2**35
)
PYTHON = Interpreter(runtime="", path="/opt/bin/python", version=(3, 12, 4), ipython="9.1.0")
NOW = 1_790_000_000.0
TLS = Tls(chain=HOME / "cert.pem", names=("gpu-box",), begins_at=NOW - 1, ends_at=NOW + 10**8)
AGENT = Serving(url="https://gpu-box:8900", pid=7, agent_id="a" * 16)
SERVICE = Service(unit="cluster-agent.service", kill_mode="process", delegated=True)
GROUPS = Groups(
    setting="auto",
    enforce=True,
    place=Path("/sys/fs/cgroup/x"),
    writable=True,
    controllers=("memory", "pids"),
)
ISOLATION = Isolation(uid=1000, levels=("process",))
PEOPLE = People(users=("ada",), shared_uid=False, uid=1000)


@pytest.mark.parametrize(
    ("finding", "level", "part"),
    [
        (keeping.home(FOLDER), "ok", "ext4"),
        (keeping.home(replace(FOLDER, exists=False)), "wrong", "does not exist"),
        (keeping.home(replace(FOLDER, owner=1)), "wrong", "belongs to uid 1"),
        (keeping.home(replace(FOLDER, mode=0o750)), "wrong", "others can look into"),
        (keeping.home(replace(FOLDER, file_system="nfs4")), "wrong", "is on nfs4"),
        (keeping.home(replace(FOLDER, file_system="fuse.sshfs")), "wrong", "fuse.sshfs"),
        (keeping.home(replace(FOLDER, file_system="tmpfs")), "warning", "gone after a reboot"),
        (keeping.home(replace(FOLDER, file_system="overlay")), "warning", "container"),
        (keeping.home(replace(FOLDER, file_system="")), "ok", "not known"),
        (keeping.rights([SecretFile(path=HOME / "token", mode=0o600, owner=1, uid=1)]), "ok", "token"),
        (keeping.rights([SecretFile(path=HOME / "token", mode=0o640, owner=1, uid=1)]), "wrong", "others can read"),
        (keeping.rights([SecretFile(path=HOME / "token", mode=0o600, owner=2, uid=1)]), "wrong", "somebody else"),
        (keeping.rights([]), "ok", "nothing secret yet"),
        (keeping.disk(DISK), "ok", "4.0 ms"),
        (keeping.disk(replace(DISK, error="Read-only file system")), "wrong", "Read-only"),
        (keeping.disk(replace(DISK, free=2**26)), "wrong", "64 MiB"),
        (keeping.disk(replace(DISK, free=2**31)), "warning", "2 GiB"),
        (keeping.disk(replace(DISK, files_free=50)), "wrong", "inodes"),
        (keeping.disk(replace(DISK, files_free=0, files=0)), "ok", "free"),
        (keeping.disk(replace(DISK, sync_s=0.2)), "warning", "200.0 ms"),
        (keeping.disk(replace(DISK, sync_s=3.0)), "wrong", "3000.0 ms"),
        (keeping.database(Database(sqlite=(3, 51, 3), looked=True)), "ok", "whole, SQLite 3.51.3"),
        (keeping.database(Database(sqlite=(3, 40, 1))), "ok", "older than 3.51.3"),
        (keeping.database(Database(sqlite=(3, 51, 3), error="damaged")), "wrong", "damaged"),
        (keeping.clock(Clock(now=NOW, file_at=NOW, synchronised=True)), "ok", "NTP"),
        (keeping.clock(Clock(now=NOW, file_at=NOW + 60)), "wrong", "1 min later"),
        (keeping.clock(Clock(now=NOW, file_at=NOW - 60)), "wrong", "1 min earlier"),
        (keeping.clock(Clock(now=NOW, file_at=NOW, newest_at=NOW + 7200)), "wrong", "put back"),
        (keeping.clock(Clock(now=NOW, file_at=NOW, synchronised=False)), "warning", "nothing keeps it right"),
        (working.settings(HOME / "agent.toml", "no setting 'gpu'"), "wrong", "no setting"),
        (working.settings(HOME / "agent.toml", ""), "ok", "by default"),
        (working.serving(AGENT, HOME), "ok", "process 7"),
        (working.serving(Serving(), HOME), "warning", "no agent serves"),
        (working.serving(replace(AGENT, remark="full"), HOME), "warning", "says: full"),
        (working.python(PYTHON), "ok", "3.12.4, IPython 9.1.0"),
        (working.python(replace(PYTHON, error="No such file")), "wrong", "No such file"),
        (working.python(replace(PYTHON, version=(3, 7, 1))), "wrong", "3.8 or newer"),
        (working.python(replace(PYTHON, ipython="")), "warning", "no IPython"),
        (working.python(replace(PYTHON, own=True)), "warning", "agent's own Python"),
        (working.groups(GROUPS), "ok", "control group"),
        (working.groups(replace(GROUPS, controllers=("cpu",))), "warning", "no controller for memory"),
        (working.groups(replace(GROUPS, controllers=())), "ok", "control group"),
        (working.groups(replace(GROUPS, writable=False)), "wrong", "cannot be used"),
        (working.groups(replace(GROUPS, place=None)), "warning", "once a second"),
        (working.groups(replace(GROUPS, enforce=False)), "warning", "nobody keeps"),
        (working.gpus(Gpus()), "ok", "none"),
        (working.gpus(Gpus(devices=2, found=2, driver="570.1")), "ok", "2 of 2, driver 570.1"),
        (working.gpus(Gpus(devices=2, found=2, wanted=1)), "ok", "1 of 2"),
        (working.gpus(Gpus(devices=2, error="the driver fails")), "wrong", "fails"),
        (working.gpus(Gpus(devices=2)), "wrong", "no GPU that answers"),
        (working.gpus(Gpus(wanted=2)), "warning", "by number"),
        (working.restart(SERVICE, AGENT), "ok", "outlive"),
        (working.restart(Service(), AGENT), "ok", "by hand"),
        (working.restart(Service(), replace(AGENT, survives_restart=False)), "wrong", "would end all"),
        (working.restart(replace(SERVICE, kill_mode="control-group"), AGENT), "wrong", "KillMode=control-group"),
        (working.restart(replace(SERVICE, kill_mode=""), AGENT), "wrong", "KillMode=control-group"),
        (working.restart(replace(SERVICE, lingers=False), AGENT), "warning", "last session"),
        (working.restart(replace(SERVICE, delegated=False), AGENT), "ok", "without Delegate=yes"),
        (working.isolation(ISOLATION), "ok", "uid 1000"),
        (working.isolation(replace(ISOLATION, uid=0, no_users="no user")), "warning", "root"),
        (working.isolation(replace(ISOLATION, uid=0, levels=("user", "cgroup"))), "ok", "user, cgroup: jobs run"),
        (working.isolation(replace(ISOLATION, error="--isolation user cannot be had: why")), "wrong", "cannot be"),
        (reaching.port(Port(host="0.0.0.0", port=8900)), "ok", "is free"),
        (reaching.port(Port(host="0.0.0.0", port=8900, taken="in use")), "wrong", "in use"),
        (reaching.address("address", Address(url="https://b", agent_id="x"), "x"), "ok", "is this agent"),
        (reaching.address("address", Address(url="https://b", agent_id="y"), "x"), "wrong", "another agent"),
        (reaching.address("public URL", Address(url="https://b", error="refused"), "x"), "wrong", "refused"),
        (reaching.address("public URL", Address(url="https://b", other_certificate=True, error="e"), "x"), "warning", "proxy"),
        (reaching.tls(TLS, NOW), "ok", "for gpu-box"),
        (reaching.tls(replace(TLS, error="no such file"), NOW), "wrong", "no such file"),
        (reaching.tls(TLS, NOW + 10**9), "wrong", "has expired"),
        (reaching.tls(TLS, NOW - 10), "wrong", "not valid yet"),
        (reaching.tls(replace(TLS, missing=("box.lab",)), NOW), "warning", "not for box.lab"),
        (reaching.tls(replace(TLS, ends_at=NOW + 86400), NOW), "warning", "ends in 1 d"),
        (reaching.tls(replace(TLS, key_mode=0o644), NOW), "wrong", "its key"),
        (reaching.people(PEOPLE), "ok", "ada"),
        (reaching.people(replace(PEOPLE, users=())), "ok", "nobody"),
        (reaching.people(replace(PEOPLE, users=("ada", "grace"))), "wrong", "does not start"),
        (reaching.people(replace(PEOPLE, users=("ada", "grace"), shared_uid=True)), "ok", "one trust domain"),
        (reaching.people(replace(PEOPLE, users=("ada", "grace"), apart=True)), "ok", "each with a unix user"),
        (reaching.people(replace(PEOPLE, ending=("ada (1)",))), "warning", "two weeks"),
    ],
)  # fmt: skip
def test_facts_are_judged(finding, level, part):
    assert (finding.level, part in finding.said) == (level, True), finding
    assert bool(finding.remedy) is (level != "ok")
    assert "\n" not in finding.said + finding.remedy


def test_each_finding_is_a_line_and_they_are_counted():
    root = replace(ISOLATION, uid=0, no_users="no user")
    found = [
        working.isolation(ISOLATION),
        working.isolation(root),
        keeping.home(replace(FOLDER, exists=False)),
    ]
    shown = lines(found)
    assert [line.split()[0] for line in shown[:3]] == ["ok", "WARNING", "WRONG"]
    assert shown[-1] == "1 wrong, 1 warning"
    assert lines(found[:1])[-1] == "nothing is wrong, 0 warnings"
