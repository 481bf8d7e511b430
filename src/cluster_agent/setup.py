"""``cluster-agent init``: everything that a box needs before its first ``serve``."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import Field
from pathlib import Path
from typing import Any

from cluster_agent.config import ConfigError, default_of, load_config, settings
from cluster_agent.home import Home
from cluster_agent.isolation.levels import BWRAP
from cluster_agent.isolation.people import find_keeper
from cluster_agent.units import format_duration, format_size, parse_duration, parse_size, parse_size_or_none

UNIT_NAME = "cluster-agent.service"

_UNIT = """\
[Unit]
Description=cluster-agent: training cells from notebooks
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
ExecStart={command} serve --home {home}
# Without this a restart of the agent would kill all running jobs.
KillMode=process
Environment=CLUSTER_AGENT_KILL_MODE=process
# A control group for each job: exact limits of memory. Older systems pass over the second line, and jobs are watched.
Delegate=yes
DelegateSubgroup=agent
TasksMax=infinity
# A job that the kernel ends for want of memory is a job that failed, and no reason to stop the others.
OOMPolicy=continue
Restart=on-failure
RestartSec=2
LimitNOFILE=65536
UMask=0077
{hardening}
[Install]
WantedBy={target}
"""

#: What jobs never need, so that it can be taken from them too: whatever a unit is denied, its jobs are. Not here,
#: for they need it: devices (GPUs), other address families (InfiniBand), /tmp and /home as everybody sees them, and
#: programs that become somebody else (nvidia-modprobe makes the device files of GPUs).
_HARDENING = """\
ProtectSystem=full
ProtectKernelModules=yes
ProtectHostname=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
CapabilityBoundingSet=~CAP_SYS_MODULE CAP_SYS_BOOT CAP_SYS_TIME CAP_SYS_RAWIO CAP_SYSLOG
"""
#: /run/cluster-agent, where the socket for people of this machine is looked for (ssh:// attachments).
_RUNTIME = "RuntimeDirectory=cluster-agent\n"
#: What covers parts of /proc: below such covers the kernel lets nobody have a /proc of their own, as boxed jobs do.
_COVERS = """\
ProtectKernelTunables=yes
ProtectKernelLogs=yes
"""

#: The unix user that supervisors act as has to be there before jobs run as the unix users of their people.
_KEEPER_MISSING = "useradd --system --shell /usr/sbin/nologin {name}"


_USERS = """\
# Unix users as whom the jobs of people run, where these have other names (isolation = "user").
[users]
# ada = "alovelace"
"""

_LIMITS = """\
# What one person may have: GPUs held and jobs running at once, jobs that wait, longest time limit, priority.
[limits]
# gpus = 2
# jobs = 10
# queued = 200
# timeout = "2d"
# priority = "normal"

# [limits.roles.admin]
# gpus = "none"

