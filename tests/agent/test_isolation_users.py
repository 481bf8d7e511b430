"""Two real unix users on one agent that is root: they attack each other, and the agent. Needs root.

Ada's job runs all the time, and has secrets wherever a job may have some. Each attack of Bob's is a line of one job of
his, and a case of its own here.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from attacks import ATTACKS, PRELUDE

from cluster_agent.client import AgentClient
from cluster_agent.errors import Conflict, Forbidden, NotFound
from cluster_agent.protocol import Job, State, Submit
from cluster_agent.supervisor.launch import MOST_OF_ONE_USER
from running import NotReady, agent_command, run_cell, text_of, until, wait_ended
from unix_users import KEEPER, Box, box_for_users
from wheels import make_wheel

SECRET = "a-secret-of-ada"
#: Where the kernel has control groups of version 1 each job gets one, too.
_GROUPS = Path("/sys/fs/cgroup/memory")
VICTIM = """
import os, time
project = os.environ["PROJECT_URL"].removeprefix("file://")
open("mine.txt", "w").write(os.environ["WORD"])
with open(project + "/private.txt", "w") as file:
    os.fchmod(file.fileno(), 0o600)
    file.write(os.environ["WORD"])
os.makedirs(project + "/folder-of-ada/deep", exist_ok=True)
open(project + "/folder-of-ada/deep/keep.txt", "w").write("keep")
print(os.environ["WORD"])
open("new", "w").write("%d %d" % (os.getpid(), os.getppid()))
os.rename("new", "pids.txt")
while True:
    time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def box():
    with box_for_users("ada", "bob") as box:
        links = box.agent.home.parent / "links"
        make_wheel(links, "apple", "1.0")
        with (box.agent.home / "agent.toml").open("a") as file:
            file.write(f'[packages]\nfind_links = ["{links}"]\noffline = true\n')
        _leave_a_job_of_an_earlier_agent(box)
        group = _GROUPS / box.agent.home.parent.name
        with contextlib.suppress(OSError):
            group.mkdir()
        try:
            levels = "user,cgroup" if group.exists() else "user"
            more = ("--cgroup", str(group)) if group.exists() else ()
            box.agent.flags = (*box.agent.flags, "--isolation", levels, *more)
            box.agent.start()
            yield box
            box.agent.destroy()
        finally:
            if group.exists():
                until(lambda: _removed(group))


def _removed(group: Path) -> bool:
    """Groups of jobs that were ended with the agent go when their processes have."""
    with contextlib.suppress(OSError):
        for folder in group.glob("job-*"):
            folder.rmdir()
        group.rmdir()
    return not group.exists()


def _leave_a_job_of_an_earlier_agent(box: Box) -> None:
    """One that waits: taken in by an agent at level process, so that its folder is root's."""
    agent = box.agent
    flags, agent.flags = agent.flags, (*agent.flags, "--isolation", "process", "--shared-uid")
    agent.start()
    agent_command(agent.home, "drain")
    submit(
        box.client("ada"), "import os; print(os.getuid()); open('left.txt', 'w').write('x')", name="earlier"
    )
    agent.stop()
    agent.flags = flags
    (agent.home / "drain.json").unlink()


def read(pieces: Iterator[bytes]) -> bytes:
    return b"".join(pieces)


def submit(client: AgentClient, source: str, **spec: Any) -> Job:
    return client.submit(Submit(source=source, **spec), os.urandom(8).hex())


@pytest.fixture(scope="module")
def victim(box):
    """Ada's job, and its processes: the job's and its supervisor's."""
    job = submit(box.client("ada"), VICTIM, env={"WORD": SECRET})
    file = box.agent.home / "jobs" / str(job.job_id) / "work" / "pids.txt"
    runner, supervisor = until(lambda: file.exists() and file.read_text(), within_s=20).split()
    yield job.job_id, int(runner), int(supervisor)
    box.client("ada").cancel(job.job_id)
    ended = wait_ended(box.client("ada"), job.job_id)
    assert ended.state is State.CANCELLED


# --- what Bob's program tries on the box itself ---------------------------------------------------------------


