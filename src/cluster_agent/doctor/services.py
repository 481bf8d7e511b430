"""Asks systemd for the unit of the agent."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from cluster_agent.doctor.facts import Service
from cluster_agent.home import user_name
from cluster_agent.setup import UNIT_NAME, unit_path

_ANSWER_S = 5.0
_ROOT = 0


def service(home: Path, *, serving_pid: int) -> Service:
    """The unit that runs the agent ``serving_pid``, else the one that ``init --service`` has written for ``home``."""
    unit = _unit_of(serving_pid)
    file = unit_path()
    try:
        text = file.read_text(encoding="utf-8")
    except OSError:
        text = ""
    if not unit and str(home) in text:
        unit = UNIT_NAME
    if not unit:
        return Service()
    told = _show(unit, user=os.geteuid() != _ROOT) or _lines(text)
    return Service(
        unit=unit,
        kill_mode=told.get("KillMode", ""),
        delegated=told.get("Delegate", "no") == "yes",
        lingers=_lingers() if os.geteuid() != _ROOT else None,
    )


def _unit_of(pid: int) -> str:
    """The service whose control group the process is in; empty when it is in none."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    parts = [part for line in lines for part in line.rpartition(":")[2].split("/")]
    found = [part for part in parts if part.endswith(".service") and not part.startswith("user@")]
    return found[-1] if found else ""


def _show(unit: str, *, user: bool) -> dict[str, str]:
    """What the service manager says of the unit; nothing where there is none."""
    command = shutil.which("systemctl")
    if command is None:
        return {}
    scope = ["--user"] if user else []
    try:
        done = subprocess.run(
            [command, *scope, "show", unit, "-p", "LoadState", "-p", "KillMode", "-p", "Delegate"],
            capture_output=True, text=True, timeout=_ANSWER_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return {}
    told = _lines(done.stdout)
    # of a unit that it has not read it tells what units are by default
    return told if told.get("LoadState") == "loaded" else {}


def _lines(text: str) -> dict[str, str]:
    """The lines ``NAME=VALUE`` of a unit."""
    parted = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in parted}


def _lingers() -> bool | None:
    if shutil.which("loginctl") is None:
        return None
    return Path("/var/lib/systemd/linger", user_name(os.geteuid())).exists()
