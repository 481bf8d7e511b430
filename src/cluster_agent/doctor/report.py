"""Looks at everything in turn and tells what was found."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from cluster_agent.config import Config, ConfigError, load_config
from cluster_agent.doctor import keeping, network, probes, reaching, working
from cluster_agent.doctor.finding import Finding
from cluster_agent.doctor.services import service
from cluster_agent.protocol import Info

_MARKS = {"ok": "ok", "warning": "WARNING", "wrong": "WRONG"}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What ``cluster-agent doctor --json`` prints."""

    #: nothing is wrong; there may be warnings
    good: bool
    findings: list[Finding]


def examine(home: Path, *, as_json: bool) -> tuple[list[str], bool]:
    """The findings, as lines for people or as JSON, and whether nothing is wrong."""
    report = _report(list(findings(home)))
    if as_json:
        return msgspec.json.format(msgspec.json.encode(report), indent=2).decode().splitlines(), report.good
    return lines(report.findings), report.good


def _report(found: list[Finding]) -> Report:
    return Report(good=all(finding.level != "wrong" for finding in found), findings=found)


def lines(found: list[Finding]) -> list[str]:
    """One line for each finding, and one that counts them."""
    told = [
        f"{_MARKS[finding.level]:<7}  {finding.check:<11}  {finding.said}"
        + (f"; {finding.remedy}" if finding.remedy else "")
        for finding in found
    ]
    wrong = sum(finding.level == "wrong" for finding in found)
    warnings = sum(finding.level == "warning" for finding in found)
    counted = f"{wrong} wrong" if wrong else "nothing is wrong"
    return [*told, f"{counted}, {warnings} warning{'s' * (warnings != 1)}"]


def findings(home: Path) -> Iterator[Finding]:
    """Everything that there is to find, in the order in which it depends on each other."""
    folder = probes.home(home)
    yield keeping.home(folder)
    if not folder.exists or folder.owner != folder.uid:
        return
    serving, info, tokens = probes.serving(home)
    yield working.serving(serving, home)
    config, error = _settings(home, serving.pid)
    yield working.settings(home / "agent.toml", error)
    yield keeping.rights(probes.secret_files(home, config))
    yield keeping.clock(probes.clock(home))
    yield keeping.database(probes.database(home, serves=bool(serving.url)))
    yield working.restart(service(home, serving_pid=serving.pid), serving)
    if config is None:
        return
    isolation = probes.isolation(config, info)
    yield working.isolation(isolation)
    yield keeping.disk(probes.disk(home, config))
    yield from map(working.python, probes.interpreters(config))
    yield working.groups(probes.groups(config, serving.pid))
    yield working.gpus(probes.gpus(config))
    yield from _network(config, serving.url, serving.agent_id, info)
    yield reaching.people(network.people(home, config, tokens, apart="user" in isolation.levels))


def _settings(home: Path, pid: int) -> tuple[Config | None, str]:
    """The settings with which the process ``pid`` serves; for 0 those with which an agent would."""
    flags, environ = probes.flags_of(pid) if pid else ({}, os.environ)
    try:
        return load_config({**flags, "home": str(home)}, environ), ""
    except ConfigError as error:
        return None, str(error)


def _network(config: Config, url: str, agent_id: str, info: Info | None) -> Iterator[Finding]:
    """The port, the addresses by which people come, and the certificate for them."""
    public = info.public_url if info is not None else config.public_url
    if url:
        yield reaching.address("address", network.address(url, config), agent_id)
        if public and public != url:
            yield reaching.address("public URL", network.address(public, config), agent_id)
    else:
        yield reaching.port(network.port(config))
    hosts = [urlsplit(public).hostname or "" if public else "", *config.allowed_hosts]
    if not config.loopback:
        hosts.append(socket.gethostname())
    certificate = network.tls(config, hosts)
    if certificate is not None:
        yield reaching.tls(certificate, time.time())