@pytest.fixture(scope="module")
def attacked(box, victim):
    """What came of each of Bob's attacks: the name of what it raised, or what it got."""
    job_id, job, supervisor = victim
    home = box.agent.home
    facts = {
        "home": str(home),
        "theirs": str(home / "jobs" / str(job_id)),
        "ada": box.uid("ada"),
        "keeper": box.uid(KEEPER),
        "job": job,
        "supervisor": supervisor,
        "agent": box.agent.pid,
        "attacks": ATTACKS,
    }
    source = f"""{PRELUDE}
facts = {facts!r}
globals().update(facts)
for name, attack in attacks.items():
    try:
        got = repr(eval(attack))[:100]
    except OSError as error:
        got = type(error).__name__
    print(json.dumps([name, got]), flush=True)
"""
    ended, events = run_cell(box.client("bob"), source)
    assert ended.state is State.SUCCEEDED, (ended.reason, text_of(events, "stderr"))
    return dict(json.loads(line) for line in text_of(events).splitlines())


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_job_cannot(attacked, attack):
    assert attacked[attack] in {"PermissionError", "FileNotFoundError"}


def test_all_goes_on_behind_the_attacks(box, victim, attacked):
    assert attacked
    assert psutil.Process(victim[1]).status() != psutil.STATUS_STOPPED
    assert box.client("ada").job(victim[0]).state is State.RUNNING
    assert (box.agent.home / "project" / "folder-of-ada" / "deep" / "keep.txt").read_text() == "keep"


def test_levels_are_told_and_true(box, victim):
    info, job = box.client("ada").info(), box.client("ada").job(victim[0])
    assert info.isolation == "user"
    levels = ["user", "cgroup"] if "--cgroup" in box.agent.flags else ["user"]
    assert info.isolation_levels == job.isolation == levels
    assert any(
        line.startswith(f"isolation  {', '.join(levels)}: jobs run as")
        for line in agent_command(box.agent.home, "status")
    )
    runner, supervisor = psutil.Process(victim[1]), psutil.Process(victim[2])
    assert set(runner.uids()) == {box.uid("ada")}
    assert 0 not in supervisor.uids()
    status = Path(f"/proc/{victim[2]}/status").read_text()
    facts = dict(line.split(":\t", 1) for line in status.splitlines())
    assert facts["CapPrm"] == facts["CapEff"] == facts["CapBnd"] == "0" * 16
    assert facts["NoNewPrivs"] == "1"
    assert supervisor.username() == box.names[KEEPER]


def test_variables_are_those_of_a_login(box):
    job, events = run_cell(
        box.client("bob"), "import os; print(os.environ['USER'], os.environ['HOME'], oct(os.umask(0)))"
    )
    assert job.state is State.SUCCEEDED
    assert text_of(events).split() == [box.names["bob"], f"/home/{box.names['bob']}", "0o7"]


def test_nobody_gets_an_interpreter_that_was_anothers(box):
    """Several in turn, so that some of them are ones that waited."""
    for person in ("ada", "bob", "bob", "ada", "ada", "bob"):
        job, events = run_cell(box.client(person), "import os; print(os.getuid(), os.geteuid())")
        assert job.state is State.SUCCEEDED
        assert text_of(events).split() == [str(box.uid(person))] * 2


FACTS = """
import json, os, resource
status = open("/proc/self/status").read().split("\\n")
print(json.dumps({
    "status": [line for line in status if line.startswith(("Uid", "Gid", "Groups", "Cap", "NoNew", "Umask", "SigBlk", "SigIgn"))],
    "variables": sorted(set(os.environ) - {"X"}),
    "limits": [resource.getrlimit(number) for number in range(16)],
    "score": open("/proc/self/oom_score_adj").read(),
    "folder": os.path.basename(os.getcwd()),
    "session": os.getsid(0) != os.getpid() == os.getpgid(0),
    "groups": open("/proc/self/cgroup").read().count("/job-"),
    "files": len(os.listdir("/proc/self/fd")),
}))
"""


def test_an_interpreter_that_waited_is_as_one_that_did_not(box):
    client = box.client("bob")
    run_cell(client, "1")
    until(lambda: _waits(box.uid("bob")))
    found = []
    for env in ({}, {"X": "1"}):  # with a variable of its own a job starts cold
        job, events = run_cell(client, FACTS, env=env)
        assert job.state is State.SUCCEEDED, text_of(events, "stderr")
        found.append(json.loads(text_of(events)))
    assert found[0] == found[1]
    assert found[0]["limits"][resource.RLIMIT_NPROC] == [MOST_OF_ONE_USER] * 2
    assert f"Uid:{chr(9)}" + chr(9).join([str(box.uid("bob"))] * 4) in found[0]["status"]


def _waits(uid: int) -> bool:
    """Whether an interpreter of that user waits for a job."""
    for process in psutil.process_iter(["uids", "environ"]):
        uids, variables = process.info["uids"], process.info["environ"] or {}
        if uids and set(uids) == {uid} and variables.get("MLMAGICS_START") == "0" * 16:
            return True
    return False


