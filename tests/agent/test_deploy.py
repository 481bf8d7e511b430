"""The files in ``deploy/`` name commands, settings and folders that there are."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path

import pytest

from cluster_agent.cli import _parser
from cluster_agent.config import load_config, settings
from cluster_agent.restarts import survives_restart

DEPLOY = Path(__file__).parents[2] / "deploy"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text(encoding="utf-8")


def joined():
    return re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", CONTAINERFILE, flags=re.MULTILINE))


def test_the_containers_variables_are_settings_that_can_be_used(tmp_path):
    (line,) = re.findall(r"^ENV (.*)$", joined(), re.MULTILINE)
    variables = dict(pair.split("=", 1) for pair in line.split())
    known = {f"CLUSTER_AGENT_{item.name.upper()}" for item in settings()}
    assert set(variables) <= known
    config = load_config({}, variables)
    volumes = json.loads(re.findall(r"^VOLUME (.*)$", joined(), re.MULTILINE)[0])
    assert str(config.home.parent) in volumes
    assert config.project in volumes


def test_the_container_begins_from_a_plain_image_and_is_not_root():
    assert re.findall(r"^FROM (.*)$", CONTAINERFILE, re.MULTILINE) == ["python:3.13-slim"]
    assert "://" not in "".join((DEPLOY / name).read_text() for name in ("Containerfile", "compose.yaml"))
    assert joined().index("\nUSER agent") < joined().index("\nENTRYPOINT")


def test_each_command_that_is_named_exists():
    known = set(_parser()._subparsers._group_actions[0].choices)
    files = ("Containerfile", "compose.yaml", "cluster-agent.container")
    text = "\n".join((DEPLOY / name).read_text(encoding="utf-8") for name in files)
    named = re.findall(r'agent(?:", ")? (init|serve|invite|drain|status|[a-z]+)(?=[)\s"]|$)', text)
    lists = re.findall(
        r'(?:CMD |command: )\["([a-z]+)"\]|^Exec=([a-z]+)|cluster-agent", "([a-z]+)"', text, re.MULTILINE
    )
    named = [word for word in named if word in known] + [word for words in lists for word in words if word]
    assert {"init", "serve", "invite", "drain", "status"} <= set(named) <= known


def test_compose_is_well_formed():
    yaml = pytest.importorskip("yaml")
    (agent,) = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].values()
    assert agent["command"] == ["serve"]
    assert agent["build"]["dockerfile"] == "Containerfile"
    assert [volume.split(":")[1] for volume in agent["volumes"]] == [
        "/data",
        "/srv/project",
        "/etc/machine-id",
    ]


def test_the_quadlet_is_well_formed():
    unit = configparser.ConfigParser(strict=False, delimiters=("=",))
    unit.optionxform = str
    unit.read(DEPLOY / "cluster-agent.container")
    assert unit["Container"]["Exec"] == "serve"
    assert set(unit.sections()) == {"Unit", "Container", "Service", "Install"}


@pytest.mark.parametrize(
    ("pid", "parent", "first", "environ", "survives"),
    [
        (100, 50, "systemd", {}, True),
        (1, 0, "python", {}, False),
        (7, 1, "tini", {}, False),
        (7, 1, "docker-init", {}, False),
        (7, 1, "systemd", {}, True),
        (7, 1, "systemd", {"INVOCATION_ID": "x"}, False),
        (7, 1, "systemd", {"INVOCATION_ID": "x", "CLUSTER_AGENT_KILL_MODE": "process"}, True),
    ],
)
def test_whether_jobs_outlive_a_restart_is_told_as_it_is(pid, parent, first, environ, survives):
    assert survives_restart(pid=pid, parent=parent, first=first, environ=environ) is survives