# [limits.users.ada]
# gpus = 4
"""


def init(home: Path, *, python: str | None, service: bool) -> Iterator[str]:
    """Make what is missing, change nothing that is there, and tell each step and what to do next."""
    place = Home(home)
    instance = place.prepare()
    yield f"home         {home} (agent {instance.agent_id})"
    cert, key = home / "cert.pem", home / "key.pem"
    if not cert.exists() and not key.exists():
        _make_certificate(cert, key)
    elif not (cert.exists() and key.exists()):
        there, missing = (cert, key.name) if cert.exists() else (key, cert.name)
        raise ConfigError(
            f"{there} is there, but no {missing} that goes with it: put that beside it, or move {there.name} away"
            " and run init again, which makes both"
        )
    yield f"certificate  {cert} (self-signed; invites carry its print)"
    file = home / "agent.toml"
    if not file.exists():
        file.write_text(_toml(python, cert, key), encoding="utf-8")
    yield f"settings     {file}"
    if service:
        config = load_config({"home": str(home)}, os.environ)
        unit = _write_unit(home, boxes=BWRAP in (config.isolation or ()))
        user = "" if os.geteuid() == 0 else "--user "
        if not user and find_keeper(config.supervisor_user) is None:
            yield f"people       {_KEEPER_MISSING.format(name=config.supervisor_user)}   (else all jobs run as root)"
        yield f"service      {unit}"
        yield f"start it     systemctl {user}daemon-reload && systemctl {user}enable --now cluster-agent"
    else:
        yield f"start it     cluster-agent serve --home {home}"
    yield f"check it     cluster-agent doctor --home {home}"
    yield f"invite       cluster-agent invite NAME --home {home}"


def _make_certificate(cert: Path, key: Path) -> None:
    """A self-signed certificate for the names of this box, good for ten years."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise ConfigError(
            "openssl is not installed, and init makes the certificate with it (apt install openssl)"
        )
    names = dict.fromkeys([socket.gethostname(), socket.getfqdn(), "localhost"])
    alternatives = ",".join([*(f"DNS:{name}" for name in names), "IP:127.0.0.1"])
    new_key, new_cert = (path.with_suffix(".new") for path in (key, cert))
    command = [
        *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-days", "3650", "-subj", f"/CN={socket.gethostname()[:60]}"),
        *("-addext", f"subjectAltName={alternatives}", "-keyout", str(new_key), "-out", str(new_cert)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ConfigError(f"openssl could not make a certificate: {done.stderr.strip().splitlines()[-1]}")
    new_key.chmod(0o600)
    new_key.replace(key)
    new_cert.replace(cert)


def _toml(python: str | None, cert: Path, key: Path) -> str:
    """All settings, commented out but for those that this box needs."""
    chosen = {"host": "0.0.0.0", "tls_cert": str(cert), "tls_key": str(key)}
    if python:
        chosen["python"] = python
    lines = ["# Settings of cluster-agent. What is commented out shows the default.", ""]
    for item in settings():
        if item.name in {"home", "local", "idle_exit"}:
            continue
        text = item.metadata["help"]
        lines.append(f"# {text}")
        if item.name in chosen:
            lines.append(f'{item.name} = "{chosen[item.name]}"')
        else:
            lines.append(f"# {item.name} = {_literal(item)}")
        lines.append("")
    lines += ["# Variables for every job.", "[env]", '# HF_HOME = "/data/hf"', "", _USERS, _LIMITS]
    return "\n".join(lines)


def _literal(item: Field[Any]) -> str:
    value = default_of(item)
    if value is None:
        return {"gpus": '"auto"', "isolation": '"auto"', "default_gpus": "1", "enforce_memory": "true"}.get(
            item.name, '""'
        )
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[]"
    if item.metadata["parse"] is parse_duration:
        return f'"{format_duration(value).replace(" ", "")}"'
    if item.metadata["parse"] in {parse_size, parse_size_or_none}:
        return f'"{format_size(value).replace(" ", "")}"'
    return str(value) if isinstance(value, int) else f'"{value}"'


def unit_path() -> Path:
    """Where the unit of this user's agent is, or would be."""
    system = os.geteuid() == 0
    folder = Path("/etc/systemd/system") if system else Path.home() / ".config" / "systemd" / "user"
    return folder / UNIT_NAME


def unit_text(command: Path, home: Path, *, system: bool, boxes: bool = False) -> str:
    """The unit for the system, or for a user: that one's service manager has no rights that could be taken.

    Where jobs get ``boxes`` it covers nothing of /proc.
    """
    return _UNIT.format(
        command=command,
        home=home,
        hardening="" if not system else _RUNTIME + (_HARDENING if boxes else _HARDENING + _COVERS),
        target="multi-user.target" if system else "default.target",
    )


def _write_unit(home: Path, *, boxes: bool) -> Path:
    unit = unit_path()
    unit.parent.mkdir(parents=True, exist_ok=True)
    command = Path(sys.executable).with_name("cluster-agent")
    unit.write_text(unit_text(command, home, system=os.geteuid() == 0, boxes=boxes), encoding="utf-8")
    return unit