# --- what Bob tries by way of the agent, which is root --------------------------------------------------------


@pytest.fixture(scope="module")
def planted(box, victim):
    """Names that Bob's job has put into the shared project, and into its own folder."""
    assert victim
    job, events = run_cell(
        box.client("bob"),
        f"""
import os, socket
home, theirs = {str(box.agent.home)!r}, {str(box.agent.home / "jobs" / str(victim[0]))!r}
project = os.environ["PROJECT_URL"].removeprefix("file://")
for place in (".", project):
    os.symlink("/etc/shadow", place + "/to-shadow")
    os.symlink(home + "/token", place + "/to-token")
    os.symlink("../token", place + "/to-token-beneath")
    os.symlink("/root", place + "/to-root")
    os.symlink(theirs + "/work/mine.txt", place + "/to-ada")
    os.symlink(project + "/private.txt", place + "/to-private")
    os.symlink("/etc", place + "/to-etc")
    os.mkfifo(place + "/pipe")
    socket.socket(socket.AF_UNIX).bind(place + "/socket")
    try:
        os.link("/etc/shadow", place + "/hard-shadow")
    except OSError:
        os.symlink("/etc/shadow", place + "/hard-shadow")
os.mkdir(project + "/folder-of-bob")
os.symlink(project + "/folder-of-ada", project + "/folder-of-bob/hers")
print("done")
""",
    )
    assert text_of(events) == "done\n", text_of(events, "stderr")
    return job.job_id


LINKS = (
    "to-shadow",
    "to-token",
    "to-token-beneath",
    "to-root/.bashrc",
    "to-ada",
    "to-private",
    "hard-shadow",
)


@pytest.mark.parametrize("name", [*LINKS, "pipe", "socket", "private.txt"])
def test_the_agent_reads_for_nobody_what_is_not_theirs(box, planted, name):
    assert planted
    with pytest.raises((Forbidden, NotFound, Conflict)):
        read(box.client("bob").read_file("default", name))


@pytest.mark.parametrize(
    "name",
    [
        "to-etc/planted",
        "to-root/planted",
        "private.txt",
        "folder-of-bob/hers/planted",
        "folder-of-ada/deep/new",
    ],
)
def test_the_agent_writes_for_nobody_where_they_may_not(box, planted, name):
    assert planted
    with pytest.raises((Forbidden, NotFound, Conflict)):
        box.client("bob").write_file("default", name, b"planted")
    assert not list(Path("/etc").glob("*planted*"))
    assert (box.agent.home / "project" / "private.txt").read_text() == SECRET


@pytest.mark.parametrize("name", ["private.txt", "folder-of-ada", "folder-of-ada/deep/keep.txt"])
def test_the_agent_deletes_for_nobody_what_is_not_theirs(box, planted, name):
    assert planted
    with pytest.raises(Forbidden):
        box.client("bob").delete_file("default", name, recursive=True)
    assert (box.agent.home / "project" / "folder-of-ada" / "deep" / "keep.txt").read_text() == "keep"


def test_what_the_agent_writes_for_somebody_is_theirs(box, planted):
    assert planted
    box.client("bob").write_file("default", "by-bob/data.txt", b"data")
    place = box.agent.home / "project" / "by-bob"
    for path in (place, place / "data.txt"):
        assert path.stat().st_uid == box.uid("bob")
        assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0
    assert read(box.client("bob").read_file("default", "by-bob/data.txt")) == b"data"
    with pytest.raises(Forbidden):
        read(box.client("ada").read_file("default", "by-bob/data.txt"))


def test_a_folder_with_a_group_is_shared_by_it(box):
    """As the how-to says: what one of them makes in it the others may change."""
    group = f"{box.names[KEEPER]}-g"[:31]
    subprocess.run(["groupadd", group], check=True)
    try:
        for person in ("ada", "bob"):
            subprocess.run(["usermod", "-aG", group, box.names[person]], check=True)
        team = box.agent.home / "project" / "team"
        team.mkdir()
        subprocess.run(["chgrp", group, team], check=True)
        team.chmod(0o2770)
        box.client("ada").write_file("default", "team/models/m.txt", b"of ada")
        code = "import os; p = os.environ['PROJECT_URL'][7:] + '/team/models/m.txt'; open(p, 'a').write(' and bob')"
        job, events = run_cell(box.client("bob"), code)
        assert job.state is State.SUCCEEDED, text_of(events)
        assert read(box.client("ada").read_file("default", "team/models/m.txt")) == b"of ada and bob"
    finally:
        subprocess.run(["groupdel", group], check=False)


