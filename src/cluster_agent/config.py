"""Settings of an agent: one frozen value, read once from flags, environment and TOML, in this order.

Every setting is a flag (``--max-timeout``), a key of ``agent.toml`` (``max_timeout``) and an environment
variable (``CLUSTER_AGENT_MAX_TIMEOUT``). The table below is the only place that knows them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

from cluster_agent.environments.settings import (
    PackageSettings,
    RuntimeSettings,
    parse_packages,
    parse_runtimes,
)
from cluster_agent.isolation.levels import parse as parse_levels
from cluster_agent.limits import LimitTable, parse_limits
from cluster_agent.units import parse_duration, parse_size, parse_size_or_none

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


_MAX_TIMEOUT_S = 7 * 86400.0
#: Settings whose flags take no value.
SWITCHES = frozenset({"local", "insecure_http", "shared_uid", "open_metrics"})


class ConfigError(Exception):
    """A setting cannot be used."""


def default_home() -> Path:
    """Where an agent keeps its state when nobody says otherwise."""
    state = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(state) / "cluster-agent"


def _folder(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise ValueError(f"{text!r} is not a port: 0 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def _gpus(text: str) -> int | None:
    if text != "auto" and not text.isdecimal():
        raise ValueError(f"{text!r} is neither a whole number nor auto")
    return None if text == "auto" else int(text)


def _yes(text: str) -> bool:
    if text.lower() not in {"true", "false", "1", "0", "yes", "no"}:
        raise ValueError(f"{text!r} is neither true nor false")
    return text.lower() in {"true", "1", "yes"}


def _cgroup(text: str) -> str:
    return text if text in {"auto", "off"} else str(_folder(text))


def _people_socket(text: str) -> str:
    if text in {"auto", "off"}:
        return text
    if len(path := str(_folder(text))) > 100:
        raise ValueError(f"{text!r} is too long for a socket, which takes 100 characters")
    return path


def _one_of(*known: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in known:
            raise ValueError(f"{text!r} is none of {', '.join(known)}")
        return text

    return parse


def _hosts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _url(text: str) -> str:
    if text and not re.fullmatch(r"https?://[^/@\s]+/?", text):
        raise ValueError(f"{text!r} is not of the form https://HOST:PORT")
    return text.rstrip("/")


def _project(text: str) -> str:
    """A project root as given: a folder or a ``file://`` URL; an absolute path comes out."""
    if "://" in text and not text.startswith("file://"):
        raise ValueError(f"{text!r}: only folders can be project roots here (file:///... or a path)")
    return str(_folder(text.removeprefix("file://")))


