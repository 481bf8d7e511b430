"""Parts of an agent as its settings want them; what cannot be had is a ConfigError, one line for people."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cluster_agent.certificates import read_certificate
from cluster_agent.config import Config, ConfigError
from cluster_agent.content.projects import Projects
from cluster_agent.environments.interpreters import Interpreters
from cluster_agent.environments.provision import Provision
from cluster_agent.executors.groups import find_place
from cluster_agent.executors.habits import Kind, kind_of
from cluster_agent.home import Home, Instance, boot_id
from cluster_agent.isolation.box import Box
from cluster_agent.isolation.force import InForce, find, open_for_users, open_project
from cluster_agent.isolation.ids import Ids
from cluster_agent.isolation.levels import CGROUP, CannotIsolate
from cluster_agent.jobs.ids import IdSource, highest_folder
from cluster_agent.jobs.orders import Confine, MakeVariables
from cluster_agent.jobs.records import JobRecord
from cluster_agent.jobs.slots import Slots
from cluster_agent.jobs.submit import Policy
from cluster_agent.server.call import Route
from cluster_agent.server.peers import socket_path
from cluster_agent.server.routes import ROUTES
from cluster_agent.storage import Storage
from cluster_agent.supervisor.environment import build_variables

#: No job in a box sees what is there.
_HIDDEN = ("/run", "/tmp", "/var/tmp")


def ids(home: Home, instance: Instance, highest_id: int, storage: Storage) -> IdSource:
    """Where job ids come from: above every id that the database, the run folders or the home knows."""
    at_least = max(highest_id + 1, highest_folder(home.jobs) + 1, instance.first_id)
    try:
        return storage.keep(lambda: IdSource(home.next_id, at_least=at_least, boot_id=boot_id()))
    except OSError as error:
        raise ConfigError(f"{home.path} cannot be written: {error.strerror}") from None


def routes(config: Config) -> list[Route]:
    """The route table, with ``/metrics`` as ops want it."""
    if not config.open_metrics:
        return ROUTES
    return [replace(route, role=None) if route.path == "/metrics" else route for route in ROUTES]


def certificate(config: Config) -> dict[str, Any]:
    """Print and end of the certificate, as fields of the agent; none without TLS."""
    if config.tls_cert is None or config.tls_key is None:
        return {}
    try:
        found = read_certificate(config.tls_cert, config.tls_key)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--tls-cert {config.tls_cert} cannot be used: {error}") from None
    return {"certificate_print": found.print, "certificate_ends_at": found.ends_at}


def projects(config: Config, home: Home, force: InForce) -> Projects:
    """The shared storage of the default project."""
    root = Path(config.project) if config.project else home.project
    if force.people is not None and not config.project and home.project.exists():
        open_project(home.project)
    try:
        return Projects({"default": root}, open_to_all=force.people is not None)
    except OSError as error:
        raise ConfigError(f"the project folder {root} cannot be used: {error.strerror}") from None


def interpreters(config: Config, kit: Path) -> Interpreters:
    """The Pythons that jobs may ask for."""
    return Interpreters(
        python=config.python,
        env=config.env,
        runtimes=config.runtimes,
        any_python=config.local,
        kit=kit,
    )


def isolation(config: Config, home: Home) -> InForce:
    """What keeps jobs apart here: what was asked for, or what can be had. Blocking: things are tried."""
    try:
        place = find_place(config.cgroup)
    except OSError as error:
        raise ConfigError(f"--cgroup {config.cgroup} cannot be used: {error}") from None
    try:
        force = find(
            config.isolation or (),
            home=home.path,
            python=config.python,
            keeper_name=config.supervisor_user,
            names=config.users,
            place=place,
            network=config.network == "on",
            own=config.local,
        )
    except CannotIsolate as error:
        raise ConfigError(str(error)) from None
    if config.cgroup not in {"auto", "off"} and force.place is None:
        raise ConfigError(f"--cgroup {config.cgroup} cannot be used: {force.missing.get(CGROUP)}")
    if config.network == "off" and not force.bwrap:
        raise ConfigError("--network off needs --isolation bwrap: nothing else takes a job's network away")
    if force.people is not None:
        open_for_users(home.path, (home.jobs, home.environments))
    return force


def confine(config: Config, projects: Projects, force: InForce) -> Confine:
    """What says whose a job is, and what it sees of the system."""
    socket = socket_path(config, Home(config.home))
    hidden = {config.home, *map(Path, _HIDDEN)}
    people = socket.parent if socket is not None and hidden.isdisjoint(socket.parents) else None

    def of(record: JobRecord) -> tuple[Ids | None, Box | None]:
        return force.ids(record.user), force.box(config.home, projects.root(record.project), people)

    return of


def policy(config: Config, slots: Slots, projects: Projects, provision: Provision) -> Policy:
    """What a submit is measured against."""
    return Policy(
        total=slots.total,
        default_gpus=min(1, slots.total.gpus) if config.default_gpus is None else config.default_gpus,
        default_timeout_s=config.default_timeout,
        max_grace_s=config.max_grace,
        projects=[project.name for project in projects.describe()],
        python=config.python,
        any_python=config.local,
        runtimes={name: settings.python for name, settings in config.runtimes.items()},
        builds=lambda: provision.uv() is not None,
        prepare_s=config.packages.timeout_s,
    )


def variables(interpreters: Interpreters, projects: Projects, kit: Path, force: InForce) -> MakeVariables:
    """What builds the environment of a job: an allow-list of the agent's, ops', the job's own, then ours."""

    def build(record: JobRecord, env: Mapping[str, str]) -> dict[str, str]:
        ours = {
            "PROJECT_URL": projects.root(record.project).as_uri(),
            "MLMAGICS_JOB_ID": str(record.job_id),
            "CUDA_VISIBLE_DEVICES": ",".join(record.gpu_ids),
            "PYTHONPATH": str(kit),
        }
        inherited = {**os.environ, **_of_user(force.ids(record.user))}
        if force.bwrap:
            inherited.pop("TMPDIR", None)  # it has a /tmp of its own
        return build_variables(inherited, interpreters.env_of(record.runtime), env, ours, record.python)

    return build


def _of_user(ids: Ids | None) -> dict[str, str]:
    """What a login would set."""
    if ids is None:
        return {}
    return {"HOME": ids.home, "USER": ids.name, "LOGNAME": ids.name, "SHELL": ids.login_shell}


def expected(config: Config, kit: Path) -> Kind:
    """What the first job is likely to take: the Python of jobs, with their variables."""
    common = build_variables(os.environ, config.env, {}, {"PYTHONPATH": str(kit)}, config.python)
    return kind_of(config.python, common, "", own_modules=())


def python_version(config: Config) -> str:
    """Version of the Python that jobs use; a Python that cannot be started is told at once."""
    if os.path.realpath(config.python) == os.path.realpath(sys.executable):
        return ".".join(map(str, sys.version_info[:3]))
    code = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
    command = [config.python, "-I", "-S", "-c", code]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"--python {config.python} cannot be started: {error}") from None
    return done.stdout.strip()
