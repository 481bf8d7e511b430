"""Jobs on this machine: spares, hand-over, and what an agent that is started anew finds again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from supervised import Supervised, clean_processes, lives, make_order, until

from cluster_agent.executors.base import Handle
from cluster_agent.executors.local import LocalExecutor
from cluster_agent.folder import Cancel, JobFolder, Wish
from cluster_agent.supervisor.nursery import NURSERY_NAME, SUPERVISOR_NAME

WAIT_FOR_GO = (
    "import time\nprint('ready', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)\nprint('done')"
)


def waiting(folder: Path) -> set[int]:
    """Supervisors, and spares, that write to the log file in ``folder``."""
    return {
        process.pid
        for process in psutil.process_iter(["name"])
        if process.info["name"] == SUPERVISOR_NAME
        and lives(process.pid)
        and _stderr(process.pid) == str(folder / "supervisors.log")
    }


def _stderr(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/fd/2")
    except OSError:
        return ""


async def eventually(condition, what: str):
    return await asyncio.to_thread(until, condition, what)


@pytest.fixture
def executor(tmp_path, runner_kit):
    """Opens executors; nothing that they started lives afterwards."""
    jobs: list[Supervised] = []

    @asynccontextmanager
    async def opened(spares: int = 2, **options):
        it = LocalExecutor(runner_kit, spares, log=tmp_path / "supervisors.log", **options)
        await it.open()
        try:
            yield it, jobs
        finally:
            await it.close()

    with clean_processes(jobs):
        yield opened
    assert waiting(tmp_path) == set()


def test_executor_hands_jobs_to_spares_and_replaces_them(executor, tmp_path):
    async def scenario():
        async with executor() as (local, jobs):
            await eventually(lambda: len(waiting(tmp_path)) == 2, "two spares")
            spares = waiting(tmp_path)
            for _ in range(2):
                order = make_order(tmp_path, "print('hello')")
                running = await local.start(order)
                job = Supervised(order, running.handle.pid)
                jobs.append(job)
                assert running.handle.pid in spares
                await running.wait()
                assert job.ended().state == "succeeded"
                [begun] = job.of("started")
                assert (
                    Handle(pid=begun.pid, pid_started=begun.pid_started, boot_id=begun.boot_id)
                    == running.handle
                )
            await eventually(lambda: len(waiting(tmp_path) - spares) == 2, "two new spares")

    asyncio.run(scenario())


def test_executor_starts_more_jobs_than_it_has_spares(executor, tmp_path):
    async def scenario():
        async with executor() as (local, jobs):
            orders = [make_order(tmp_path, f"print({number})") for number in range(8)]
            all_running = await asyncio.gather(*(local.start(order) for order in orders))
            jobs += [
                Supervised(order, running.handle.pid)
                for order, running in zip(orders, all_running, strict=True)
            ]
            await asyncio.gather(*(running.wait() for running in all_running))
            assert [job.text() for job in jobs] == [f"{number}\n" for number in range(8)]
            assert all(job.ended().state == "succeeded" for job in jobs)

    asyncio.run(scenario())


def test_executor_passes_over_spares_that_have_died(executor, tmp_path):
    async def scenario():
        async with executor() as (local, jobs):
            await eventually(lambda: len(waiting(tmp_path)) == 2, "two spares")
            dead = waiting(tmp_path)
            for pid in dead:
                os.kill(pid, signal.SIGKILL)
            order = make_order(tmp_path, "print('hello')")
            running = await local.start(order)
            jobs.append(Supervised(order, running.handle.pid))
            assert running.handle.pid not in dead
            await running.wait()
            assert jobs[0].ended().state == "succeeded"

    asyncio.run(scenario())


def test_executor_does_not_wait_for_spares_that_were_stopped(executor, tmp_path):
    async def scenario():
        async with executor(1, take_s=0.3) as (it, _):
            # also known to be there, for the process comes before the news of it
            [spare] = await eventually(lambda: len(it.spares) and waiting(tmp_path), "a spare")
            os.kill(spare, signal.SIGSTOP)
            order = make_order(tmp_path, "open('ran', 'w')")
            running = await it.start(order)
            assert running.handle.pid == spare
            await asyncio.wait_for(running.wait(), 30)
            assert not lives(spare)
            # it had all of the order, and yet it can never begin
            assert not JobFolder(order.folder).log.exists()
            other = await eventually(lambda: len(it.spares) and waiting(tmp_path), "another spare")
            os.kill(other.copy().pop(), signal.SIGSTOP)
        assert waiting(tmp_path) == set()

    asyncio.run(scenario())


def test_executor_says_so_when_no_supervisor_starts(tmp_path, runner_kit, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")

    async def scenario():
        local = LocalExecutor(runner_kit, 0, log=tmp_path / "supervisors.log")
        with pytest.raises(OSError, match="that makes supervisors has ended"):
            await local.start(make_order(tmp_path, "pass"))
        await local.close()

    asyncio.run(scenario())


def test_executor_that_closes_lets_spares_go_and_jobs_run(executor, tmp_path):
    async def scenario():
        async with executor() as (local, jobs):
            order = make_order(tmp_path, WAIT_FOR_GO)
            running = await local.start(order)
            job = Supervised(order, running.handle.pid)
            jobs.append(job)
        assert waiting(tmp_path) == {job.supervisor}
        (job.folder.work / "go").touch()
        await running.wait()
        assert job.ended().state == "succeeded"

    asyncio.run(scenario())


def test_running_may_be_awaited_twice_and_given_up(executor, tmp_path):
    async def scenario():
        async with executor(spares=0) as (local, jobs):
            order = make_order(tmp_path, WAIT_FOR_GO)
            running = await local.start(order)
            job = Supervised(order, running.handle.pid)
            jobs.append(job)
            first, second = (asyncio.create_task(running.wait()) for _ in range(2))
            await eventually(lambda: "ready" in job.text(), "the job's start")
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            assert not second.done()
            (job.folder.work / "go").touch()
            await second
            await running.wait()
            assert not lives(job.supervisor)

    asyncio.run(scenario())


def test_nudge_makes_a_supervisor_look_and_is_harmless_afterwards(executor, tmp_path):
    async def scenario():
        async with executor() as (local, jobs):
            order = make_order(tmp_path, WAIT_FOR_GO)
            running = await local.start(order)
            job = Supervised(order, running.handle.pid)
            jobs.append(job)
            await eventually(lambda: "ready" in job.text(), "the job's start")
            JobFolder(order.folder).write_wish(Wish(cancel=Cancel(by="ada")))
            running.nudge()
            await running.wait()
            assert job.ended().state == "cancelled"
            running.nudge()

    asyncio.run(scenario())


def test_executor_adopts_only_the_very_process(executor, tmp_path):
    async def scenario():
        async with executor() as (local, jobs):
            order = make_order(tmp_path, WAIT_FOR_GO)
            handle = (await local.start(order)).handle
            job = Supervised(order, handle.pid)
            jobs.append(job)
            for other in (
                replace(handle, pid_started=handle.pid_started + 1),
                replace(handle, boot_id="another boot"),
                replace(handle, pid=2**22 - 1),
                replace(handle, pid=os.getpid()),
            ):
                assert local.adopt(other) is None
            adopted = local.adopt(handle)
            assert adopted is not None
            assert adopted.handle == handle
            await eventually(lambda: "ready" in job.text(), "the job's start")
            (job.folder.work / "go").touch()
            await adopted.wait()
            assert job.ended().state == "succeeded"
            assert local.adopt(handle) is None

    asyncio.run(scenario())


AGENT = """
import asyncio, os, sys, signal
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from supervised import make_order
from cluster_agent.executors.local import LocalExecutor

