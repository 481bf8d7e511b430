"""Packages of a job: locked, built in the state `preparing`, shared, repeated, deleted."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
import psutil
import pytest

from cluster_agent.errors import BadRequest, NotFound
from cluster_agent.protocol import State, Submit
from running import agent_command, run_cell, supervisors, text_of, until, wait_ended
from wheels import make_sdist, make_wheel


@pytest.fixture
def links(tmp_path):
    """Where packages come from, besides nowhere."""
    folder = tmp_path / "links"
    make_wheel(folder, "apple", "1.0")
    make_wheel(folder, "apple", "2.0", requires=["core>=1"])
    make_wheel(folder, "core", "1.5")
    return folder


@pytest.fixture
def start(start_agent, tmp_path, links):
    """Starts an agent that takes packages from ``links``; more lines of its settings."""

    def begin(packages="", more="", **options):
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        lines = [more, "[packages]", f'find_links = ["{links}"]', "offline = true", packages]
        (home / "agent.toml").write_text("\n".join(lines))
        return start_agent("--gpus", "0", home=home, **options)

    return begin


def steps_of(events):
    return [event.message for event in events if event.type == "preparing"]


def environments(agent):
    """Names of those that were built."""
    folder = agent.home / "environments"
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and len(path.name) == 12)


def half_built(agent):
    return [path.name for path in (agent.home / "environments").glob(".*-*")]


def building(tmp_path, name):
    """The process that builds, once it has begun."""
    begun = tmp_path / f"{name}.begun"
    return psutil.Process(int(until(lambda: begun.exists() and begun.read_text())))


def submit(client, source, **spec):
    return client.submit(Submit(source=source, **spec), os.urandom(8).hex())


WHERE = """
import os, shutil, sys
import apple, core, msgspec
print(apple.version, core.version, os.path.dirname(apple.__file__))
print(sys.prefix, os.environ["VIRTUAL_ENV"], os.environ["PATH"].split(":")[0])
"""


def test_a_job_has_what_it_asks_for_and_what_its_python_has(start):
    agent = start()
    client = agent.client()
    job, events = run_cell(client, WHERE, packages=["apple"])
    assert job.state is State.SUCCEEDED, text_of(events, "stderr")
    place = str(agent.home / "environments" / job.environment)
    versions, prefixes = text_of(events).splitlines()
    assert versions.split()[:2] == ["2.0", "1.5"]
    assert versions.split()[2].startswith(place)
    assert prefixes == f"{place} {place} {place}/bin"
    assert [event.type for event in events].index("started") > max(
        number for number, event in enumerate(events) if event.type == "preparing"
    )
    first, second, third = steps_of(events)
    assert first == "choosing versions of apple"
    assert second.startswith("installing 2 packages (")
    assert third.startswith(f"built environment {job.environment} in ")
    [started] = [event for event in events if event.type == "started"]
    assert started.environment == job.environment
    assert (job.packages, job.runtime) == (["apple"], "")
    assert environments(agent) == [job.environment]
    assert half_built(agent) == []


def test_the_same_packages_are_built_once(start):
    agent = start()
    client = agent.client()
    first, _ = run_cell(client, "import apple", packages=["apple", "core"])
    second, events = run_cell(client, "import core", packages=["core", "apple>=2"])
    assert second.environment == first.environment
    assert steps_of(events)[1:] == [f"environment {first.environment} has apple, core"]
    assert environments(agent) == [first.environment]


def test_files_are_shared_with_what_uv_keeps(start):
    agent = start()
    job, _ = run_cell(agent.client(), "import apple", packages=["apple"])
    [module] = (agent.home / "environments" / job.environment).glob("lib/*/site-packages/apple.py")
    assert module.stat().st_nlink > 1


def test_nothing_is_built_for_what_is_there_already(start):
    agent = start()
    job, events = run_cell(
        agent.client(), "import sys; print(sys.executable)", packages=["msgspec", "httpx>=0.1"]
    )
    assert (job.state, job.environment) == (State.SUCCEEDED, "")
    assert text_of(events).strip() == sys.executable
    assert len(steps_of(events)) == 1


def test_another_version_hides_that_of_the_python(start, links):
    make_wheel(links, "msgspec", "0.1")
    _, events = run_cell(start().client(), "import msgspec; print(msgspec.version)", packages=["msgspec<0.2"])
    assert text_of(events) == "0.1\n"


def test_a_package_comes_from_where_it_says(start, tmp_path):
    wheel = make_wheel(tmp_path / "mine", "pear", "3.0", requires=["core"])
    agent = start()
    client = agent.client()
    wanted = [f"pear @ {wheel.as_uri()}"]
    job, events = run_cell(client, "import pear, core; print(pear.version, core.version)", packages=wanted)
    assert text_of(events) == "3.0 1.5\n", text_of(events, "stderr")
    core, pear = client.lock(job.job_id).splitlines()[1:]
    assert core.startswith("core==1.5 --hash=sha256:")
    assert pear.startswith(f"pear @ {wheel.as_uri()} --hash=sha256:")
    again, _ = run_cell(client, "import pear", packages=wanted, lock=client.lock(job.job_id))
    assert again.environment == job.environment


def test_a_lock_repeats_exactly(start, links):
    agent = start()
    client = agent.client()
    first, _ = run_cell(client, "import apple", packages=["apple"])
    lock = client.lock(first.job_id)
    assert [line.split(" ")[0] for line in lock.splitlines()[1:]] == ["apple==2.0", "core==1.5"]
    make_wheel(links, "apple", "3.0")
    show = "import apple; print(apple.version)"
    again, events = run_cell(client, show, packages=["apple"], lock=lock)
    assert text_of(events) == "2.0\n"
    assert again.environment == first.environment
    assert client.lock(again.job_id) == lock
    _, events = run_cell(client, show, packages=["apple"])
    assert text_of(events) == "3.0\n"


def test_a_lock_whose_file_was_replaced_is_not_built(start, links):
    agent = start()
    client = agent.client()
    first, _ = run_cell(client, "import apple", packages=["apple"])
    lock = client.lock(first.job_id).replace(
        "apple==2.0 --hash=sha256:", "apple==2.0 --hash=sha256:" + 8 * "0"
    )
    lock = "\n".join(line[:-8] if line.startswith("apple") else line for line in lock.splitlines()) + "\n"
    job, _ = run_cell(client, "import apple", packages=["apple"], lock=lock)
    assert job.state is State.FAILED
    assert "apple 2.0 is not the file any more that was locked" in job.reason


@pytest.mark.parametrize(
    ("packages", "reason"),
    [
        (["nowhere-to-be-found"], "nowhere-to-be-found is not on this box"),
        (
            ["apple>7"],
            "only apple<=2.0 is available and you require apple>7; ask for other versions with --with",
        ),
        (["broken"], "broken 1.0 has no wheel for Python"),
    ],
)
def test_what_cannot_be_built_fails_the_job_with_its_reason(start, links, tmp_path, packages, reason):
    go = tmp_path / "go"
    go.touch()
    make_sdist(links, "broken", waits_for=go, fails="gcc: fatal error: no input files")
    agent = start()
    job, events = run_cell(agent.client(), "print('ran')", packages=packages)
    assert job.state is State.FAILED
    assert job.reason.startswith("its environment cannot be built: ")
    assert reason in job.reason
    assert "\n" not in job.reason
    assert text_of(events) == ""
    assert "cause: " in text_of(events, "stderr")
    if packages == ["broken"]:
        assert "gcc: fatal error" in text_of(events, "stderr")
    assert environments(agent) == half_built(agent) == []
    assert not (agent.home / "jobs" / str(job.job_id) / "reserve").exists()


def test_two_jobs_at_once_build_one_environment(start, links, tmp_path):
    go = tmp_path / "go"
    make_sdist(links, "slow", waits_for=go)
    client = start().client()
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(run_cell, client, "import slow", packages=["slow"], cpus=1) for _ in range(2)]
        building(tmp_path, "slow")
        jobs = [job.job_id for job in client.jobs().jobs]

        def waits():
            events = [event for job_id in jobs for event in client.events(job_id)]
            return any("waiting for another job" in step for step in steps_of(events))

        until(waits)
        assert {job.state for job in client.jobs().jobs} == {State.PREPARING}
        go.touch()
        ended = [job.result()[0] for job in running]
    assert [job.state for job in ended] == [State.SUCCEEDED, State.SUCCEEDED]
    assert ended[0].environment == ended[1].environment


def test_cancel_ends_a_build(start, links, tmp_path):
    make_sdist(links, "slow", waits_for=tmp_path / "never")
    agent = start()
    client = agent.client()
    job = submit(client, "import slow", packages=["slow"])
    builder = building(tmp_path, "slow")
    client.cancel(job.job_id, "wrong package")
    ended = wait_ended(client, job.job_id)
    assert (ended.state, ended.started_at) == (State.CANCELLED, None)
    assert "wrong package" in ended.reason
    assert not builder.is_running()
    assert environments(agent) == half_built(agent) == []


def test_a_build_has_a_time_limit_of_its_own(start, links, tmp_path):
    make_sdist(links, "slow", waits_for=tmp_path / "never")
    agent = start('timeout = "3s"')
    job = submit(agent.client(), "import slow", packages=["slow"])
    builder = building(tmp_path, "slow")
    ended = wait_ended(agent.client(), job.job_id)
    assert ended.state is State.TIMED_OUT
    assert ended.reason.startswith("its environment was not ready after 3 s")
    assert not builder.is_running()
    assert half_built(agent) == []


def test_a_build_goes_on_without_the_agent(start, links, tmp_path):
    go = tmp_path / "go"
    make_sdist(links, "slow", waits_for=go)
    agent = start()
    job = submit(agent.client(), "import slow; print(slow.version)", packages=["slow"])
    builder = building(tmp_path, "slow")
    agent.kill()
    agent.start()
    client = agent.client()
    assert client.job(job.job_id).state is State.PREPARING
    assert builder.is_running()
    go.touch()
    ended = wait_ended(client, job.job_id)
    assert ended.state is State.SUCCEEDED
    assert ended.environment
    assert text_of(list(client.events(job.job_id))) == "1.0\n"


def test_a_job_whose_supervisor_is_killed_while_it_prepares_is_started_again(start, links, tmp_path):
    go = tmp_path / "go"
    make_sdist(links, "slow", waits_for=go)
    agent = start()
    client = agent.client()
    job = submit(client, "import slow; print(slow.version)", packages=["slow"])
    builder = building(tmp_path, "slow")
    ours = {process.pid for process in supervisors(agent.home)}
    # from the child that it has forked to the process that has forked it
    _child, supervisor, *_nursery = [process for process in builder.parents() if process.pid in ours]
    supervisor.kill()
    until(lambda: not builder.is_running())
    go.touch()
    ended = wait_ended(client, job.job_id)
    assert ended.state is State.SUCCEEDED
    assert text_of(list(client.events(job.job_id))) == "1.0\n"
    until(lambda: half_built(agent) == [])


def test_without_uv_packages_are_refused_at_once(start):
    agent = start('uv = "/nowhere/uv"')
    client = agent.client()
    assert "packages" not in client.info().capabilities
    with pytest.raises(BadRequest, match=r"pip install 'mlmagics\[env\]'") as refused:
        submit(client, "1", packages=["apple"])
    assert refused.value.field == "packages"
    assert client.jobs().jobs == []


NO_PACKAGES = [
    ({"packages": ["-r /etc/passwd"]}, "packages"),
    ({"packages": ["--index-url=https://x"]}, "packages"),
    ({"packages": ["apple\n--find-links /"]}, "packages"),
    ({"packages": ["apple @ https://ada:secret@host/apple.whl"]}, "packages"),
    ({"packages": ["apple"], "lock": "apple==1.0"}, "lock"),
    (
        {"packages": ["apple"], "lock": "# Python 3.13.0; what lies below it: \n--index-url https://x"},
        "lock",
    ),
    ({"packages": ["apple"], "lock": "# Python 3.13.0; what lies below it: \napple>=1"}, "lock"),
    ({"lock": "# Python 3.13.0; what lies below it: "}, "lock"),
    ({"runtime": "other"}, "runtime"),
    ({"packages": ["apple"] * 201}, "packages"),
]


def test_what_is_no_package_is_refused(start):
    client = start().client()
    for spec, field in NO_PACKAGES:
        with pytest.raises((BadRequest, NotFound)) as refused:
            submit(client, "1", **spec)
        assert refused.value.field == field, spec
        assert "secret" not in str(refused.value)


def test_an_environment_that_lost_files_with_the_power_is_built_anew(start):
    agent = start()
    client = agent.client()
    job, _ = run_cell(client, "import apple", packages=["apple"])
    shelf = agent.home / "environments"
    [module] = (shelf / job.environment).glob("lib/*/site-packages/apple.py")
    module.write_bytes(b"")  # with it that in the cache, which it is linked to
    card = shelf / f"{job.environment}.json"
    card.write_bytes(msgspec.json.encode({**msgspec.json.decode(card.read_bytes()), "boot_id": "before"}))
    again, events = run_cell(client, "import apple; print(apple.version)", packages=["apple"])
    assert text_of(events) == "2.0\n"
    assert again.environment == job.environment
    assert any("is damaged" in step for step in steps_of(events))


def test_a_half_built_environment_is_never_used(start):
    agent = start()
    client = agent.client()
    job, _ = run_cell(client, "import apple", packages=["apple"])
    shelf = agent.home / "environments"
    (shelf / f"{job.environment}.json").unlink()
    [module] = (shelf / job.environment).glob("lib/*/site-packages/core.py")
    module.parent.chmod(0o700)
    module.unlink()
    again, events = run_cell(client, "import apple, core", packages=["apple"])
    assert again.state is State.SUCCEEDED
    assert any("built environment" in step for step in steps_of(events))


def test_old_environments_are_deleted_unless_they_are_in_use(start, tmp_path):
    agent = start()
    client = agent.client()
    used = submit(
        client,
        f"import apple, time\nwhile not __import__('os').path.exists({str(tmp_path / 'end')!r}): time.sleep(0.01)",
        packages=["apple"],
    )
    until(lambda: client.job(used.job_id).state is State.RUNNING)
    unused, _ = run_cell(client, "import core", packages=["core"], cpus=1)
    environment = client.job(used.job_id).environment
    shelf = agent.home / "environments"
    long_ago = time.time() - 40 * 86400
    for key in environments(agent):
        os.utime(shelf / f"{key}.json", (long_ago, long_ago))
    told = agent_command(agent.home, "gc", "--dry-run")
    assert told[-3].startswith("1 environment would be deleted")
    assert told[-2] == f"  {unused.environment}"
    assert len(environments(agent)) == 2
    report = client.collect()
    assert report.environments.keys == [unused.environment]
    assert environments(agent) == [environment]
    (tmp_path / "end").touch()
    assert wait_ended(client, used.job_id).state is State.SUCCEEDED
    assert client.collect().environments.deleted == 1
    assert environments(agent) == []
    _, events = run_cell(client, "import apple; print(apple.version)", packages=["apple"])
    assert text_of(events) == "2.0\n"


def test_environments_beyond_their_room_are_deleted_the_oldest_use_first(start, links):
    for name in ("big-a", "big-b"):
        module = name.replace("-", "_")
        make_wheel(links, name, files={f"{module}.py": "", f"{module}.bin": os.urandom(2**20)})
    agent = start('keep_size = "2M"')
    client = agent.client()
    first, _ = run_cell(client, "import big_a", packages=["big-a"])
    second, _ = run_cell(client, "import big_b", packages=["big-b"])
    past = time.time() - 100
    os.utime(agent.home / "environments" / f"{first.environment}.json", (past, past))
    report = client.collect().environments
    assert report.keys == [first.environment]
    assert environments(agent) == [second.environment]
    assert report.kept_bytes < 2 * 2**20
    assert report.freed_bytes > 2**20


def test_a_runtime_is_another_python_with_variables_of_its_own(start, tmp_path):
    more = f"""
