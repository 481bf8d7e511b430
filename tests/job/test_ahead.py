"""Interpreters that wait for a job: the same as those that are started for it, in all that a cell can see."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from supervised import Supervised, clean_processes, lives, make_order, until

from cluster_agent.executors.habits import kind_of
from cluster_agent.executors.kit import install_kit
from cluster_agent.executors.local import LocalExecutor
from cluster_agent.executors.spares import Spares
from cluster_agent.supervisor.launch import MARK
from cluster_agent.supervisor.processes import marked

#: All that differs from job to job by its nature is left out.
LOOK = """{imports}
import gc, json, locale, os, random, resource, signal, stat, sys, threading, warnings
own = {{"MLMAGICS_START", "MLMAGICS_JOB_ID"}}
kit = {{"keyword", "_json"}}
seen = {{
    "variables": {{name: value for name, value in os.environ.items() if name not in own}},
    "system's variables": sorted(
        part.partition("=")[0] for part in open("/proc/self/environ").read().split("\\0")
        if part and part.partition("=")[0] not in ("MLMAGICS_JOB_ID",)
    ),
    "folder": os.path.basename(os.getcwd()), "path": sys.path, "argv": sys.argv, "name": __name__,
    "globals": sorted(name for name in globals() if name not in ("own", "kit")), "flags": str(sys.flags),
    "modules": sorted(n for n in sys.modules if not n.startswith("mlmagics_job") and n not in kit),
    "filters": str(warnings.filters), "threads": threading.active_count(), "executable": sys.executable,
    "signals": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
    "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "umask": os.umask(0o077),
    "leads": [os.getpid() == os.getpgid(0), os.getpid() == os.getsid(0)], "nice": os.nice(0),
    "policy": os.sched_getscheduler(0), "cpus": sorted(os.sched_getaffinity(0)), "gc": [gc.isenabled(), gc.get_threshold()],
    "depth": sys.getrecursionlimit(), "encoding": [sys.stdout.encoding, locale.getpreferredencoding()],
    "limits": [resource.getrlimit(getattr(resource, n)) for n in dir(resource) if n.startswith("RLIMIT_")],
    "oom": open("/proc/self/oom_score_adj").read(), "stdin": os.read(0, 1).decode(),
    "descriptors": len(os.listdir("/proc/self/fd")), "finders": [type(f).__name__ for f in sys.meta_path],
    "hooks": [sys.excepthook is sys.__excepthook__, sys.displayhook.__module__],
}}
print(json.dumps(seen))
print(json.dumps([random.random(), os.environ["MLMAGICS_START"]]), file=sys.stderr)
"""


@pytest.fixture
def box(tmp_path):
    """Opens executors with the kit as an agent installs it, and runs jobs on them."""
    jobs: list[Supervised] = []
    kit = install_kit(tmp_path / "home")

    @asynccontextmanager
    async def opened(**options):
        it = LocalExecutor(kit, 1, log=tmp_path / "supervisors.log", **options)
        await it.open()
        try:
            yield it, run
        finally:
            await it.close()

    async def run(local, source, **changes):
        changes.setdefault("variables", variables(tmp_path, kit) | {"MLMAGICS_JOB_ID": str(len(jobs))})
        order = make_order(tmp_path, source, common=changes.pop("common", True), **changes)
        running = await local.start(order)
        job = Supervised(order, running.handle.pid)
        jobs.append(job)
        return job, running

    with clean_processes(jobs):
        yield opened


def variables(tmp_path, kit):
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(kit)}


async def held(local, count=1, with_imports=()):
    """The kinds that wait, once there are ``count``."""
    return await asyncio.to_thread(
        until,
        lambda: (
            kinds
            if len(kinds := local.spares.warm) >= count
            and any(set(with_imports) <= set(k.imports) for k in kinds)
            else None
        ),
        "an interpreter that waits",
    )


@pytest.mark.parametrize("imports", ["", "import numpy, pandas"])
def test_a_cell_sees_no_difference(box, tmp_path, imports):
    async def scenario():
        seen = []
        async with box(warm=0) as (local, run):
            cold, running = await run(local, LOOK.format(imports=imports))
            await running.wait()
            seen.append(cold)
        async with box(warm=2) as (local, run):
            for _ in range(2):
                _, running = await run(local, imports or "pass")
                await running.wait()
            await held(local, 2, imports.replace("import ", "").split(", ") if imports else ())
            before = local.spares.warm
            warm, running = await run(local, LOOK.format(imports=imports))
            assert len(local.spares.warm) == len(before) - 1
            await running.wait()
            seen.append(warm)
        cold, warm = seen
        assert warm.ended().state == "succeeded", warm.text("stderr")
        assert json.loads(warm.text()) == json.loads(cold.text())
        told = [json.loads(job.text("stderr")) for job in seen]
        assert told[0][0] != told[1][0]
        assert told[1][1] == warm.order.nonce

    asyncio.run(scenario())


def test_processes_of_a_job_that_waited_are_found_by_its_mark(box, tmp_path):
    source = "import os, time\nos.fork()\nprint('up', flush=True)\ntime.sleep(600)"

    async def scenario():
        async with box(warm=1) as (local, run):
            _, running = await run(local, "pass")
            await running.wait()
            await held(local)
            job, running = await run(local, source)
            assert local.spares.warm == []
            await asyncio.to_thread(until, lambda: job.text().count("up") == 2, "both processes")
            assert len([pid for pid in marked(MARK, job.order.nonce) if lives(pid)]) == 2
            job.cancel()
            await running.wait()
            assert job.ended().state == "cancelled"

    asyncio.run(scenario())


def make_module(folder: Path, text: str) -> None:
    (folder / "lately.py").write_text(text)


@pytest.fixture
def own_python(tmp_path):
    """An interpreter with a folder for installed modules of its own, and that folder."""
    import venv

    venv.create(tmp_path / "env", symlinks=True)
    [site] = (tmp_path / "env/lib").glob("python*/site-packages")
    return str(tmp_path / "env/bin/python"), site


def test_what_was_installed_meanwhile_is_seen(box, own_python):
    python, site = own_python
    make_module(site, "version = 1")

    async def scenario():
        async with box(warm=2) as (local, run):
            for _ in range(2):
                job, running = await run(local, "import lately\nprint(lately.version)", python=python)
                await running.wait()
            await held(local, 2, ["lately"])
            shutil.rmtree(site / "__pycache__")
            (site / "lately.py").unlink()
            make_module(site, "version = 200")
            job, running = await run(local, "import lately\nprint(lately.version)", python=python)
            await running.wait()
            assert job.text() == "200\n"
            assert job.ended().state == "succeeded"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "text", ["print('hello')", "raise ValueError", "import os; os._exit(0)", "import sys; sys.exit()"]
)
def test_imports_that_do_more_than_import_are_not_held_ready(box, own_python, text):
    python, site = own_python
    make_module(site, text)

    async def scenario():
        async with box(warm=2) as (local, run):
            for _ in range(2):
                job, running = await run(local, "import lately", python=python)
                await running.wait()
            # the second one that waits takes its place, once the first try has failed
            await held(local, 2)
            assert {kind.imports for kind in local.spares.warm} == {()}
            job, running = await run(local, "print('fine')", python=python)
            await running.wait()
            assert job.text() == "fine\n"

    asyncio.run(scenario())


def test_modules_that_somebody_works_on_are_not_held_ready(box, own_python, tmp_path):
    python, site = own_python
    (tmp_path / "work").mkdir()
    (site / "work.pth").write_text(str(tmp_path / "work"))
    make_module(tmp_path / "work", "version = 1")

    async def scenario():
        async with box(warm=2) as (local, run):
            for _ in range(2):
                _, running = await run(local, "import lately", python=python)
                await running.wait()
            await held(local, 2)
            assert {kind.imports for kind in local.spares.warm} == {()}

    asyncio.run(scenario())


def test_a_job_with_more_than_its_cell_starts_cold(box, tmp_path):
    async def scenario():
        async with box(warm=1) as (local, run):
            _, running = await run(local, "pass")
            await running.wait()
            await held(local)
            _, running = await run(local, "pass", common=False)
            assert len(local.spares.warm) == 1
            await running.wait()
            job, running = await run(
                local, "import os; print(os.environ['A'])", variables={"PATH": "/bin", "A": "b"}
            )
            await running.wait()
            assert job.text() == "b\n"

    asyncio.run(scenario())


def test_an_interpreter_that_died_while_it_waited_costs_nothing_but_time(box, tmp_path):
    async def scenario():
        async with box(warm=1) as (local, run):
            _, running = await run(local, "pass")
            await running.wait()
            await held(local)
            # of this executor, and not of what other tests have started
            ours = {child.pid for child in psutil.Process().children(recursive=True)}
            for pid in ours & set(marked(MARK, "0" * 16)):
                if os.readlink(f"/proc/{pid}/exe") == os.path.realpath(sys.executable):
                    os.kill(pid, signal.SIGKILL)
                    until(lambda pid=pid: not lives(pid))
            job, running = await run(local, "print('fine')")
            await running.wait()
            assert job.text() == "fine\n"
            assert job.ended().state == "succeeded"

    asyncio.run(scenario())


def test_nothing_waits_any_more_when_the_agent_ends(box):
    async def scenario():
        async with box(warm=2) as (local, run):
            _, running = await run(local, "pass")
            await running.wait()
            await held(local, 2)
            # those of other agents on this machine wait, too
            ours = {child.pid for child in psutil.Process().children(recursive=True)}
            waiting = ours & marked(MARK, "0" * 16).keys()
            assert waiting
        await asyncio.to_thread(until, lambda: not any(map(lives, waiting)), "their end")

    asyncio.run(scenario())


def test_interpreters_are_given_back_when_memory_is_short(tmp_path):
    kit = install_kit(tmp_path / "home")
    room = [True]

    async def scenario():
        spares = Spares(0, 2, kit=kit, log=tmp_path / "log", has_room=lambda: room[0], room_look_s=0.01)
        try:
            spares.expect(kind_of(sys.executable, variables(tmp_path, kit), "", own_modules=()))
            spares.refill(0.0)
            await asyncio.to_thread(until, lambda: len(spares.warm) == 2, "two that wait")
            room[0] = False
            await asyncio.to_thread(until, lambda: not spares.warm, "none")
            spares.refill(0.0)
            await spares.settled()
            assert spares.warm == []
        finally:
            await spares.close()

    asyncio.run(scenario())


def test_a_supervisor_that_is_taken_while_an_interpreter_warms_up_is_replaced(box):
    async def scenario():
        async with box(warm=1) as (local, run):
            _, before = await run(local, "pass")
            await before.wait()
            await held(local)
            await local.spares.settled()
            full = len(local.spares)
            _, first = await run(local, "pass")
            await asyncio.sleep(0)  # what is missing is looked at now: an interpreter alone
            _, second = await run(local, "pass", common=False)
            assert len(local.spares) == full - 1
            await local.spares.settled()
            assert (len(local.spares), len(local.spares.warm)) == (full, 1)
            await asyncio.gather(first.wait(), second.wait())

    asyncio.run(scenario())
