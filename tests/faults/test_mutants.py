"""Agents that are broken on purpose: each is caught by the check of the promise that it breaks."""

import inspect
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mutant_checks import CHECKS

from broken import SOURCE, Change, copy_package

HERE = Path(__file__).resolve().parent
#: In all copies, so that a heartbeat need not be waited for.
QUICK = Change("cluster_agent/protocol/__init__.py", "HEARTBEAT_S = 10.0", "HEARTBEAT_S = 0.3")


@dataclass(frozen=True)
class Mutant:
    """What is broken, and the check that must see it."""

    check: str
    changes: tuple[Change, ...]


def mutant(check: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(check, (Change(f"cluster_agent/{path}", old, new),))


MUTANTS = {
    "acknowledges before it writes": mutant(
        "accepted_is_kept",
        "jobs/dispatcher.py",
        "        try:\n            await self._entry.keep(",
        "        try:\n            asyncio.get_running_loop().call_later(\n"
        "                2, lambda: asyncio.ensure_future(self._entry.keep(\n"
        "                run.record, self.folder_of(run.record.job_id), env=env, lock=lock)))\n"
        "            return run.record\n"
        "            await self._entry.keep(",
    ),
    "is off by one at a cursor": mutant(
        "a_cursor_is_exact", "log/scan.py", "        if head[0] <= seq:\n", "        if head[0] < seq:\n"
    ),
    "adopts by process id alone": mutant(
        "a_process_id_is_not_a_process",
        "executors/local.py",
        "return bool(still_there([handle.pid], [handle.pid_started], handle.boot_id))",
        "return start_time(handle.pid) is not None",
    ),
    "has no barrier before a display": mutant(
        "displays_keep_their_place",
        "supervisor/watch.py",
        "                if frame.ack:\n                    self._take_present(runner)\n",
        "",
    ),
    "locks by flock": mutant("a_dead_writer_holds_no_lock", "log/lock.py", "fcntl.lockf(", "fcntl.flock("),
    "writes no id ahead": mutant(
        "ids_never_come_twice",
        "jobs/ids.py",
        "        self._ahead = self._next + BLOCK\n",
        "        self._ahead = self._next\n",
    ),
    "calls a signal a success": mutant(
        "a_signal_is_no_success",
        "supervisor/ending.py",
        "    if exit_code == 0:\n",
        "    if exit_code == 0 or name is not None:\n",
    ),
    "runs a lost job again": mutant(
        "lost_is_never_run_again",
        "jobs/recovery.py",
        "        return Finding.LOOK_AGAIN if facts.locked else Finding.LOSE\n    if not",
        "        return Finding.LOOK_AGAIN if facts.locked else Finding.QUEUE_AGAIN\n    if not",
    ),
    "writes behind the end": mutant(
        "a_log_ends_once",
        "log/append.py",
        "        if self.ended is not None:\n            raise",
        "        if 0:\n            raise",
    ),
    "leaves a torn line": mutant(
        "a_torn_line_is_cut",
        "log/append.py",
        "        if self.size != found:\n            os.ftruncate(self._descriptor, self.size)\n",
        "",
    ),
    "numbers heartbeats": mutant(
        "heartbeats_move_no_cursor",
        "server/events.py",
        'Event(type="heartbeat", at=time.time())',
        'Event(type="heartbeat", seq=10**9, at=time.time())',
    ),
    "takes any token": mutant(
        "a_wrong_token_is_refused",
        "server/auth.py",
        "        info = self._tokens.get(key)\n",
        "        info = next(iter(self._tokens.values()))\n",
    ),
    "shows the end before it is kept": mutant(
        "who_saw_the_end_finds_it",
        "server/events.py",
        "    await call.agent.dispatcher.settled(job_id)\n",
        "",
    ),
    "forgets keys": mutant(
        "one_key_is_one_job",
        "jobs/intake.py",
        "        known = await self._store.by_key(user, key)\n",
        "        known = None\n",
    ),
    "keeps a cancel in memory": mutant(
        "a_cancel_outlives_the_agent",
        "jobs/changes.py",
        "        await asyncio.to_thread(self.lives.storage.keep, write)\n",
        "        asyncio.get_running_loop().call_later(2, write)\n",
    ),
}


def run_check(python: str, check: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [python, str(HERE / "mutant_checks.py"), check, str(folder)]
    paths = f"import sys; sys.path[:0] = [{str(HERE)!r}, {str(HERE.parent)!r}]; sys.argv = {command[1:]!r}; "
    code = paths + "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=120, check=False)


def some(names: Iterable[str], check_of: Callable[[str], str]) -> list[Any]:
    """Those whose check needs no agent are run always, the others by ``make soak``."""
    alone = {name for name, check in CHECKS.items() if "serving(" not in inspect.getsource(check)}
    return [pytest.param(name, marks=[] if check_of(name) in alone else [pytest.mark.soak]) for name in names]


def test_all_changes_can_be_made():
    for mutant in MUTANTS.values():
        for change in (QUICK, *mutant.changes):
            compile(change.changed(SOURCE), change.path, "exec")


@pytest.mark.parametrize("name", some(MUTANTS, lambda name: MUTANTS[name].check))
def test_an_agent_is_caught_that(name, tmp_path):
    mutant = MUTANTS[name]
    done = run_check(copy_package(tmp_path / "copy", [QUICK, *mutant.changes]), mutant.check, tmp_path)
    assert done.returncode == 1, f"{mutant.check} saw nothing: {done.stdout}{done.stderr}"
    assert "AssertionError" in done.stderr, done.stderr


@pytest.mark.parametrize("check", some(CHECKS, str))
def test_a_sound_agent_passes(check, tmp_path):
    done = run_check(copy_package(tmp_path / "copy", [QUICK]), check, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