[env]
LAB = "all"
FLAVOUR = "plain"
[runtimes.dl]
python = "{sys.executable}"
description = "Deep learning"
env = {{ FLAVOUR = "sweet" }}
[runtimes.gone]
python = "{tmp_path}/gone/python"
"""
    agent = start(more=more)
    client = agent.client()
    source = "import os; print(os.environ['LAB'], os.environ['FLAVOUR'])"
    job, events = run_cell(client, source, runtime="dl")
    assert (text_of(events), job.runtime, job.environment) == ("all sweet\n", "dl", "dl")
    assert text_of(run_cell(client, source)[1]) == "all plain\n"
    until(lambda: all(item.python_version or item.remark for item in client.info().runtimes))
    dl, gone = client.info().runtimes
    assert (dl.name, dl.description, dl.python_version) == ("dl", "Deep learning", sys.version.split()[0])
    assert "cannot be started" in gone.remark
    job, events = run_cell(
        client, "import apple, os; print(os.environ['FLAVOUR'])", runtime="dl", packages=["apple"]
    )
    assert text_of(events) == "sweet\n"
    assert job.environment not in ("", "dl")
    job, _ = run_cell(client, "1", runtime="gone", packages=["apple"])
    assert job.state is State.FAILED
    assert "gone/python cannot be started" in job.reason