@pytest.mark.parametrize("name", [*LINKS, "pipe", "socket"])
def test_the_agent_hands_out_nothing_of_roots_that_a_job_has_left(box, planted, name):
    """Asked by the admin, who may read files of all jobs: what the job could not read is not among these."""
    assert planted
    admin = box.agent.client()
    with pytest.raises((Forbidden, NotFound, Conflict)):
        read(admin.job_file(planted, name))


# --- people -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "reason"),
    [
        ("nobody-knows-her", "there is no unix user"),
        ("daemon", "it is a service's"),
        ("root", "that is root"),
    ],
)
def test_who_is_no_unix_user_is_refused_at_once(box, person, reason):
    with pytest.raises(Forbidden, match=reason):
        submit(box.client(person), "print(1)")
    with pytest.raises(Forbidden, match=reason):
        box.client(person).list_files("default", "")


# --- what a job says of itself, which the agent must not act on as root ---------------------------------------


@pytest.fixture(scope="module")
def restarted(box):
    """A job of Ada's with a daemon, and its agent's successor, which finds the job's side not compiled."""
    job = submit(box.client("ada"), ESCAPING, grace_s=0.5)
    escaped = _escaped(box, job)
    for path in box.agent.home.glob("kit/*/.compiled-*"):
        path.unlink()
    box.agent.restart()
    return job.job_id, escaped


def test_a_cancel_reaches_all_processes_of_another_user_also_after_a_restart(box, restarted):
    job_id, escaped = restarted
    client = box.client("ada")
    assert client.job(job_id).state is State.RUNNING
    client.cancel(job_id)
    assert wait_ended(client, job_id).state is State.CANCELLED
    until(lambda: not escaped.is_running())


def test_a_library_that_a_job_names_is_loaded_by_nobody_else(box, restarted):
    """The agent compiles the job's side for each Python, as root: never with variables of a person's."""
    assert restarted
    trace = box.agent.home.parent / "open-to-all"
    trace.mkdir()
    trace.chmod(0o777)
    env = {"LD_DEBUG": "libs", "LD_DEBUG_OUTPUT": str(trace / "loaded")}
    job, _ = run_cell(box.client("bob"), "1", env=env)
    assert job.state is State.SUCCEEDED
    run_cell(box.client("bob"), "1")
    until(lambda: list(box.agent.home.glob("kit/*/.compiled-*")))
    assert {path.stat().st_uid for path in trace.iterdir()} == {box.uid("bob")}


def test_packages_are_looked_up_with_the_rights_of_who_asks(box):
    """A lock is made by the agent itself, before there is a job; what is asked for may name files of this machine."""
    assert box.client("bob").make_lock(["apple"]).packages == ["apple==1.0"]
    shelf = box.agent.home / "environments" / f"user-{box.uid('bob')}"
    owners = {path.lstat().st_uid for path in (shelf, *shelf.rglob("*"))}
    assert owners == {box.uid("bob")}
    assert not (box.agent.home / "environments" / "cache").exists()


def test_a_backup_holds_nothing_that_a_job_could_not_read(box, attacked, planted):
    assert attacked
    file = box.agent.home.parent / "box.tar"
    agent_command(box.agent.home, "backup", file, "--jobs")
    with tarfile.open(file) as tar:
        names = [name for name in tar.getnames() if f"/{planted}/work/" in name]
        mine = [name for name in tar.getnames() if name.endswith("work/mine")]
    assert mine, "what a job has left is in it"
    assert not [
        name for name in names if name.rpartition("/")[2].startswith(("to-", "hard", "pipe", "socket"))
    ]


# --- what worked before works on ------------------------------------------------------------------------------


def test_a_job_of_an_earlier_agent_runs_as_its_user(box):
    client = box.client("ada")
    [job] = client.jobs(name="earlier").jobs
    ended = wait_ended(client, job.job_id)
    assert ended.state is State.SUCCEEDED, ended.reason
    assert ended.isolation == box.client("ada").info().isolation_levels
    assert read(client.output(job.job_id, "stdout")) == f"{box.uid('ada')}\n".encode()
    assert read(client.job_file(job.job_id, "left.txt")) == b"x"