async def main():
    folder = Path(sys.argv[2])
    local = LocalExecutor(folder / "runner", 2, log=folder / "supervisors.log")
    await local.open()
    order = make_order(folder, sys.argv[3])
    await local.start(order)
    print(order.folder, order.nonce, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def test_executor_that_closes_while_it_starts_leaves_nothing_open(executor):
    async def scenario():
        before = set(os.listdir("/dev/fd"))
        for milliseconds in range(0, 40, 2):
            async with executor():
                await asyncio.sleep(milliseconds / 1000)
            assert set(os.listdir("/dev/fd")) == before

    asyncio.run(scenario())


def test_executor_finds_the_job_of_an_agent_that_was_killed(executor, tmp_path):
    agent = subprocess.Popen(
        [sys.executable, "-c", AGENT, str(Path(__file__).parent), str(tmp_path), WAIT_FOR_GO],
        stdout=subprocess.PIPE,
        text=True,
    )
    with agent:
        folder, nonce = agent.stdout.readline().split()
        process = psutil.Process(agent.pid)
        children = {child.pid: child.name() for child in process.children(recursive=True)}
        # a spare that was forked just now still has the name of the nursery
        [nursery] = [child.pid for child in process.children() if child.name() == NURSERY_NAME]
        agent.kill()
    spares = {pid for pid, name in children.items() if name == SUPERVISOR_NAME}
    order = replace(make_order(tmp_path, ""), folder=Path(folder), nonce=nonce)
    job = Supervised(order, 0)
    job.until_text("ready")
    [begun] = job.of("started")
    until(lambda: {pid for pid in spares if lives(pid)} == {begun.pid}, "the end of the spares")
    assert lives(nursery)

    async def scenario():
        async with executor(spares=0) as (local, _):
            handle = Handle(pid=begun.pid, pid_started=begun.pid_started, boot_id=begun.boot_id)
            adopted = local.adopt(handle)
            assert adopted is not None
            (job.folder.work / "go").touch()
            await adopted.wait()
            assert local.adopt(handle) is None

    asyncio.run(scenario())
    assert job.text() == "ready\ndone\n"
    assert job.of("ended")[0].state == "succeeded"
    until(lambda: not lives(nursery), "the end of the nursery")


LEAVES_A_DAEMON = """
if os.fork() == 0:
    os.setsid()
    print("daemon", os.getpid(), flush=True)
import time
time.sleep(600)
"""


def test_nursery_ends_what_a_killed_supervisor_left_behind_and_nothing_else(executor, tmp_path):
    async def scenario():
        async with executor(spares=1) as (local, jobs):
            for _ in range(2):
                order = make_order(tmp_path, LEAVES_A_DAEMON)
                running = await local.start(order)
                jobs.append(Supervised(order, running.handle.pid))
            killed, other = jobs
            for job in jobs:
                await eventually(lambda job=job: job.text().endswith("\n"), "the daemon")
            os.kill(killed.supervisor, signal.SIGKILL)
            await eventually(lambda: not killed.processes(), "the daemon's end")
            assert len(other.processes()) == 2
            assert not other.of("ended")

    asyncio.run(scenario())


def test_executor_sweeps_what_a_killed_supervisor_left_behind_when_the_nursery_is_gone(executor, tmp_path):
    async def scenario():
        async with executor(spares=0) as (local, jobs):
            order = make_order(tmp_path, LEAVES_A_DAEMON)
            running = await local.start(order)
            job = Supervised(order, running.handle.pid)
            jobs.append(job)
            await eventually(lambda: "daemon" in job.text(), "the daemon")
            nursery = psutil.Process(job.supervisor).parent()
            assert nursery.name() == NURSERY_NAME
            nursery.kill()
            os.kill(job.supervisor, signal.SIGKILL)
            await running.wait()
            assert local.sweep("another start") == []
            assert local.sweep(order.nonce)
            await eventually(lambda: not job.processes(), "the daemon's end")
            await eventually(lambda: local.sweep(order.nonce) == [], "nothing more to sweep")

    asyncio.run(scenario())


def test_executor_has_the_kit_compiled_for_the_interpreter_of_a_job(executor, tmp_path, runner_kit):
    async def scenario():
        async with executor(spares=0) as (local, jobs):
            order = make_order(tmp_path, "print('here')")
            running = await local.start(order)
            jobs.append(Supervised(order, running.handle.pid))
            await running.wait()
            await eventually(lambda: list(runner_kit.glob(".compiled-*")), "the mark of whole bytecode")
            assert list(runner_kit.rglob("run.*.pyc"))

    asyncio.run(scenario())
