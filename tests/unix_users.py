"""Real unix users for tests that are root: made for one module, gone after it; and an agent whose jobs run as them."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from cluster_agent.client import AgentClient
from running import AgentProcess, agent_command

KEEPER = "keeper"


@dataclass
class Box:
    """An agent that is root, and people of whom each is a unix user."""

    agent: AgentProcess
    #: unix users by what they are called here
    names: dict[str, str]
    tokens: dict[str, str] = field(default_factory=dict)

    def client(self, person: str) -> AgentClient:
        """A client of that person."""
        if person not in self.tokens:
            self.tokens[person] = agent_command(self.agent.home, "token", "create", person)[-1]
        return self.agent.client(self.tokens[person])

    def uid(self, person: str) -> int:
        return int(subprocess.check_output(["id", "-u", self.names[person]]))


def python_for_all() -> str:
    """An interpreter that every user of this machine may start."""
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            subprocess.run(
                [python, "-c", "pass"], user=65534, group=65534, extra_groups=[], check=True, cwd="/"
            )
        except (OSError, subprocess.SubprocessError):
            continue
        return python
    pytest.skip("NOT TESTED: no Python that other users of this machine may start")


@contextmanager
def box_for_users(*people: str, flags: tuple[str, ...] = ()) -> Iterator[Box]:
    """A box with these people; its agent is not started yet."""
    if os.geteuid() != 0 or shutil.which("useradd") is None:
        pytest.skip(
            "NOT TESTED, though it has to hold: jobs of several unix users; that needs root and useradd"
        )
    python = python_for_all()
    tag = secrets.token_hex(3)
    names = {person: f"mlm-{person}-{tag}" for person in (*people, KEEPER)}
    base = Path(tempfile.mkdtemp(prefix="mlm-", dir="/var/tmp"))
    base.chmod(0o755)
    try:
        for person, name in names.items():
            kind = ["--system"] if person == KEEPER else ["--user-group"]
            subprocess.run(["useradd", "--no-create-home", *kind, name], check=True)
        home = base / "home"
        home.mkdir(mode=0o700)
        lines = [f'{person} = "{name}"' for person, name in names.items() if person != KEEPER]
        (home / "agent.toml").write_text("\n".join(["[users]", *lines, ""]))
        options = ("--gpus", "0", "--python", python, "--supervisor-user", names[KEEPER], *flags)
        agent = AgentProcess(home, options)
        try:
            yield Box(agent, names)
        finally:
            agent.destroy()
    finally:
        for name in names.values():
            _end_all(name)
            subprocess.run(["userdel", name], check=False, capture_output=True)
        shutil.rmtree(base, ignore_errors=True)


def _end_all(name: str) -> None:
    for process in psutil.process_iter(["username"]):
        if process.info["username"] == name:
            process.kill()
