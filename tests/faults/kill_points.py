"""Where a process can die: a copy of the package that kills itself at a named step, once, when told to."""

from __future__ import annotations

from pathlib import Path

from broken import Change, copy_package

_KILL_ME = """\
import os

def at(mark):
    if os.path.exists(mark):
        os.unlink(mark)
        os.kill(os.getpid(), 9)
"""

#: step: (file, the line that it stands before). Steps of the agent.
AGENT = {
    "before anything is written": ("jobs/intake.py", "        self._storage.check()\n"),
    "the folder is made": ("jobs/entering.py", "        try:\n            await self.store.add(record)\n"),
    "before the commit": ("jobs/sql.py", '        self._db.execute("COMMIT")\n        return results\n'),
    "behind the commit": ("jobs/sql.py", "        return results\n\n    def _makes_room"),
    "before the reply": ("server/jobs.py", "    return Reply(value=job, status=201"),
    "before the order is sent": (
        "executors/local.py",
        "    loop = asyncio.get_running_loop()\n    await loop.sock_sendall(",
    ),
    "the order is sent": ("executors/local.py", "    return await loop.sock_recv(spare.channel, 1)\n"),
    "before the start is recorded": (
        "jobs/life.py",
        "        while run.record.state is not State.RUNNING:\n",
    ),
    "the end is seen": (
        "jobs/life.py",
        "        # First, so that of a job that the store knows to have ended",
    ),
    "the end is recorded": ("jobs/life.py", "        self._vanished.pop(record.job_id, None)\n"),
}
#: Steps of the supervisor, and whether the cell may have run when it dies there.
SUPERVISOR = {
    "before the order is acknowledged": ("supervisor/main.py", "            agent.send(TAKEN)\n", False),
    "before the log is taken": ("supervisor/main.py", "    become_reaper()\n", False),
    "the log is taken": ("supervisor/main.py", "        if folder.closed(order.nonce).exists()", False),
    "started is written": ("supervisor/watch.py", "        kills_before = machine_oom_kills()\n", True),
    "the cell is launched": ("supervisor/watch.py", "        tree = Tree(runner.pid, self._group)\n", True),
    "the cell is over": ("supervisor/watch.py", "        self._take_rest(runner)\n        memory", True),
    "before the end": (
        "supervisor/watch.py",
        "        failure = self._syncer.failure\n        self._rec",
        True,
    ),
    "behind the end": (
        "supervisor/watch.py",
        "        if self._group is not None:\n            self._group.remove()\n",
        True,
    ),
}


def mark_of(folder: Path, step: str) -> Path:
    """The file that makes the next process die that comes to ``step``."""
    return folder / step.replace(" ", "-")


def copy_that_dies(folder: Path) -> str:
    """The interpreter of a copy with all steps in it; it dies at those whose mark exists."""
    folder.mkdir(parents=True, exist_ok=True)
    steps = {step: (path, line) for step, (path, line) in AGENT.items()}
    steps |= {step: (path, line) for step, (path, line, _) in SUPERVISOR.items()}
    changes = []
    for step, (path, line) in steps.items():
        indent = line[: len(line) - len(line.lstrip())]
        here = f"{indent}__import__('kill_me').at({str(mark_of(folder, step))!r})\n"
        changes.append(Change(f"cluster_agent/{path}", line, here + line))
    python = copy_package(folder / "copy", changes)
    (folder / "copy" / "src" / "kill_me.py").write_text(_KILL_ME, encoding="utf-8")
    return python