def _setting(parse: Callable[[str], Any], default: Any, text: str) -> Any:
    make = {"default_factory": default} if callable(default) else {"default": default}
    return field(metadata={"parse": parse, "help": text}, **make)


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of an agent; durations in seconds, sizes in bytes."""

    home: Path = _setting(_folder, default_home, "folder with all state of this agent")
    host: str = _setting(str, "127.0.0.1", "address to listen on; loopback unless told")
    port: int = _setting(_port, 8900, "port to listen on; 0 takes a free one")
    public_url: str = _setting(_url, "", "address that people use, if it is another than host and port")
    allowed_hosts: tuple[str, ...] = _setting(_hosts, (), "more names that requests may use for this agent")
    tls_cert: Path | None = _setting(_folder, None, "certificate chain (PEM)")
    tls_key: Path | None = _setting(_folder, None, "key of the certificate (PEM)")
    insecure_http: bool = _setting(_yes, False, "allow plain HTTP on an address that is not loopback")
    shared_uid: bool = _setting(_yes, False, "allow several people although all jobs run as one unix user")
    project: str = _setting(_project, "", "folder of the project 'default'; HOME/project unless told")
    python: str = _setting(str, sys.executable, "interpreter that runs the jobs")
    gpus: int | None = _setting(_gpus, None, "number of GPUs to hand out, or auto")
    default_gpus: int | None = _setting(_count, None, "GPUs of a job that does not say; 1 on a box with GPUs")
    default_timeout: float = _setting(parse_duration, 4 * 3600.0, "time limit of a job that does not say")
    max_timeout: float = _setting(
        parse_duration, _MAX_TIMEOUT_S, "longest time limit of those for whom [limits] has no other"
    )
    max_grace: float = _setting(parse_duration, 600.0, "longest time between interrupt and TERM")
    max_queue: int = _setting(_count, 1000, "jobs that may wait in all")
    max_connections: int = _setting(
        _count,
        4000,
        "connections at once; half of it for one address, three eighths for one person's requests",
    )
    keep: float = _setting(parse_duration, 30 * 86400.0, "how long jobs are kept after their end")
    keep_size: int = _setting(parse_size, 50 * 2**30, "bytes on disk above which the oldest jobs are deleted")
    reserve: int = _setting(
        parse_size, 64 * 2**20, "bytes kept free for what must be written on a full disk; less on a small one"
    )
    blob_quota: int = _setting(
        parse_size, 20 * 2**30, "bytes that what one person has sent with cells may take"
    )
    keep_each: int = _setting(
        parse_size_or_none, 20 * 2**20, "size up to which a job's variables are kept unasked; 0: none"
    )
    keep_all: int = _setting(
        parse_size, 100 * 2**20, "bytes of all the variables of a job that are kept unasked"
    )
    log_limit: int = _setting(parse_size, 2 * 2**30, "bytes of a log after which output is only counted")
    spares: int = _setting(_count, 2, "supervisors that wait for a job")
    warm: int = _setting(
        _count, 2, "interpreters that wait for a job, with what jobs here begin with already imported"
    )
    enforce_memory: bool | None = _setting(
        _yes, None, "end jobs that use more memory than they hold; done unless the agent is one's own"
    )
    cgroup: str = _setting(
        _cgroup, "auto", "control group in which each job gets its own: a folder, auto or off"
    )
    isolation: tuple[str, ...] | None = _setting(
        parse_levels, None, "what keeps jobs apart: auto, or some of process, user, cgroup, bwrap"
    )
    supervisor_user: str = _setting(
        str,
        "cluster-agent",
        "unix user that supervisors act as where jobs run as the unix users of their people",
    )
    people_socket: str = _setting(
        _people_socket, "auto", "Unix socket for people of this machine, over ssh too: a path, auto or off"
    )
    people_role: str = _setting(
        _one_of("user", "viewer"), "user", "role of who comes by the people's socket and is no admin"
    )
    admins: tuple[str, ...] = _setting(
        _hosts, (), "people who are admins when they come by the people's socket"
    )
    network: str = _setting(_one_of("on", "off"), "on", "of jobs: on or off; off needs --isolation bwrap")
    open_metrics: bool = _setting(_yes, False, "serve /metrics without a token, to whoever can connect")
    log_format: str = _setting(_one_of("text", "json"), "text", "of the agent's own log: text or json")
    log_level: str = _setting(
        _one_of("info", "warning", "error"), "warning", "with info each request is a line of the agent's log"
    )
    contact: str = _setting(str, "", "whom people without access may ask")
    local: bool = _setting(_yes, False, "an agent of one's own: jobs run in the caller's interpreter")
    idle_exit: float | None = _setting(parse_duration, None, "end after this long without jobs and requests")
    env: Mapping[str, str] = field(default_factory=dict)
    limits: LimitTable = field(default_factory=lambda: parse_limits({}, max_timeout_s=_MAX_TIMEOUT_S))
    #: unix users by the names that people have here, where these differ
    users: Mapping[str, str] = field(default_factory=dict)
    runtimes: Mapping[str, RuntimeSettings] = field(default_factory=dict)
    packages: PackageSettings = field(default_factory=PackageSettings)

    @property
    def tls(self) -> bool:
        """Whether the agent speaks HTTPS."""
        return self.tls_cert is not None

    @property
    def loopback(self) -> bool:
        """Whether only programs on this machine can connect."""
        return self.host in {"127.0.0.1", "::1", "localhost"}


def settings() -> list[Field[Any]]:
    """The settings that exist as flag, TOML key and environment variable."""
    return [item for item in fields(Config) if "parse" in item.metadata]


def chosen_home(flag: str | None, environ: Mapping[str, str]) -> Path:
    """The home that a command is about, whatever stands in its settings file."""
    text = flag if flag is not None else environ.get("CLUSTER_AGENT_HOME")
    return default_home() if text is None else _folder(text)


def load_config(
    flags: Mapping[str, str | None], environ: Mapping[str, str], file: Path | None = None
) -> Config:
    """The settings in force.

    Parameters
    ----------
    flags
        Text by setting name, None where a flag was not given.
    environ
        Usually ``os.environ``.
    file
        The TOML file; without one ``agent.toml`` in the home is read when it exists.

    Raises
    ------
    ConfigError
        Naming the setting, where its value came from, and what it takes.
    """
    given = {
        item.name: (f"--{item.name.replace('_', '-')}", text)
        for item in settings()
        if (text := flags.get(item.name)) is not None
    }
    for item in settings():
        variable = f"CLUSTER_AGENT_{item.name.upper()}"
        if item.name not in given and variable in environ:
            given[item.name] = (variable, environ[variable])
    home = chosen_home(given["home"][1] if "home" in given else None, environ)
    source = file or home / "agent.toml"
    table = _read_toml(source, required=file is not None)
    env = table.pop("env", {})
    if not isinstance(env, dict) or not all(isinstance(value, str) for value in env.values()):
        raise ConfigError(f'{source}: [env] takes NAME = "text" lines only')
    users = table.pop("users", {})
    if not isinstance(users, dict) or not all(isinstance(name, str) and name for name in users.values()):
        raise ConfigError(f'{source}: [users] takes PERSON = "unix user" lines only')
    limits = table.pop("limits", {})
    runtimes, packages = table.pop("runtimes", {}), table.pop("packages", {})
    known = {item.name for item in settings()}
    for key, value in table.items():
        if key not in known:
            raise ConfigError(f"{source}: there is no setting {key!r}")
        given.setdefault(key, (f"{source}, {key}", _as_text(value)))
    values = {item.name: _parse(item, *given[item.name]) for item in settings() if item.name in given}
    config = _checked(Config(**values, env=env, users=users))
    try:
        return replace(
            config,
            limits=parse_limits(limits, max_timeout_s=config.max_timeout),
            runtimes=parse_runtimes(runtimes),
            packages=parse_packages(packages),
        )
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from None


def _as_text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(str(part) for part in value)
    return str(value)


def _parse(item: Field[Any], origin: str, text: str) -> Any:
    try:
        return item.metadata["parse"](text)
    except ValueError as error:
        raise ConfigError(f"{origin}: {error}") from None


def _read_toml(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        return cast(dict[str, Any], tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        if required:
            raise ConfigError(f"{path} does not exist") from None
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None


def _checked(config: Config) -> Config:
    if (config.tls_cert is None) != (config.tls_key is None):
        raise ConfigError("--tls-cert and --tls-key go together; one of them is missing")
    if not config.loopback and not config.tls and not config.insecure_http:
        raise ConfigError(
            f"plain HTTP on {config.host} would show tokens to the network: give --tls-cert and --tls-key"
            " (cluster-agent init makes them), or --insecure-http if something in front adds TLS"
        )
    if config.default_timeout > config.max_timeout:
        raise ConfigError("default_timeout is above max_timeout")
    return config


def default_of(item: Field[Any]) -> Any:
    """The value of a setting that nobody gave."""
    return item.default if item.default is not MISSING else cast(Callable[[], Any], item.default_factory)()