def test_results_are_the_keepers_and_whole(box):
    source = "class Odd: pass\nodd = Odd()\nodd.data = bytes(range(256)) * 4000\nsmall = {'a': 1}\nlarge = ['x' * 90] * 100"
    job, events = run_cell(box.client("bob"), source, fetch=["odd", "small", "large"])
    assert job.state is State.SUCCEEDED, text_of(events, "stderr")
    found = {entry.name: entry for entry in box.client("bob").results(job.job_id)}
    assert all(found[name].sha256 for name in ("odd", "small", "large")), found
    assert len(box.client("bob").result(job.job_id, "odd")) > 1_000_000
    folder = box.agent.home / "jobs" / str(job.job_id) / "results"
    assert {path.stat().st_uid for path in (folder, *folder.iterdir())} == {box.uid(KEEPER)}


def test_packages_are_built_for_their_user_only(box):
    source = "import apple, os; print(apple.version, os.stat(apple.__file__).st_uid)"
    job, events = run_cell(box.client("bob"), source, packages=["apple"])
    if job.reason and "uv" in job.reason:
        pytest.skip(f"NOT TESTED: {job.reason}")
    assert job.state is State.SUCCEEDED, (job.reason, text_of(events, "stderr"))
    assert text_of(events).split() == ["1.0", str(box.uid("bob"))]
    shelf = box.agent.home / "environments" / f"user-{box.uid('bob')}"
    assert stat.S_IMODE(shelf.stat().st_mode) == 0o700
    assert (box.agent.home / "jobs" / str(job.job_id) / "lock.txt").exists()
    agent_command(box.agent.home, "gc")
    assert (shelf / job.environment).is_dir()


def test_too_much_memory_ends_the_one_who_takes_it(box, victim):
    source = "import os, time\nif not os.fork(): time.sleep(0)\nx = b'x' * 700_000_000\ntime.sleep(60)"
    job, _ = run_cell(box.client("bob"), source, memory_bytes=300 * 2**20, grace_s=0.0)
    assert job.state is State.FAILED
    assert "memory" in (job.reason or "")
    assert box.client("ada").job(victim[0]).state is State.RUNNING


ESCAPING = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    open("escaped", "w").write(str(os.getpid()))
    time.sleep(600)
while not os.path.exists("escaped") or not open("escaped").read():
    time.sleep(0.01)
print("away", open("escaped").read(), flush=True)
time.sleep(600)
"""


def _escaped(box: Box, job: Job) -> psutil.Process:
    file = box.agent.home / "jobs" / str(job.job_id) / "work" / "escaped"
    return psutil.Process(int(until(lambda: file.exists() and file.read_text())))


def test_what_a_killed_supervisor_leaves_behind_is_ended(box):
    client = box.client("bob")
    job = submit(client, ESCAPING)
    escaped = _escaped(box, job)
    log = box.agent.home / "jobs" / str(job.job_id) / "events.ndjson"
    started = next(
        line for line in map(json.loads, log.read_text().splitlines()) if line["type"] == "started"
    )
    os.kill(started["pid"], signal.SIGKILL)
    assert wait_ended(client, job.job_id).state is State.LOST
    until(lambda: not escaped.is_running())


def test_old_folders_are_deleted_also_where_a_job_has_planted_links(box):
    outside = box.agent.home.parent / "outside"
    outside.mkdir()
    outside.chmod(0o755)
    code = f"import os; os.mkdir('deep', 0o500); os.symlink({str(outside)!r}, 'link'); os.mkdir('none', 0)"
    job, _ = run_cell(box.client("bob"), code)
    assert job.state is State.SUCCEEDED
    folder = box.agent.home / "jobs" / str(job.job_id)
    assert folder.is_dir()
    flags, box.agent.flags = box.agent.flags, (*box.agent.flags, "--keep", "1s")
    box.agent.restart()
    until(lambda: agent_command(box.agent.home, "gc") and not folder.exists())
    assert not list((box.agent.home / "trash").iterdir())
    assert stat.S_IMODE(outside.stat().st_mode) == 0o755
    box.agent.flags = flags
    box.agent.restart()


def test_an_agent_without_what_was_asked_for_does_not_start(box):
    box.agent.stop()
    flags = box.agent.flags
    try:
        for more, reason in (
            (("--supervisor-user", "no-such-user"), "useradd --system"),
            (("--isolation", "user,cgroup", "--cgroup", "off"), "no control group"),
        ):
            box.agent.flags = (*flags, *more)
            with pytest.raises(NotReady, match=reason):
                box.agent.start()
    finally:
        box.agent.flags = flags
        box.agent.start()
